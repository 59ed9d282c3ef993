"""Decide which earlier statement of somebody's a new one puts an end to.

"I moved my account over to Starling" says nothing of "I bank with Halifax" in words that rules could match. That the
one ends the other follows from several signs together: both are about banks, of which one has one; the new one tells of
a change; it was said later, of the same person, and is neither planned nor one more of a kind. No sign is enough by
itself, so their weights are added up (a logistic regression, fitted on pairs of statements of the labelled conversations
that rules may be improved on, against pairs about unrelated matters).

What somebody has said is many things, of which a statement ends one at most, mostly none; so the more there is to
choose from, the surer it must be. A wrong end hides what is true, a missed one leaves two statements with their dates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ...model import Fact
from .topics import Topics
from .wording import Signs, signs

WEIGHTS = {
    "near": 3.0,
    "one at a time": 4.2,
    "several, one over": 1.9,
    "several": 1.2,
    "words": 1.2,
    "names": 0.6,
    "over": 0.7,
    "over, by words": 1.6,
    "change": 0.6,
    "passing": -1.1,
    "event": -0.5,
    "verb": 0.25,
    "figures": 0.3,
    "not of the user": -0.5,
}
_NEEDED = 2.9
_FEW = 3
"""So many statements there were to choose from where the weights come from."""
_SURER = 0.5
_COARSE = timedelta(days=31)
"""A date may be no more than a month."""
_WISHES = frozenset({"wants", "asks", "prefers", "likes", "needs"})


@dataclass(frozen=True, slots=True)
class Stated:
    """A statement as it is compared: `told` and `about` are the rows that `Topics.place` gives."""

    fact: Fact
    signs: Signs
    told: NDArray[np.float32]
    about: NDArray[np.float32]


def stated(facts: Sequence[Fact], vectors: Sequence[NDArray[np.float32]], topics: Topics) -> list[Stated]:
    """Make statements comparable."""
    told, about = topics.place(vectors)
    return [Stated(fact, signs(fact.text, fact.speaker), *row) for fact, *row in zip(facts, told, about, strict=True)]


def ended_by(new: Stated, known: Sequence[Stated], topics: Topics) -> list[Fact]:
    """Return which of the known statements, all said before by the same person, the new one puts an end to."""
    needed = _NEEDED + _SURER * math.log(max(1.0, len(known) / _FEW))
    scored = [(_weight(new, old, topics), old.fact) for old in known if _possible(new, old)]
    best = max(scored, key=lambda one: one[0], default=None)
    return [best[1]] if best is not None and best[0] > needed else []


def _possible(new: Stated, old: Stated) -> bool:
    """Whether a statement may take another's place at all."""
    said, known = new.signs, old.signs
    if said.another or said.unreal or said.terms == known.terms:
        return False
    if old.fact.kind == "episode" or (old.fact.kind == "event" and not _planned(old.fact)):
        return False
    if (new.fact.kind == "rule") != (old.fact.kind == "rule") and said.verb not in _WISHES:
        return False
    # What began before the other was said was known then.
    if new.fact.valid_from and old.fact.said_at and new.fact.valid_from < old.fact.said_at - _COARSE:
        return False
    same = not said.subject or bool(said.subject & known.words)
    return same and (not known.subject or known.relation or bool(known.subject & said.words))


def _planned(fact: Fact) -> bool:
    return fact.valid_from is not None and fact.said_at is not None and fact.valid_from > fact.said_at


def _weight(new: Stated, old: Stated, topics: Topics) -> float:
    return sum(WEIGHTS[name] * value for name, value in evidence(new, old, topics).items())


def evidence(new: Stated, old: Stated, topics: Topics) -> dict[str, float]:
    """Return each sign that one statement ends another, 0..1 (`near`: -1..1)."""
    said, known = new.signs, old.signs
    shared = said.terms & known.terms
    both = new.about * old.about
    several = float(both[~topics.single].sum())
    return {
        "near": float(new.told @ old.told),
        "one at a time": float(both[topics.single].sum()),
        "several, one over": several if said.ended else 0.0,
        "several": 0.0 if said.ended else several,
        "words": min(len(shared), 3) / 3,
        "names": float(bool(said.names & known.names)),
        "over": float(said.ended),
        "over, by words": float(said.ended and bool(shared)),
        "change": float(said.ended or said.changed or said.now),
        "passing": float(said.brief),
        "event": float(new.fact.kind == "event"),
        "verb": float(said.verb == known.verb != ""),
        "figures": float(said.figure and known.figure),
        "not of the user": float(not said.of_user),
    }
