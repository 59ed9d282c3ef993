"""Find what a clause says that has one value at a time: home, employer, name, age, birthday, favourites, marriage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .people import RELATIONS
from .reading import Reading
from .statements import Clause

if TYPE_CHECKING:
    from spacy.tokens import Token

_DWELL = frozenset({"live", "reside", "base"})


def slot_predicate(clause: Clause, reading: Reading) -> str | None:
    """Return the predicate of a clause that has one value at a time, or None.

    A past "moved to Berlin" counts: it says where somebody lives, and what was said later wins.
    """
    subject, verb = clause.subject, reading.verb
    if subject is None or reading.formerly or reading.negated or reading.uncertain or reading.future:
        return None
    lemma = verb.lemma_.lower()
    if not reading.past:
        if lemma in _DWELL and any(_is_place(place) for place in objects(verb, "in", "at")) and _still(reading):
            return "lives in"
        if lemma == "work" and _employers(verb) and _still(reading):
            return "works at"
        if lemma in {"be", "turn"} and is_person(subject) and _age(verb) is not None:
            return "age"
        if lemma == "be" and subject.lemma_ in {"name", "birthday"} and owner_of(subject) is not None:
            return "is named" if subject.lemma_ == "name" else "birthday"
        if lemma == "be" and (favourite := favourite_of(clause)) is not None:
            return f"favorite {favourite}"
        if lemma in {"marry", "be"} and _married_to(verb):
            return "married to"
    elif lemma == "turn" and _age(verb) is not None:
        return "age"
    elif lemma in {"move", "relocate"} and not reading.perfect and is_person(subject):
        return "lives in" if any(token.ent_type_ in {"GPE", "LOC"} for token in objects(verb, "to")) else None
    return None


def slot_owner(clause: Clause) -> Token | None:
    """Whose single value it is: the subject, or the one whose name, birthday or favourite the subject is."""
    subject = clause.subject
    if subject is None:
        return None
    favourite = _favourite_noun(clause)
    if favourite is not None:
        return owner_of(favourite)
    return owner_of(subject) if subject.lemma_ in {"name", "birthday"} else subject


def objects(verb: Token, *prepositions: str) -> list[Token]:
    """What the verb reaches through one of the prepositions, also through its participle or adjective."""
    reached = [verb, *(child for child in verb.children if child.dep_ in {"acomp", "prt", "advmod"})]
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


def favourite_of(clause: Clause) -> str | None:
    """What the clause names a favourite of: "color" in "my favourite color is blue"."""
    noun = _favourite_noun(clause)
    return None if noun is None else str(noun.lemma_.lower())


def _age(verb: Token) -> int | None:
    for child in verb.children:
        number = child if child.dep_ in {"attr", "dobj", "acomp"} and child.pos_ == "NUM" else None
        if child.dep_ == "acomp" and child.lower_ == "old":
            number = next((token for token in child.subtree if token.pos_ == "NUM"), None)
        if number is not None and number.text.isdigit() and 0 < int(number.text) < 130:
            return int(number.text)
    return None


def _favourite_noun(clause: Clause) -> Token | None:
    subject = clause.subject
    if subject is None:
        return None
    favourite = {"favorite", "favourite"}
    loved = [token for token in (subject, *subject.children) if token.lower_ in favourite]
    return subject if loved and owner_of(subject) is not None else None


def _married_to(verb: Token) -> list[Token]:
    if verb.lemma_ == "marry" or any(child.lower_ == "married" for child in verb.children):
        return objects(verb, "to")
    return []


def _is_place(noun: Token) -> bool:
    """ "In Berlin", not "in fear": one place at a time needs a name."""
    return noun.pos_ == "PROPN" and noun.ent_type_ not in {"DATE", "TIME"}


def _employers(verb: Token) -> list[Token]:
    """ "At Siemens", "at a bakery", "for Google"; not "at night", "for a while"."""
    at = [noun for noun in objects(verb, "at") if noun.lower_ not in {"home", "night", "moment", "once"}]
    named = [noun for noun in objects(verb, "for") if noun.pos_ == "PROPN"]
    return [noun for noun in (*at, *named) if noun.ent_type_ not in {"DATE", "TIME"}]


def _still(reading: Reading) -> bool:
    return reading.continuing or not reading.perfect
