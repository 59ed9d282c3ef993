"""Turn a clause into triples of typed nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....model import Triple
from .grammar import is_person, owner_of
from .people import PETS, noun_phrase
from .reading import Reading
from .statements import Clause
from .wording import Wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacy.tokens import Token

_THINGS = {"NOUN", "PROPN", "NUM"}
MAX_TRIPLES = 8
MAX_NODE = 120
"""Longest node, in characters; a longer phrase is a sentence, not a thing."""


def triples_of(clause: Clause, reading: Reading, wording: Wording) -> tuple[Triple, ...]:
    """Return (subject, predicate, object) for what the clause's verb joins; none where that is uncertain."""
    subject = clause.subject
    if subject is None or reading.uncertain or subject.dep_.startswith("csubj"):
        return ()
    source, source_type = node(subject, wording)
    prefix = "not " if reading.negated else ""
    if reading.formerly:
        prefix = "used to " if reading.past else "no longer "
    found: dict[tuple[str, str], Triple] = {}
    inside = {token.i for token in clause.tokens}
    for predicate, target in _reached(reading.verb):
        if target.i not in inside:
            continue
        name, type_ = node(target, wording)
        if source and name and len(name) <= MAX_NODE and len(source) <= MAX_NODE and name != source:
            triple = Triple(source, prefix + predicate, name, source_type, type_)
            found.setdefault((triple.predicate, triple.object), triple)
    owned = list(_of_owner(clause, subject, prefix, wording))
    # "Ada's name, be, Priya" says less well what "Ada, be named, Priya" says.
    said = {one.object for one in owned}
    kept = [one for one in found.values() if one.object not in said]
    return (*kept, *owned)[:MAX_TRIPLES]


def _of_owner(clause: Clause, subject: Token, prefix: str, wording: Wording) -> Iterator[Triple]:
    """ "My favourite color is blue" is said of me: ("Ada", "favourite color", "blue")."""
    owner = owner_of(subject)
    if owner is None or clause.root.lemma_ not in {"be", "call", "name"}:
        return
    source, source_type = node(owner, wording)
    own = " ".join(token.text for token in noun_phrase(subject) if token.i > owner.right_edge.i and token.tag_ != "POS")
    for child in clause.root.children:
        # Of "my sister" only a name says who she is; what else she is, is said of her.
        if child.dep_ in {"attr", "oprd"} and child.pos_ in ({"PROPN"} if is_person(subject) else _THINGS):
            name, type_ = node(child, wording)
            predicate = "be named" if subject.lemma_ == "name" else own.lower()
            if source and name and predicate:
                yield Triple(source.removesuffix("'s"), prefix + predicate, name, source_type, type_)


def node(token: Token, wording: Wording) -> tuple[str, str]:
    """Return a noun's name and its type: what the entity recogniser says, PERSON for speakers and "my sister"."""
    if (speaker := wording.names(token)) is not None and token.tag_ in {"PRP", "PRP$"}:
        return speaker.node, "PERSON" if speaker.role == "user" or speaker.name else ""
    name = wording.text(noun_phrase(token))
    name = wording.known.get(name, name).removeprefix("the ")
    if token.lemma_.lower() in PETS:
        return name, ""
    return name, "PERSON" if is_person(token) else token.ent_type_


def _reached(verb: Token) -> Iterator[tuple[str, Token]]:
    """Yield predicate and object for each object, complement and prepositional object of a verb."""
    passive = any(child.dep_ == "auxpass" for child in verb.children)
    stem = f"be {verb.lower_}" if passive else verb.lemma_.lower()
    lemma = stem + "".join(f" {child.lower_}" for child in verb.children if child.dep_ == "prt")
    for child in verb.children:
        if child.dep_ in {"dobj", "attr", "oprd"}:
            yield from ((lemma, thing) for thing in _with_conjuncts(child))
        elif child.dep_ in {"acomp"}:
            prepositions = [inner for inner in child.children if inner.dep_ == "prep"]
            if not prepositions:
                yield lemma, child
            for preposition in prepositions:
                yield from _through(f"{lemma} {child.lower_}", preposition)
        elif child.dep_ in {"prep", "dative", "agent"}:
            yield from _through(lemma, child)
        elif child.dep_ == "xcomp" and child.tag_ in {"VB", "VBG"}:
            link = " to " if any(inner.lower_ == "to" and inner.dep_ == "aux" for inner in child.children) else " "
            form = child.lemma_ if child.tag_ == "VB" else child.lower_
            for inner in child.children:
                if inner.dep_ == "dobj":
                    yield f"{lemma}{link}{form}", inner


def _through(lemma: str, preposition: Token) -> Iterator[tuple[str, Token]]:
    for inner in preposition.children:
        if inner.dep_ == "pobj":
            yield from ((f"{lemma} {preposition.lower_}", thing) for thing in _with_conjuncts(inner))


def _with_conjuncts(token: Token) -> Iterator[Token]:
    """A noun and those listed with it. Pronouns are no nodes, unless they are speakers."""
    for thing in (token, *token.conjuncts):
        if thing.pos_ in {"NOUN", "PROPN", "NUM", "ADJ", "X", "SYM"} or thing.lower_ in {"me", "us", "you"}:
            yield thing
