"""What of a job an extractor is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..llm.base import spoken
from ..model import Fact, StoredMessage
from ..storage.base import Job, Storage
from ..text import terms
from .extraction.base import Extractor, Turn

_MOST_MEMORIES = 10
_LOOKED_AT = 60


def without_context(job: Job) -> Job:
    """The job without what Memori itself has put into its messages: what was recalled is not learnt again."""
    return replace(job, messages=tuple(map(_said, job.messages)), context=tuple(map(_said, job.context)))


def turns(extractor: Extractor, storage: Storage, jobs: Sequence[Job]) -> list[Turn]:
    """The turns of jobs, with what is known already where the extractor reads it."""
    return [_turn(extractor, storage, job) for job in jobs]


def _turn(extractor: Extractor, storage: Storage, job: Job) -> Turn:
    turn = Turn(job.attribution, job.messages, job.context)
    if not extractor.reads_memories:
        return turn
    talks = storage.conversations(job.attribution, limit=1)
    return replace(turn, memories=_memories(storage, job), summary=talks[0].summary if talks else None)


def _memories(storage: Storage, job: Job) -> tuple[Fact, ...]:
    """Active facts that share words with what was said, those that share most first."""
    said = [one.message.content for one in job.messages if one.message.role in ("user", "assistant")]
    wanted = list(dict.fromkeys(term for text in said for term in terms(text)))
    ids = [fact_id for fact_id, _ in storage.search(job.attribution, wanted, limit=_LOOKED_AT)] if wanted else []
    found = {fact.id: fact for fact in storage.facts(job.attribution, ids=ids)} if ids else {}
    known = (found[one] for one in ids if one in found and found[one].kind != "episode")
    return tuple(known)[:_MOST_MEMORIES]


def _said(stored: StoredMessage) -> StoredMessage:
    text = spoken([stored.message.content])
    if text == stored.message.content:
        return stored
    return replace(stored, message=replace(stored.message, content=text))
