"""Consolidation: what stands out of an entity's facts is kept at hand, and what outlived its retention expires.

`standing` says how a fact is weighed. The best go into the short-term tier for a while; `conscious_ingest` shows that
tier at the beginning of a conversation. Consolidating twice in a row changes nothing the second time.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .. import telemetry
from ..model import KINDS, Attribution, Consolidated, Fact, FactStatus, Kind
from ..process import on_fork
from ..storage.base import Storage
from ..storage.records import FactChanges, Placement
from ..text import words
from .retry import unless_moved

logger = logging.getLogger("memori.augmentation")
SHORT_TERM = 20
"""Facts of an entity in the short-term tier, at most."""
LIFE = timedelta(days=7)
"""How long a place in it lasts, unless consolidation gives it anew."""
EVERY = timedelta(hours=6)
"""How often the worker consolidates an entity that something is learnt of."""
CONSIDERED = 5_000
"""The newest facts of an entity, which are weighed against each other."""
_HALF_LIFE = timedelta(days=30)
_LEAST = 0.5
_BATCH = 500
_REMEMBERED = 10_000
"""Entities whose last time is kept in mind, so that one without a tier is not looked at after every job."""

_WEIGHT: Mapping[Kind, float] = {
    "rule": 0.9,
    "preference": 0.8,
    "attribute": 0.8,
    "relationship": 0.8,
    "person": 0.7,
    "skill": 0.7,
    "event": 0.5,
    "fact": 0.5,
}
_KEPT: tuple[FactStatus, ...] = ("active", "superseded", "quarantined")
_FACTS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "episode")


@dataclass(frozen=True, slots=True)
class Standing:
    """How much a fact stands out; each part is 0..1.

    `importance`: the mean of what its kind weighs and what its extractor, or whoever stated it by hand, gave it, and a
    tenth more where it names a number or a name. `frequency`: 1 - 1/mentions. `recency`: halves every 30 days since it
    was said.
    """

    importance: float
    frequency: float
    recency: float

    @property
    def total(self) -> float:
        """Half importance, a quarter frequency, a quarter recency."""
        return 0.5 * self.importance + 0.25 * self.frequency + 0.25 * self.recency


def standing(fact: Fact, now: datetime) -> Standing:
    """Weigh a fact."""
    importance = (_WEIGHT.get(fact.kind, 0.5) + fact.importance) / 2 + (0.1 if _specific(fact.text) else 0.0)
    said = fact.said_at or fact.created_at or now
    age = max((now - said) / _HALF_LIFE, 0.0)
    return Standing(min(importance, 1.0), 1 - 1 / max(fact.mentions, 1), math.exp2(-age))


class Consolidation:
    """Consolidates the entities of one Memori object: when it is asked to, and after something was learnt of them.

    `retention_days`: days for every kind, or by kind for some; None keeps everything. `expire` takes facts out for
    good, in one transaction.
    """

    def __init__(
        self,
        storage: Storage,
        retention_days: Mapping[str, int] | int | None,
        expire: Callable[[Attribution, list[Fact]], None],
    ) -> None:
        self._storage = storage
        self._retention = _retention(retention_days)
        self._expire = expire
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        on_fork(self._after_fork)

    def run(self, attribution: Attribution, *, now: datetime) -> Consolidated:
        """Expire what is older than its kind's retention, then fill the short-term tier with what stands out."""
        expired = 0
        for kind, kept in self._retention.items():
            while old := self._storage.facts(
                attribution, kinds=[kind], statuses=_KEPT, said_before=now - kept, limit=_BATCH
            ):
                self._expire(attribution, old)
                expired += len(old)
        for attempt in unless_moved():
            with attempt:
                return replace(self._fill(attribution, now), expired=expired)
        raise AssertionError("unreachable: the last attempt raises")

    def after(self, attribution: Attribution, *, now: datetime) -> None:
        """Something was learnt of an entity: consolidate it if that was not done for `EVERY`. Never raises."""
        try:
            if self._due(attribution, now):
                self.run(attribution, now=now)
        except Exception as error:  # noqa: BLE001 - what was learnt is stored; the next time tries again
            with self._lock:
                self._seen.pop((attribution.namespace, attribution.entity_id), None)
            telemetry.failure(logger, "consolidation", error)

    def _fill(self, attribution: Attribution, now: datetime) -> Consolidated:
        state = self._storage.state(attribution)
        known = self._storage.facts(attribution, kinds=_FACTS, limit=CONSIDERED)
        present = {fact.id: fact for fact in self._storage.facts(attribution, tier="short")}
        weighed = {fact.id: standing(fact, now).total for fact in known}
        outstanding = sorted((one for one in weighed if weighed[one] >= _LEAST), key=lambda one: (-weighed[one], one))
        best = outstanding[:SHORT_TERM]
        promoted = [one for one in best if one not in present]
        demoted = [one for one in present if one not in best]
        # A place is given anew when half of it is over, so that consolidating often writes seldom.
        ending = [one for one in best if one in present and (present[one].expires_at or now) - now < LIFE / 2]
        place = [Placement(one, "short", now + LIFE) for one in (*promoted, *ending)]
        place += [Placement(one, "long") for one in demoted]
        if not place:
            return Consolidated(1)
        self._storage.apply(attribution, FactChanges(place=tuple(place)), expected=state, now=now)
        return Consolidated(1, len(promoted), len(demoted))

    def _due(self, attribution: Attribution, now: datetime) -> bool:
        """Whether an entity was not consolidated for long, here or, as its tier tells, elsewhere."""
        key = (attribution.namespace, attribution.entity_id)
        with self._lock:
            last = self._seen.get(key)
            if last is not None and now - last < EVERY:
                return False
            self._seen[key] = now
            self._seen.move_to_end(key)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        if last is None:
            ends = [fact.expires_at for fact in self._storage.facts(attribution, tier="short") if fact.expires_at]
            return not ends or now - (max(ends) - LIFE) >= EVERY
        return True

    def _after_fork(self) -> None:
        # The lock may have been held by a thread that the child does not have.
        self._lock = threading.Lock()


def _retention(days: Mapping[str, int] | int | None) -> dict[Kind, timedelta]:
    named = dict.fromkeys(KINDS, days) if isinstance(days, int) else dict(days or {})
    return {kind: timedelta(days=named[kind]) for kind in KINDS if kind in named}


def short_term(storage: Storage, attribution: Attribution, *, now: datetime) -> list[Fact]:
    """The facts whose place in the short-term tier is not over, those that stand out most first."""
    present = [
        fact for fact in storage.facts(attribution, tier="short") if fact.expires_at is None or fact.expires_at > now
    ]
    return sorted(present, key=lambda fact: (-standing(fact, now).total, fact.id))


def _specific(text: str) -> bool:
    """Whether a text has a number, or a name after its first word."""
    return any(any(map(str.isdigit, word)) for word in words(text)) or any(
        word[:1].isupper() and word != "I" for word in text.split()[1:]
    )
