"""Read what a clause says of somebody's love life: single, dating, engaged, married, parted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grammar import is_person, objects
from .statements import Clause
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

_MARITAL = words("married engaged divorced single separated widowed dating")
SPOUSES = words("wife husband spouse fiance fiancee fiancé fiancée girlfriend boyfriend")


def marries(verb: Token, lemma: str, clause: Clause) -> bool:
    """Whether a clause begins or ends a couple, or says that somebody is or is not one of one."""
    if clause.subject is None or not any(map(is_person, (clause.subject, *clause.subject.conjuncts))):
        return False
    if lemma in {"break", "split"} and any(child.lower_ == "up" for child in verb.children):
        return True
    if lemma == "call" and any(child.lower_ in {"engagement", "wedding"} for child in verb.children):
        return True
    if lemma == "end" and any(child.lower_ in {"things", "relationship", "it"} for child in verb.children):
        return True
    if lemma == "tie" and any(child.lower_ == "knot" for child in verb.children):
        return True
    if lemma in {"divorce", "separate", "marry"} and verb.tag_ in {"VBD", "VBN"}:
        told_of = (clause.subject, *clause.subject.conjuncts)
        return lemma != "separate" or any(one.lower_ in {"we", "i"} for one in told_of)
    states = [child for child in verb.children if child.dep_ in {"acomp", "attr", "ccomp", "xcomp", "oprd"}]
    if lemma in {"be", "get"} and any(child.lower_ in _MARITAL - {"single"} for child in (*states, verb)):
        return True
    if lemma == "be" and any(child.lower_ == "single" and child.dep_ == "acomp" for child in states):
        return True
    return bool(verb.lower_ in {"engaged", "married", "divorced", "dating", "seeing"})


def married_to(verb: Token) -> list[Token]:
    """Whom a verb says that somebody is married to."""
    if verb.lemma_ == "marry" or any(child.lower_ == "married" for child in verb.children):
        return objects(verb, "to")
    return []
