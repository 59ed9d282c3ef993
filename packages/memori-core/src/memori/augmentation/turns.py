"""What of a job an extractor is shown."""

from __future__ import annotations

from dataclasses import replace

from ..llm.base import spoken
from ..model import Fact, StoredMessage
from ..storage.base import Storage
from ..storage.records import Job
from ..text import terms
from .extraction.base import Extractor, Turn

_MOST_MEMORIES = 10
_LOOKED_AT = 60
_LATEST = 5


def without_context(job: Job) -> Job:
    """The job without what Memori itself has put into its messages: what was recalled is not learnt again."""
    return replace(job, messages=tuple(map(_said, job.messages)), context=tuple(map(_said, job.context)))


def turn_of(extractor: Extractor, storage: Storage, job: Job) -> Turn:
    """The turn of a job, with what is known already where the extractor reads it."""
    turn = Turn(job.attribution, job.messages, job.context)
    if not getattr(extractor, "reads_memories", Extractor.reads_memories):
        return turn
    return replace(turn, memories=_memories(storage, job), summary=summary_so_far(storage, job))


def summary_so_far(storage: Storage, job: Job) -> str | None:
    """The summary of the conversation a job belongs to, if it is among the latest of its session."""
    talks = storage.conversations(job.attribution, limit=_LATEST) if job.messages else []
    return next((talk.summary for talk in talks if talk.id == job.messages[0].conversation_id), None)


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
