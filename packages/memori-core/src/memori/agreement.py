"""Tell whether two texts say the same, or the opposite. Whatever changes the meaning must agree, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from .text import terms, words

_ALIKE = 0.9
NEGATIONS = frozenset(("no", "not", "never", "none", "nothing", "without", "neither", "nor", "cannot"))
# What a statement says with them it says without them.
_FILLERS = frozenset(
    ("a", "an", "the", "really", "very", "so", "quite", "just", "also", "truly", "definitely", "absolutely", "totally",
     "completely", "actually", "honestly")
)  # fmt: skip
_SPELLINGS = {
    "favourite": "favorite",
    "colour": "color",
    "cannot": "can not",
    "can't": "can not",
    "won't": "will not",
    "i'm": "i am",
    "i've": "i have",
}
_NOT = re.compile(r"n't$")
_NO_MORE = re.compile(r"\bno (?:longer|more)\b|\b(?:not|never)\b.*\bany ?(?:more|longer)\b|\bused to\b")
_STOPPED = re.compile(r"\b(?:ha(?:s|ve) )?(?:stopped|quit|given up|gave up) (?=\w+ing\b)")
_DENIAL = re.compile(r"\b(?:do|does|is|are|am) not\b")
_WHY = re.compile(r" (?:because|since|due to|thanks to|after|as of)\b.*")
_MARKS = re.compile(r"\b(?:no (?:longer|more)|any ?(?:more|longer)|used to|(?:do|does) not|not|never|currently|now)\b")
_ROOTS = {"has": "have", "is": "be", "are": "be", "am": "be", "love": "like", "enjoy": "like", "ador": "like"}
_CHANGED = frozenset(("now", "nowadays", "instead", "currently", "only", "already"))
_OWNED = re.compile(r"(?:The user|[A-Z]\w*)'s ")
_NUMBERS = frozenset(
    ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
     "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty",
     "seventy", "eighty", "ninety", "hundred")
)  # fmt: skip
_ENUMERATES = frozenset(("and", "or", "but"))


def decisive(said: list[str]) -> frozenset[str]:
    """Of a text's words, those that must agree for two texts to say the same: numbers and negations."""
    return frozenset(word for word in said if any(map(str.isdigit, word)) or word in NEGATIONS or word.endswith("n't"))


def alike(some: list[str], others: list[str]) -> bool:
    """Whether two texts hold the same words in the same order, give or take one of ten."""
    if some == others:
        return True
    held, other = set(some), set(others)
    # Few pairs share so many words; only those are worth the slower look at their order.
    return len(held & other) >= _ALIKE * len(held | other) and SequenceMatcher(None, some, others).ratio() >= _ALIKE


def same_statement(some: str, other: str) -> bool:
    """Whether two statements say the same: all that carries meaning is there in both, in the same order.

    Only words that add nothing ("really", "the") and spellings may differ, so numbers, names, negations, dates and
    tenses agree.
    """
    said = _meaningful(some)
    return bool(said) and said == _meaningful(other)


def restates(some: str, other: str) -> bool:
    """Whether all that a statement says is said by another: numbers and negations agree, and no word is new."""
    new, old = words(some), words(other)
    return decisive(new) == decisive(old) and _over(some) == _over(other) and set(terms(some)) <= set(terms(other))


def revises(later: str, earlier: str) -> bool:
    """Whether a statement gives another figure for the same thing: "commutes 25 minutes now" after "commutes 40".

    Two figures of what somebody has ("the user's rent") are one figure and its successor in any case.
    """
    new, old = terms(later), terms(earlier)
    if not new or not old or new[0] != old[0] or _claim(later).holds != _claim(earlier).holds:
        return False
    figures, known = _figures(later), _figures(earlier)
    if not figures or not known or figures & known:
        return False
    besides = {*terms(" ".join(figures | known)), *_CHANGED}
    told, held = set(new) - besides, set(old) - besides
    owned = _OWNED.match(later) is not None and _OWNED.match(earlier) is not None
    changed = owned or bool(_CHANGED & set(words(later)))
    return changed and len(told & held) > 1 and len(told & held) >= 0.75 * max(len(told), len(held))


def _figures(text: str) -> set[str]:
    return {word for word in words(text) if word in _NUMBERS or any(map(str.isdigit, word))}


def affirms(text: str, value: str) -> bool:
    """Whether a statement names a value, and not to deny it or to say that it is over."""
    wanted = set(terms(value))
    claim = _claim(text)
    return bool(wanted) and claim.holds and wanted <= set(terms(text))


def _over(text: str) -> bool:
    return _claim(text).ended


def contradicts(later: str, earlier: str) -> bool:
    """Whether a statement takes back an earlier one: "no longer eats meat" or "doesn't eat meat" after "eats meat".

    What is no longer so ends narrower statements too: "no longer drinks coffee" after "drinks coffee every morning".
    """
    new, old = _claim(later), _claim(earlier)
    if new.holds == old.holds or not new.about or not old.about or (new.ended and old.ended):
        return False
    if new.about == old.about:
        return True
    return new.ended and _ENUMERATES.isdisjoint(old.about) and _within(new.about, old.about)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a statement is about, without tense and negation; whether it holds; whether it says that it held before."""

    about: tuple[str, ...]
    holds: bool
    ended: bool


def _claim(text: str) -> _Claim:
    said = " ".join(_meaningful(text))
    ended = bool(_NO_MORE.search(said) or _STOPPED.search(said))
    denied = ended or bool(_DENIAL.search(said))
    if not denied and not NEGATIONS.isdisjoint(said.split()):
        # "Never", "nothing", "did not": about other times or things than what is said without.
        return _Claim((), holds=False, ended=False)
    bare = _MARKS.sub(" ", _STOPPED.sub("", _WHY.sub("", said))) if denied else said
    roots = (_root(word) for word in bare.split())
    return _Claim(tuple(roots), holds=not denied, ended=ended)


def _root(word: str) -> str:
    stem = "".join(terms(word)) or word
    return _ROOTS.get(word) or _ROOTS.get(stem, stem)


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether all of a part is in the whole, in order, and both begin alike."""
    rest = iter(whole)
    return part[0] == whole[0] and len(part) > 1 and all(word in rest for word in part)


def _meaningful(text: str) -> list[str]:
    """The words of a statement that carry meaning, in one spelling."""
    found: list[str] = []
    for word in words(text):
        spelt = _SPELLINGS.get(word) or _NOT.sub(" not", word)
        found.extend(one for one in spelt.split() if one not in _FILLERS)
    return found
