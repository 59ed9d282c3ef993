"""Make facts of a job's messages and of what an extractor proposes; they are not embedded yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..keys import derived_key
from ..model import Fact, Proposal, StoredMessage, Triple
from ..storage.records import Job
from ..text import asks
from .embedding import WINDOW, voiced
from .proposals import sound_endings, sound_triples
from .resolve import NO_CLAIM, Claim
from .withdrawal import Withdrawn

_QUESTION = 0.25
"""The importance of a turn that asks: it seldom answers another question."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact before it is embedded: `lexical` are its words to find, `before` the episodes embedded with it."""

    fact: Fact
    lexical: str
    before: tuple[Fact, ...] = ()
    triples: tuple[Triple, ...] = ()
    claim: Claim = NO_CLAIM


def episodes(job: Job) -> list[Draft]:
    """What was said, verbatim, by people and assistants; never what a tool returned or a system prompt ordered."""
    spoken = [m for m in (*job.context, *job.messages) if m.message.role in ("user", "assistant") and _said(m)]
    facts = [_episode(stored) for stored in spoken]
    drafts = []
    for place, (stored, fact) in enumerate(zip(spoken, facts, strict=True)):
        if stored.position < job.messages[0].position:
            continue
        when = f"{fact.said_at:%d %B %Y} " if fact.said_at else ""
        drafts.append(Draft(fact, when + voiced(fact), tuple(facts[max(0, place - WINDOW) : place])))
    return drafts


def _episode(stored: StoredMessage) -> Fact:
    message = stored.message
    return Fact(
        id=derived_key("episode", stored.key),
        text=message.content,
        kind="episode",
        speaker=message.name,
        source=message.source_class,
        said_at=message.created_at,
        session_id=stored.session_id,
        position=stored.position,
        message_key=stored.key,
        importance=_QUESTION if asks(message.content) else 0.5,
        extractor="episode/1",
    )


def _said(stored: StoredMessage) -> bool:
    return any(char.isalnum() for char in stored.message.content)


def statement(job: Job, number: int, proposal: Proposal, version: str, quarantine: bool) -> Draft:
    """The fact a proposal becomes."""
    stored = job.messages[proposal.message]
    fact = Fact(
        # The same at every attempt, and in the order of the proposals.
        id=f"{derived_key('fact', job.id)[:28]}{number:04x}",
        text=proposal.text.strip(),
        kind=proposal.kind,
        status="quarantined" if quarantine or proposal.quarantine or _untrusted(proposal, stored) else "active",
        speaker=proposal.speaker or stored.message.name,
        source=stored.message.source_class,
        said_at=stored.message.created_at,
        valid_from=proposal.valid_from,
        valid_to=proposal.valid_to,
        slot=proposal.slot,
        importance=min(max(proposal.importance, 0.0), 1.0),
        session_id=stored.session_id,
        position=stored.position,
        message_key=stored.key,
        extractor=version,
    )
    when = f"{stored.message.created_at:%d %B %Y} " if stored.message.created_at else ""
    # What waits for review takes nobody's place, and neither does what the user has not said.
    claim = Claim(value=proposal.value)
    if fact.status == "active" and fact.source == "user_input":
        claim = replace(claim, replaces=proposal.replaces, ends=sound_endings(proposal))
    return Draft(fact, when + fact.text, triples=sound_triples(proposal), claim=claim)


def _untrusted(proposal: Proposal, stored: StoredMessage) -> bool:
    """What only the user may say: rules and preferences; what tools, pages and prompts say is reviewed in any case."""
    source = stored.message.source_class
    return source in ("tool", "web", "system") or (source != "user_input" and proposal.kind in ("rule", "preference"))


def without(drafts: Sequence[Draft], gone: Withdrawn) -> list[Draft]:
    """The drafts but those that the user has just taken back."""
    if not gone.messages and not gone.unlearnt:
        return list(drafts)
    return [
        replace(draft, before=tuple(one for one in draft.before if not gone.covers(one)))
        for draft in drafts
        if not gone.covers(draft.fact)
    ]
