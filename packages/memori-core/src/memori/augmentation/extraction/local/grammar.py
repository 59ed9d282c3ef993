"""Small questions about parsed words: whose a noun is, what a verb reaches, whether it names somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .people import RELATIONS

if TYPE_CHECKING:
    from spacy.tokens import Token

_NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip


def objects(verb: Token, *prepositions: str) -> list[Token]:
    """What the verb reaches through one of the prepositions, also through its participle or adjective."""
    reached = [verb, *(child for child in verb.children if child.dep_ in {"acomp", "prt", "advmod", "xcomp", "prep"})]
    return [
        inner
        for token in reached
        for preposition in token.children
        if preposition.dep_ in {"prep", "dative"} and preposition.lower_ in prepositions
        for inner in preposition.children
        if inner.dep_ == "pobj"
    ]


def is_person(token: Token) -> bool:
    """Whether a noun or pronoun is somebody: a speaker, a named person, or "my sister"."""
    if token.lower_ in {"i", "we", "you", "he", "she", "me"} or token.ent_type_ == "PERSON":
        return True
    return bool(token.lemma_.lower() in RELATIONS and token.pos_ == "NOUN" and owner_of(token) is not None)


def owner_of(noun: Token) -> Token | None:
    """Whose a noun is: "my" of "my dog"."""
    return next((child for child in noun.children if child.dep_ == "poss"), None)


def kind_of_thing(noun: Token) -> str:
    """A thing with the words that tell which: "wifi password", "dentist appointment"; not "new" or "current"."""
    parts = [child for child in noun.children if child.dep_ in {"compound", "amod", "nmod"} and child.i < noun.i]
    told = [child.lower_ for child in parts if child.lower_ not in {"new", "current", "old", "own", "next", "first"}]
    return " ".join([*told, noun.lemma_.lower()])


def age_in(verb: Token) -> int | None:
    """The age a verb gives its subject: "is 34", "turned 30", "is 5 years old"."""
    for child in verb.children:
        number = child if child.dep_ in {"attr", "dobj", "acomp"} and child.pos_ == "NUM" else None
        if child.dep_ == "acomp" and child.lower_ == "old":
            number = next((token for token in child.subtree if token.pos_ == "NUM"), None)
        if number is None or list(number.children):
            number = number if number is not None and child.lower_ == "old" else None
        if number is not None and (number.text.isdigit() or number.lower_ in _NUMBERS):
            age = int(number.text) if number.text.isdigit() else _NUMBERS.index(number.lower_) + 1
            return age if 0 < age < 130 else None
    return None


def is_name(noun: Token) -> bool:
    """Whether a noun is a name: "in Berlin", not "in fear" or "in May"."""
    return noun.pos_ == "PROPN" and noun.ent_type_ not in {"DATE", "TIME"}


def names_one(complements: list[Token]) -> bool:
    """Whether a complement is a name."""
    return any(child.pos_ == "PROPN" and child.ent_type_ not in {"DATE", "TIME"} for child in complements)


def is_exact(complements: list[Token]) -> bool:
    """A name, number, date or address: what there is one of."""
    said = [token for child in complements if child.dep_ in {"attr", "acomp"} for token in (child, *child.children)]
    return any(token.pos_ in {"PROPN", "NUM"} or token.like_num or token.like_email for token in said)


def has_object(verb: Token) -> bool:
    """Whether a verb says what: "drive a Golf", "study law"."""
    return any(child.dep_ in {"dobj", "npadvmod", "attr"} for child in verb.children)
