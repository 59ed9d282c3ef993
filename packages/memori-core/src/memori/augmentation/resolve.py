"""Decide what becomes of proposed facts: a new fact, another mention of a known one, or a successor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..agreement import affirms, contradicts, restates, revises, same_statement
from ..model import Ending, Fact
from ..storage.records import FactChanges, NewFact, Retirement


@dataclass(frozen=True, slots=True)
class Claim:
    """What an extractor says of a fact's place among others: see `Proposal`."""

    replaces: tuple[str, ...] = ()
    value: str | None = None
    ends: tuple[Ending, ...] = ()


NO_CLAIM = Claim()


@dataclass(frozen=True, slots=True)
class Known:
    """What of the entity's facts concerns the proposed ones.

    `by_fingerprint`: active facts of the same words. `by_slot`: every fact that a single-valued slot ever held, active
    and superseded. `similar`: active facts that may say the same or the opposite of a proposed one, by its id.
    `replaced`: active facts, and proposed ones, that a proposed one takes the place of because its extractor said so or
    because it is plain from what both are about, by its id.
    `claims`: what the extractor says of proposed ones, by their ids.
    `repeated`: when a fact was last said, where that was after it was first said. `close`: whether the vectors of two
    facts agree; without a vector nothing does.
    """

    by_fingerprint: Mapping[str, Fact] = field(default_factory=dict)
    by_slot: Mapping[str, Sequence[Fact]] = field(default_factory=dict)
    similar: Mapping[str, Sequence[Fact]] = field(default_factory=dict)
    replaced: Mapping[str, Sequence[Fact]] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    repeated: Mapping[str, datetime] = field(default_factory=dict)
    close: Callable[[Fact, Fact], bool] = lambda some, other: False


def resolve(proposed: Iterable[NewFact], known: Known) -> FactChanges:
    """Fold proposals into what is known.

    What says the same becomes a mention. A new value of a slot supersedes the old one, and so does a statement that
    takes an older one back or says what is over; which is newer goes by when it was said, not by when a worker came to
    it. What somebody else than the user claims against the user's own words is quarantined. Episodes are never folded.
    """
    work = _Resolution(known)
    for new in proposed:
        if new.fact.kind == "episode" or new.fact.status == "quarantined":
            work.add.append(new)
        else:
            work.take(new)
    retired = {one.fact_id: one for one in work.retire}
    return FactChanges(tuple(work.add), tuple(retired.values()), tuple(dict.fromkeys(work.mentions)))


class _Resolution:
    """The changes so far, and the facts as they are with them."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.add: list[NewFact] = []
        self.retire: list[Retirement] = []
        self.mentions: list[tuple[str, str | None]] = []
        self._said = dict(known.by_fingerprint)
        self._slots = {slot: list(facts) for slot, facts in known.by_slot.items()}
        self._folded: set[str] = set()
        self._moments = {fact_id: moment.timestamp() for fact_id, moment in known.repeated.items()}

    def take(self, new: NewFact) -> None:
        """Decide about one proposal."""
        fact = new.fact
        twin = self._twin(new)
        if twin is not None:
            self._folded.add(fact.id)
            if fact.message_key is None or twin.message_key != fact.message_key:
                self.mentions.append((twin.id, fact.message_key))
            self._moments[twin.id] = max(self._moment(twin), self._moment(fact))
            return
        older, newer = self._rivals(new)
        if fact.source != "user_input" and any(one.source == "user_input" for one in (*older, *newer)):
            self.add.append(replace(new, fact=replace(fact, status="quarantined")))
            return
        if newer:
            after = min(newer, key=self._moment)
            fact = replace(fact, status="superseded", superseded_by=after.id, valid_to=ended(fact, after))
        else:
            if self._ends_another(fact):
                fact = replace(fact, slot=None)
            self._said[new.fingerprint] = fact
        for one in older:
            if _lasts(one, ended(one, fact)):
                self._supersede(one, fact)
        self.add.append(replace(new, fact=fact))
        if fact.slot:
            self._slots.setdefault(fact.slot, []).append(fact)

    def _twin(self, new: NewFact) -> Fact | None:
        found = self._said.get(new.fingerprint)
        if found is not None:
            return found
        same = (one for one in self._active(new.fact.id) if self._same(new.fact, one))
        held = self._slots.get(new.fact.slot, ()) if new.fact.slot else ()
        return next(same, None) or next((one for one in held if self._restated(new.fact, one)), None)

    def _restated(self, new: Fact, one: Fact) -> bool:
        """Whether a fact of the same slot says all that the new one says."""
        dated = new.valid_from is None or _day(new.valid_from) == _day(one.valid_from)
        trusted = one.source in (new.source, "user_input")
        return self._is_active(one) and trusted and dated and restates(new.text, one.text)

    def _same(self, new: Fact, one: Fact) -> bool:
        # What an assistant repeats is a mention of the user's words, not the other way round.
        trusted = one.source in (new.source, "user_input")
        alike = (one.speaker, one.kind, _day(one.valid_from), _day(one.valid_to)) == (
            new.speaker, new.kind, _day(new.valid_from), _day(new.valid_to),
        )  # fmt: skip
        return trusted and alike and same_statement(new.text, one.text) and self.known.close(new, one)

    def _rivals(self, new: NewFact) -> tuple[list[Fact], list[Fact]]:
        """The facts the new one takes the place of, and those that take its place."""
        fact, moment = new.fact, self._moment(new.fact)
        replaced = (self._as_it_is(one) for one in self.known.replaced.get(fact.id, ()) if one.id not in self._folded)
        older = {one.id: one for one in replaced if self._is_active(one)}
        newer: dict[str, Fact] = {}
        before, after = self._line(fact)
        ends = {end.slot: end.about for end in self._claim(fact).ends}
        if fact.slot in ends:
            over = _said_of(ends.pop(fact.slot), before) or before[-1:]
        else:
            held = [one for one in before if self._is_active(one)]
            over = [one for one in (*held, *before[-1:]) if not self._says_value(fact, one)]
        for slot, about in ends.items():
            line = self._family(fact, slot) if slot.endswith("*") else self._slots.get(slot, ())
            line = sorted((one for one in line if self._moment(one) <= moment), key=self._moment)
            # "I quit and joined Bosch": what the same message says goes on.
            line = [one for one in line if one.message_key is None or one.message_key != fact.message_key]
            over += _said_of(about, line) if about else line[-1:]
        older.update((one.id, one) for one in over)
        newer.update((one.id, one) for one in after[:1] if not self._says_value(fact, one))
        for one in self._active(fact.id):
            if one.speaker != fact.speaker:
                continue
            lasting = "event" not in (fact.kind, one.kind)
            if self._moment(one) <= moment and (
                contradicts(fact.text, one.text) or (lasting and revises(fact.text, one.text))
            ):
                older[one.id] = one
            elif self._moment(one) > moment and (
                contradicts(one.text, fact.text) or (lasting and revises(one.text, fact.text))
            ):
                newer[one.id] = one
        return list(older.values()), list(newer.values())

    def _family(self, fact: Fact, slot: str) -> list[Fact]:
        """The facts whose slots begin alike; none for "wears contacts now" where it is known how often."""
        if fact.slot and fact.slot.startswith(slot[:-1]) and any(map(self._is_active, self._line(fact)[0])):
            return []
        return [
            one
            for one in self._active(fact.id)
            if one.kind != "event" and one.slot is not None and one.slot.startswith(slot[:-1])
        ]

    def _line(self, fact: Fact) -> tuple[list[Fact], list[Fact]]:
        """What its slot held before and after it, in order."""
        moment = self._moment(fact)
        line = sorted(self._slots.get(fact.slot, ()) if fact.slot else (), key=self._moment)
        before = [one for one in line if self._moment(one) <= moment]
        return before, line[len(before) :]

    def _ends_another(self, fact: Fact) -> bool:
        """Whether "no longer works at Lidl" comes after "works at Tesco", which therefore goes on."""
        about = next((end.about for end in self._claim(fact).ends if end.slot == fact.slot), None)
        before, _ = self._line(fact)
        named = _said_of(about, before) if about else []
        return bool(named) and before[-1] not in named

    def _says_value(self, fact: Fact, one: Fact) -> bool:
        value = self._claim(fact).value
        return value is not None and affirms(one.text, value)

    def _claim(self, fact: Fact) -> Claim:
        return self.known.claims.get(fact.id, NO_CLAIM)

    def _supersede(self, old: Fact, new: Fact) -> None:
        until = ended(old, new)
        place = next((i for i, one in enumerate(self.add) if one.fact.id == old.id), None)
        gone = replace(old, status="superseded", superseded_by=new.id, valid_to=until)
        if place is None:
            self.retire.append(Retirement(old.id, "superseded", new.id, until))
        else:
            self.add[place] = replace(self.add[place], fact=gone)
        self._said = {key: one for key, one in self._said.items() if one.id != old.id}
        if old.slot in self._slots:
            self._slots[old.slot] = [gone if one.id == old.id else one for one in self._slots[old.slot]]

    def _active(self, proposed: str) -> list[Fact]:
        """Facts that may concern a proposed one, those of this batch included."""
        known = [one for one in self.known.similar.get(proposed, ()) if self._is_active(one)]
        return known + [one.fact for one in self.add if one.fact.status == "active" and one.fact.kind != "episode"]

    def _as_it_is(self, fact: Fact) -> Fact:
        """A fact of this batch with what became of it since."""
        return next((one.fact for one in self.add if one.fact.id == fact.id), fact)

    def _is_active(self, fact: Fact) -> bool:
        return fact.status == "active" and all(one.fact_id != fact.id for one in self.retire)

    def _moment(self, fact: Fact) -> float:
        when = fact.said_at or fact.created_at
        return max(when.timestamp() if when else 0.0, self._moments.get(fact.id, 0.0))


def _said_of(about: str, line: Sequence[Fact]) -> list[Fact]:
    """Those of a slot's facts that name a thing."""
    return [one for one in line if about and affirms(one.text, about)]


def ended(old: Fact, new: Fact) -> datetime | None:
    """When a fact ceased to hold: as the new one began, but not before it began itself."""
    began, since = new.valid_from or new.said_at, old.valid_from or old.said_at
    return max(began, since) if began and since else began


def _lasts(old: Fact, until: datetime | None) -> bool:
    """Whether a fact is not known to have ended before."""
    return old.status == "active" or old.valid_to is None or until is None or old.valid_to > until


def _day(moment: datetime | None) -> object:
    return moment and moment.date()
