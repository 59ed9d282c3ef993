"""Show what says the same once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ..agreement import alike, decisive
from ..model import Fact, Recalled
from ..storage.records import IndexRow
from ..text import asks, terms_of, words

_OLDEST = datetime.min.replace(tzinfo=UTC)


class ShownOnce:
    """The first `limit` memories, each once: in the newest wording, and with the mentions of all its wordings. A fact
    and the message it was learnt from take one place: of the two the better one is shown.

    Two memories say the same when they are of one kind and one speaker and hold the same words in the same order, give
    or take one of ten; all numbers and negations must agree, and asking is not saying. Give them best first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: list[list[Recalled]] = []
        self._known: list[tuple[tuple[object, ...], list[str]]] = []
        self._terms: list[tuple[frozenset[str], int]] = []
        self._learnt: set[str] = set()
        self._quoted: set[str] = set()
        """Keys of the messages of the facts, and of the episodes, that are there."""

    @property
    def full(self) -> bool:
        """Whether nothing but other wordings of what is there can be added."""
        return len(self._groups) >= self._limit

    def add(self, one: Recalled) -> None:
        """Take a memory in: beside its other wordings, by itself while there is room, or not at all."""
        said = words(one.text)
        label = (one.fact.kind, one.fact.speaker, one.fact.source, asks(one.text), decisive(said))
        place = next((i for i, (other, held) in enumerate(self._known) if other == label and alike(said, held)), None)
        if place is not None:
            self._groups[place].append(one)
            self._told(one.fact)
        elif not self.full and not self._told(one.fact):
            self._groups.append([one])
            self._known.append((label, said))

    def _told(self, fact: Fact) -> bool:
        """Whether its message, or a fact learnt from its message, is there already; if not, it is from now on."""
        key = fact.message_key
        if key is None:
            return False
        mine, others = (self._quoted, self._learnt) if fact.kind == "episode" else (self._learnt, self._quoted)
        if key in others:
            return True
        mine.add(key)
        return False

    def may_repeat(self, row: IndexRow) -> bool:
        """Whether a memory may be another wording of one that is there, going by its terms: never a wrong no.

        Wordings that differ in a tenth of their words share all but a ninth of either's; a row holds the terms of its
        memory, and its date and speaker beside them.
        """
        for _, said in self._known[len(self._terms) :]:
            self._terms.append((frozenset(terms_of(said)), len(set(said)) // 9))
        label, held = (row.kind, row.speaker), set(row.text.split())
        for (known, _), (terms, missing) in zip(self._known, self._terms, strict=True):
            if known[:2] == label and (terms <= held or (missing and len(terms - held) <= missing)):
                return True
        return False

    def memories(self) -> list[Recalled]:
        """What is to be shown, best first."""
        return [_newest(group) for group in self._groups]


def _newest(group: list[Recalled]) -> Recalled:
    if len(group) == 1:
        return group[0]
    newest = max(group, key=lambda one: _moment(one.fact))
    mentions = sum(one.fact.mentions for one in group)
    return replace(group[0], fact=replace(newest.fact, mentions=mentions))


def _moment(fact: Fact) -> datetime:
    return fact.said_at or fact.created_at or _OLDEST
