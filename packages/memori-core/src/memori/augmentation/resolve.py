"""Decide what becomes of proposed facts: a new fact, another mention of a known one, or a successor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ..model import Fact
from ..storage.base import FactChanges, NewFact, Retirement


@dataclass(frozen=True, slots=True)
class Known:
    """What the entity's active facts say already: by fingerprint, and by single-valued slot."""

    by_fingerprint: Mapping[str, Fact]
    by_slot: Mapping[str, Fact]


def resolve(proposed: Iterable[NewFact], known: Known) -> FactChanges:
    """Fold proposals into what is known.

    The same words become a mention. A new value of a slot supersedes the old one; which is newer goes by when it was
    said, not by when a worker came to it. Episodes are never folded.
    """
    seen = dict(known.by_fingerprint)
    slots = dict(known.by_slot)
    add: list[NewFact] = []
    retire: list[Retirement] = []
    mentions: list[tuple[str, str | None]] = []
    for new in proposed:
        if new.fact.kind == "episode" or new.fact.status == "quarantined":
            add.append(new)
            continue
        twin = seen.get(new.fingerprint)
        if twin is not None:
            mentions.append((twin.id, new.fact.message_key))
            continue
        seen[new.fingerprint] = new.fact
        rival = slots.get(new.fact.slot) if new.fact.slot else None
        if rival is None:
            add.append(new)
        elif _moment(new.fact) >= _moment(rival):
            retire.append(Retirement(rival.id, "superseded", new.fact.id, _began(new.fact)))
            seen = {fingerprint: fact for fingerprint, fact in seen.items() if fact.id != rival.id}
            add.append(new)
        else:
            late = replace(new.fact, status="superseded", superseded_by=rival.id, valid_to=_began(rival))
            add.append(replace(new, fact=late))
            continue
        if new.fact.slot:
            slots[new.fact.slot] = new.fact
    return FactChanges(tuple(add), tuple(retire), tuple(mentions))


def _moment(fact: Fact) -> float:
    when = fact.said_at or fact.created_at
    return when.timestamp() if when else 0.0


def _began(fact: Fact) -> datetime | None:
    return fact.valid_from or fact.said_at
