"""Decide which earlier statement of somebody's a new one puts an end to.

"I moved my account over to Starling" says nothing of "I bank with Halifax" in words that rules could match. That the
one ends the other follows from several signs together: both are about banks, of which one has one; the new one tells of
a change; it was said later, of the same person, and is neither planned nor one more of a kind. No sign is enough by
itself, so their weights are added up. They come from a logistic regression on pairs of statements: of the labelled
conversations that rules may be improved on, of some hundred pairs written for it, and of unrelated matters.

What somebody has said is many things, of which a statement ends one at most, mostly none; so the more there is to
choose from, the surer it must be. A wrong end hides what is true, a missed one leaves two statements with their dates.
So what is about no matter that is known ends nothing, unless it says that something is over and names it.
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

_MEANT = ("near", "one at a time", "several, one over")
WEIGHTS = {
    "near": 3.9,
    "one at a time": 4.5,
    "several, one over": 3.1,
    "words": 0.8,
    "names": 1.0,
    "over": 0.7,
    "over, by words": 0.8,
    "change": 1.0,
    "event": -0.7,
    "one more": -2.0,
    "passing": -2.2,
    "not so": -2.0,
}
_NEEDED = 3.2
_MOST_BY_WORDS = sum(weight for name, weight in WEIGHTS.items() if name not in _MEANT and weight > 0)
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


@dataclass(frozen=True, slots=True)
class Known:
    """Statements with their rows, as `Topics.place` gives them. Their wording is read only where the rest agrees."""

    facts: Sequence[Fact]
    told: NDArray[np.float32]
    about: NDArray[np.float32]

    def __getitem__(self, place: int) -> Stated:
        fact = self.facts[place]
        return Stated(fact, signs(fact.text, fact.speaker), self.told[place], self.about[place])


def may_end_something(fact: Fact) -> bool:
    """Whether a statement's own wording lets it end another."""
    said = signs(fact.text, fact.speaker)
    return not _planned(fact) and (said.cue or fact.kind != "event")


def ended_by(new: Stated, known: Known, topics: Topics) -> list[Fact]:
    """Return which of the known statements, all said before by the same person, the new one puts an end to."""
    said = new.signs
    # What tells of no change is told apart from one more thing of a kind by nothing but its matter.
    surer = _SURER if said.cue else 2 * _SURER
    needed = _NEEDED + surer * math.log(max(1.0, len(known.facts) / _FEW))
    shared = known.about * new.about
    meant = WEIGHTS["near"] * (known.told @ new.told)
    meant += WEIGHTS["one at a time"] * shared[:, topics.single].sum(axis=1)
    meant += WEIGHTS["several, one over"] * said.ended * shared[:, ~topics.single].sum(axis=1)
    over: list[Fact] = []
    for place in np.argsort(-meant):
        if meant[place] + _MOST_BY_WORDS <= needed:
            break
        old = known[int(place)]
        if not _possible(new, old, same_matter=bool(shared[place].any())):
            continue
        found = float(meant[place]) + sum(WEIGHTS[name] * value for name, value in _by_words(new, old).items())
        if found > needed:
            needed, over = found, [old.fact]
    return over


def _by_words(new: Stated, old: Stated) -> dict[str, float]:
    """Return each sign in the wording that one statement ends another, 0..1."""
    said, known = new.signs, old.signs
    shared = said.terms & known.terms
    return {
        "words": min(len(shared), 3) / 3,
        "names": float(bool(said.names & known.names)),
        "over": float(said.ended),
        "over, by words": float(said.ended and bool(shared)),
        "change": float(said.cue),
        "event": float(new.fact.kind == "event"),
        "one more": float(said.one_more),
        "passing": float(said.passing),
        "not so": float(said.not_so),
    }


def _possible(new: Stated, old: Stated, *, same_matter: bool) -> bool:
    """Whether a statement may take another's place at all."""
    said, known = new.signs, old.signs
    # Near is what somebody says again and again of the one thing that fills their life.
    if not same_matter and not (said.ended and said.terms & known.terms):
        return False
    if said.terms == known.terms or old.fact.kind == "episode" or (old.fact.kind == "event" and not _planned(old.fact)):
        return False
    # Who somebody is, and what is so of the speaker, ends by what somebody else does only when that is an end.
    if said.subject and not said.ended and (known.relation or not known.subject):
        return False
    wish = old.fact.kind == "rule" and said.verb in _WISHES
    if not said.cue and not wish and not (said.verb == known.verb and _is_state(new) and _is_state(old)):
        return False
    # "I want the full reasoning" ends "keep it short"; an order ends nothing but an order.
    if old.fact.kind != new.fact.kind and (new.fact.kind == "rule" or (old.fact.kind == "rule" and not wish)):
        return False
    # What began before the other was said was known then.
    if new.fact.valid_from and old.fact.said_at and new.fact.valid_from < old.fact.said_at - _COARSE:
        return False
    same = not said.subject or bool(said.subject & known.words)
    return same and (not known.subject or known.relation or bool(known.subject & said.words))


def _is_state(one: Stated) -> bool:
    """Whether it says plainly what somebody is, has or does."""
    return one.signs.of_user and one.fact.kind not in ("event", "preference")


def _planned(fact: Fact) -> bool:
    return fact.valid_from is not None and fact.said_at is not None and fact.valid_from > fact.said_at
