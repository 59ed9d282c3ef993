"""Put together whose slot a clause fills, with what, and which slots it closes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ....model import Ending
from .dates import Period
from .endings import endings_of, one_lost, value_of
from .grammar import owner_of
from .marriage import SPOUSES
from .people import PETS, People
from .reading import Reading
from .slots import slot_owner, slot_predicate
from .speaker import Cast, Speaker
from .statements import Clause
from .states import scheduled_thing, state_of
from .triples import node
from .wording import Wording

if TYPE_CHECKING:
    from spacy.tokens import Token

_LONG_PAST = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a statement says of slots: see `Proposal`."""

    slot: str | None = None
    value: str | None = None
    ends: tuple[Ending, ...] = ()


NONE = Claim()


class Claims:
    """Names the slots of one message."""

    def __init__(self, cast: Cast, people: People, said_on: date | None) -> None:
        self._cast = cast
        self._people = people
        self._said_on = said_on

    def of(self, clause: Clause, reading: Reading, period: Period | None, wording: Wording) -> Claim:
        """Return what a clause claims; nothing where it speaks of long ago."""
        if self._long_past(reading, period):
            return NONE
        if (lost := one_lost(clause, reading)) is not None and not (reading.negated or reading.uncertain):
            ends = self._of_lost(lost)
            if ends:
                return Claim(ends[0].slot, ends=ends)
        predicate, owner = self._predicate(clause, reading, period)
        closed = endings_of(clause, reading, predicate)
        owner = owner or clause.subject
        if (
            clause.subject is not None
            and any(one == "is pregnant" for one, _ in closed)
            and reading.verb.lower_ == "born"
        ):
            owner = owner_of(clause.subject) or owner
        if owner is None or (predicate is None and not closed):
            return NONE
        whose = self._whose(owner, clause, wording)
        ends = tuple(Ending(f"{whose}|{one}", about) for one, about in closed)
        if predicate is None:
            return Claim(ends=ends)
        return Claim(f"{whose}|{predicate}", value_of(clause, reading, predicate), ends)

    def slot(self, who: Speaker, predicate: str) -> str:
        """The slot of a speaker."""
        return f"{self._name(who).casefold()}|{predicate}"

    def _predicate(self, clause: Clause, reading: Reading, period: Period | None) -> tuple[str | None, Token | None]:
        predicate, owner = slot_predicate(clause, reading), slot_owner(clause)
        # "My deadline is Friday" is a date that moves, like "my deadline got pushed".
        if predicate is None or (predicate.endswith(" is") and scheduled_thing(clause) is not None):
            predicate = state_of(clause, reading, dated=period is not None and not period.lasting)
            if predicate and predicate.endswith(" when") and (thing := scheduled_thing(clause)) is not None:
                # "The launch" has no owner: it is a matter of the speaker's.
                return predicate, owner_of(thing) or thing
        if predicate is not None and owner is not None and predicate.startswith("has ") and owner == clause.subject:
            owner = owner_of(owner) or owner
        return predicate, owner

    def _whose(self, owner: Token, clause: Clause, wording: Wording) -> str:
        scheduled = owner == scheduled_thing(clause) and owner_of(owner) is None
        speaker = next((who for token in (owner, *owner.conjuncts) if (who := wording.names(token))), None)
        if speaker is not None or scheduled:
            return self._name(speaker or self._cast.speaker).casefold()
        subject = node(owner, wording)[0].removesuffix("'s")
        for who in (self._cast.speaker, self._cast.listener):
            if who is not None and subject.startswith(f"{who.node}'s "):
                subject = self._name(who) + subject.removeprefix(who.node)
        return subject.casefold()

    def _of_lost(self, lost: Token) -> tuple[Ending, ...]:
        """ "Rex died" closes "I have a dog called Rex" and how old the dog is."""
        me = self._name(self._cast.speaker).casefold()
        if lost.lemma_.lower() in SPOUSES:
            return (Ending(f"{me}|married to"),)
        if lost.lemma_.lower() in PETS:
            noun, name = lost.lemma_.lower(), None
        else:
            known = next((text for text, one in self._people.names.items() if one == lost.text), "")
            noun, name = known.split()[-1] if known else "", lost.text.casefold()
        if noun not in PETS:
            return ()
        held = f"has {noun} {name}" if name else f"has {noun}"
        return (Ending(f"{me}|{held}"), *(Ending(f"{one}|age") for one in (f"{me}'s {noun}", name) if one))

    def _name(self, who: Speaker) -> str:
        """Whose slot it is: "user" for the one person who talks to an assistant, named or not."""
        return who.node if self._cast.by_name and who.name else who.role

    def _long_past(self, reading: Reading, period: Period | None) -> bool:
        """ "I moved to Paris in 2005" does not say where somebody lives now."""
        if not reading.past or period is None or period.start is None:
            return False
        return self._said_on is None or period.start.date() < self._said_on - _LONG_PAST
