"""Show what says the same once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from ..agreement import alike, decisive
from ..model import Fact, Recalled
from ..text import asks, words

_OLDEST = datetime.min.replace(tzinfo=UTC)


def shown_once(ranked: Iterable[Recalled], *, limit: int) -> list[Recalled]:
    """The first `limit` memories, each once: in the newest wording, and with the mentions of all its wordings.

    Two memories say the same when they are of one kind and one speaker and hold the same words in the same order, give
    or take one of ten; all numbers and negations must agree, and asking is not saying.
    """
    groups: list[list[Recalled]] = []
    known: list[tuple[tuple[object, ...], list[str]]] = []
    for one in ranked:
        said = words(one.text)
        label = (one.fact.kind, one.fact.speaker, one.fact.source, asks(one.text), decisive(said))
        place = next((i for i, (other, held) in enumerate(known) if other == label and alike(said, held)), None)
        if place is not None:
            groups[place].append(one)
        elif len(groups) < limit:
            groups.append([one])
            known.append((label, said))
    return [_newest(group) for group in groups]


def _newest(group: list[Recalled]) -> Recalled:
    if len(group) == 1:
        return group[0]
    newest = max(group, key=lambda one: _moment(one.fact))
    mentions = sum(one.fact.mentions for one in group)
    return replace(group[0], fact=replace(newest.fact, mentions=mentions))


def _moment(fact: Fact) -> datetime:
    return fact.said_at or fact.created_at or _OLDEST
