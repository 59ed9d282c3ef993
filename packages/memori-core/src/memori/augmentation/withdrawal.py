"""Do what "forget that" asks for: retire what was said before, or what is known about something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import UnsupportedError
from ..model import Fact, StoredMessage
from ..storage.base import Storage
from ..storage.records import Job
from ..text import terms
from .known import last_said

_MOST = 50
_SENTENCE = re.compile(r"[^.!?\n]+")
_REQUEST = re.compile(
    r"""
    ^\s*(?:(?:please|actually|oh|ok|okay|sorry|wait|no|hey|hmm|and|but|so)\b[\s,]*)*
    (?:(?:can|could|would|will)\ you\ (?:please\ )?)?
    (?:forget|disregard|scratch|strike|erase|delete)\ (?:everything\ |all\ |what\ )?
    (?:
        (?P<last>(?:that|this|it)(?:\ (?:last\ (?:part|one|message)|please))?
            |(?:what\ )?i\ (?:have\ |'ve\ )?(?:just\ )?said|(?:my|the)\ last\ message)
        |(?:(?:that|this|what|everything|all)?\ ?(?:i\ (?:have\ )?(?:ever\ )?(?:said|told\ you)\ )?)about\ (?P<about>.+)
        |that\ (?P<claim>(?:i|my|we|our)\b.+)
    )\s*$
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What is to be forgotten: ids of known facts, keys of messages of this very job, and words not to learn again.

    `unlearnt` pairs the key of the message that asks with the terms of what it asks about.
    """

    facts: tuple[str, ...] = ()
    messages: frozenset[str] = frozenset()
    unlearnt: tuple[tuple[str, frozenset[str]], ...] = ()

    def covers(self, fact: Fact) -> bool:
        """Whether a fact drawn from this job falls under it."""
        if fact.message_key in self.messages:
            return True
        return fact.kind != "episode" and any(
            key == fact.message_key and about <= set(terms(fact.text)) for key, about in self.unlearnt
        )


def withdrawn(storage: Storage, job: Job) -> Withdrawn:
    """What the users of a job's messages ask to be forgotten. Nobody else is listened to."""
    facts: dict[str, None] = {}
    messages: set[str] = set()
    unlearnt: list[tuple[str, frozenset[str]]] = []
    for stored in job.messages:
        if stored.message.source_class != "user_input":
            continue
        for sentence in _SENTENCE.findall(stored.message.content):
            asked = _REQUEST.match(sentence)
            if asked is None:
                continue
            if asked["last"]:
                before = _before(stored, (*job.context, *job.messages))
                if before is not None:
                    messages.add(before.key)
                    facts.update(dict.fromkeys(_said_by(storage, job, before.key)))
            elif about := terms(asked["about"] or asked["claim"]):
                unlearnt.append((stored.key, frozenset(about)))
                facts.update(dict.fromkeys(_about(storage, job, about, stored.message.created_at)))
    own = {stored.key for stored in job.messages}
    return Withdrawn(tuple(facts), frozenset(messages & own), tuple(unlearnt))


def _before(stored: StoredMessage, said: Sequence[StoredMessage]) -> StoredMessage | None:
    """What the same user said last before."""
    name = stored.message.name
    earlier = [
        one
        for one in said
        if one.position < stored.position
        and one.message.source_class == "user_input"
        and one.message.name == name
        and not any(_REQUEST.match(sentence) for sentence in _SENTENCE.findall(one.message.content))
    ]
    return earlier[-1] if earlier else None


def _said_by(storage: Storage, job: Job, key: str) -> list[str]:
    """Facts that only that message said, its verbatim text included."""
    try:
        named = {one.fact_id for one in storage.mentions(job.attribution, messages=[key])}
    except UnsupportedError:
        return []
    found = storage.facts(job.attribution, ids=named) if named else []
    return [fact.id for fact in found if fact.mentions == 1]


def _about(storage: Storage, job: Job, about: Sequence[str], asked_at: datetime | None) -> list[str]:
    """Facts that hold all of the terms, and the messages that said them in these words; none said since it was asked.

    The job may be worked off long after the message.
    """
    ids = [key for key, text in storage.search(job.attribution, about, limit=_MOST) if set(about) <= set(text.split())]
    found = storage.facts(job.attribution, ids=ids) if ids else []
    if asked_at is not None:
        again = last_said(storage, job.attribution, found)
        found = [fact for fact in found if _said_by_then(fact, again.get(fact.id), asked_at)]
    learnt = [fact for fact in found if fact.kind != "episode"]
    messages = {fact.message_key for fact in learnt if fact.message_key}
    said = [fact for fact in found if fact.kind == "episode" and fact.message_key in messages]
    return [fact.id for fact in (*learnt, *said)]


def _said_by_then(fact: Fact, again: datetime | None, moment: datetime) -> bool:
    said = again or fact.said_at or fact.created_at
    return said is None or said <= moment
