"""Read off a statement's wording whether it can take the place of another, and whom it is about.

Statements are in the third person, as extractors write them: "The user sold the Polo.", "Ada's cat Miso died."
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...text import terms, words
from .cues import CHANGED, ENDED, NOT_SO, NOW, ONCE, ONE_MORE, PASSING, PERSON, SWITCHED

_SOMEBODYS = re.compile(
    rf"(?:the user|[A-Z][\w-]+)'s (?:[\w-]+ ){{0,3}}?(?P<who>(?:{PERSON})s?)\b(?: (?P<name>[A-Z]\w+))?", re.I
)
_USER = re.compile(r"the user\b(?!'s)", re.IGNORECASE)
_TO_USER = re.compile(r"\bthe user\b(?!'s)", re.IGNORECASE)
_WITH_USER = re.compile(r"[A-Z][\w-]+(?: [A-Z][\w-]+)*,? and (?:the user|others)\b")
_NAMED = re.compile(
    r"(?!(?:The|An?|That|This|It|There|Some\w*|Every\w*|No\w*|Only|Baby|My|In|On|At|After|When|Since)\b)"
    r"(?:(?:Dr|Mrs?|Ms|Miss|Prof)\.? )?(?P<name>[A-Z][\w-]+)"
)
_RELATION = re.compile(
    rf"\bis (?:the user|[A-Z]\w+)'s (?:[\w-]+ )?(?:{PERSON})\b|'s (?:{PERSON}) is (?:called |named )?(?-i:[A-Z])",
    re.I,
)
"""Who somebody is to the speaker, which is said of the speaker too."""
_VERB = re.compile(r"(?:the user|[A-Z]\w+)(?:'s [\w ]+?)? (?:and others )?(?P<verb>has been|\w+)", re.IGNORECASE)
_NAME = re.compile(r"(?<!^)\b[A-Z]\w+")


@dataclass(frozen=True, slots=True)
class Signs:
    """What the wording of a statement says of its place among others.

    `cue`: it tells of a change or an end. `subject`: whom it is about, in words that another statement of the same must
    hold; empty for the speaker and for things. `relation`: it says who somebody is to the speaker. `of_user`: the
    speaker is its subject, nothing of theirs.
    """

    ended: bool
    cue: bool
    passing: bool
    one_more: bool
    not_so: bool
    verb: str
    subject: frozenset[str]
    relation: bool
    of_user: bool
    names: frozenset[str]
    terms: frozenset[str]
    words: frozenset[str]


def signs(text: str, speaker: str | None = None) -> Signs:
    """Read a statement of `speaker`, who stands in it as "the user" or by name."""
    if speaker:
        text = re.sub(rf"\b{re.escape(speaker)}\b", "the user", text)
        text = text[:1].upper() + text[1:]
    verb = _VERB.match(text)
    ended = bool(not ONCE.search(text) and (ENDED.search(text) or SWITCHED.search(text)))
    return Signs(
        ended=ended,
        cue=ended or bool(CHANGED.search(text) or NOW.search(text)),
        passing=PASSING.search(text) is not None,
        one_more=ONE_MORE.search(text) is not None,
        not_so=NOT_SO.search(text) is not None,
        verb=verb["verb"].lower() if verb else "",
        subject=_subject(text),
        relation=_RELATION.search(text) is not None,
        of_user=_USER.match(text) is not None or _WITH_USER.match(text) is not None,
        names=frozenset(word.lower() for word in _NAME.findall(text)),
        terms=frozenset(terms(text)) - {"user", "other"},
        words=frozenset(words(text)),
    )


def _subject(text: str) -> frozenset[str]:
    owned = _SOMEBODYS.match(text)
    if owned is not None:
        names = {owned["name"].lower()} if owned["name"] and owned["name"][0].isupper() else set()
        return frozenset({owned["who"].lower().removesuffix("s"), *names})
    if re.match(r"the user\b", text, re.IGNORECASE) or _WITH_USER.match(text):
        return frozenset()
    named = _NAMED.match(text)
    # "GP swapped the user onto another drug" is the user's change. Whatever else comes first must be known of.
    return frozenset({named["name"].lower()} if named and not _TO_USER.search(text) else ())
