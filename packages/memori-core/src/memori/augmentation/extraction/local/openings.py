"""Read what a message opens with when "I am" is left out: "Vegetarian here, six years. Any ideas for a barbecue?" """

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .wordlist import words
from .work import OCCUPATIONS

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_FIRST = re.compile(r"[^,.;:!?()\n]+")
_FINITE = frozenset({"VBD", "VBP", "VBZ", "MD"})
_OF_THE_MOMENT = words(
    "look think try wonder hope ask plan get go do have be feel need want say seem come write make speak talk use type"
    " sit stand lie wait lose"
)
_STUDENTS = words("student undergraduate sophomore freshman postgrad apprentice intern trainee pensioner")
_CONDITIONS = words(
    "vegetarian vegan pescatarian diabetic coeliac celiac intolerant allergic single married divorced widowed retired"
    " unemployed pregnant dyslexic asthmatic"
)
_KEPT = frozenset({"amod", "compound", "nmod", "nummod", "npadvmod", "advmod", "punct"})


def opening(sentence: Span) -> tuple[str, str] | None:
    """Return what the first sentence of a text opens with as a statement of the speaker's, and the rest; or None.

    It is told by an occupation, a condition or an activity that goes on ("Living in Pune with two friends"), and
    ends at the first comma.
    """
    first = _FIRST.match(sentence.text)
    if sentence.start != 0 or first is None:
        return None
    said = [token for token in sentence if token.idx - sentence.start_char < first.end() and not token.is_space]
    rest = [token for token in sentence if token.i > said[-1].i and not token.is_punct] if said else []
    if not said or any(token.tag_ in _FINITE or token.tag_ == "PRP" for token in said):
        return None
    statement = _statement(first[0].strip().removesuffix(" here"), said, rest)
    return None if statement is None else (statement, sentence.text[first.end() :].lstrip(" ,;:-–—"))


def _statement(text: str, said: list[Token], rest: list[Token]) -> str | None:
    bare = f"{text[:1].lower()}{text[1:]}" if not text[:2].isupper() else text
    if said[0].lower_ == "been" and len(said) > 2 and said[1].tag_ == "VBG":
        return f"I have {bare}"
    if said[0].tag_ == "VBG":
        # "Walking home, I saw a fox" says when.
        goes_on = said[0].lemma_.lower() not in _OF_THE_MOMENT and len(said) > 2
        return f"I am {bare}" if goes_on and not any(token.tag_ in {"PRP", "EX"} for token in rest[:1]) else None
    head = _head(said)
    if head is None:
        return None
    if head.lemma_.lower() in _CONDITIONS:
        return f"I am {bare}"
    # "Driver for a printer", "editor for SQL": a thing that is looked for.
    wanted = any(child.lower_ == "for" for child in head.children)
    if head.lemma_.lower() in OCCUPATIONS | _STUDENTS and head.tag_ in {"NN", "NNP"} and not wanted:
        return f"I am {'an' if bare[:1].lower() in 'aeio' else 'a'} {bare}"
    return None


def _head(said: list[Token]) -> Token | None:
    """The noun or adjective that the words are built around, where nothing says whose or which it is."""
    inside = {token.i for token in said}
    head = next((token for token in said if token.head.i not in inside or token.head == token), said[0])
    before = [token for token in said if token.i < head.i]
    return head if all(token.dep_ in _KEPT or token.pos_ == "INTJ" for token in before) else None
