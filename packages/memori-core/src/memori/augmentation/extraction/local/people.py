"""Remember whom a message spoke of, to say who "she" is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .speaker import Speaker
from .statements import Clause
from .wording import Wording
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

_FEMALE = words(
    """
    wife girlfriend mother mom mum mommy sister daughter aunt niece grandmother grandma granny gran fiancee girl
    woman stepmother stepsister stepdaughter bride lady
    """
)
_MALE = words(
    """
    husband boyfriend father dad daddy brother son uncle nephew grandfather grandpa fiance boy man stepfather
    stepbrother stepson groom
    """
)
RELATIVES = _FEMALE | _MALE | words("partner spouse parent child kid cousin sibling fiancé fiancée twin")
ACQUAINTANCES = words(
    """
    friend boss manager colleague coworker neighbor neighbour roommate flatmate landlord teacher coach doctor
    therapist mentor classmate teammate girlfriend boyfriend ex client assistant professor advisor supervisor
    """
)
PETS = words("dog cat puppy kitten pup hamster rabbit parrot horse pet turtle goldfish snake")
RELATIONS = RELATIVES | ACQUAINTANCES | PETS
_SHE = frozenset({"she", "her", "hers", "herself"})
_HE = frozenset({"he", "him", "his", "himself"})
_UNKNOWABLE = words(
    """
    they them their theirs themselves it its itself this that these those one ones there here such former latter
    """
)
_SEVERAL = frozenset({"they", "them", "their", "theirs", "themselves"})
_POINTING = frozenset({"this", "that", "these", "those"})
_MOTION = frozenset({"move", "go", "fly", "travel", "drive", "return", "come", "relocate"})
_PLACES = frozenset({"here", "there"})
UNRESOLVED = _SHE | _HE | _UNKNOWABLE


class People:
    """The third persons of one message, in the order they were spoken of."""

    def __init__(self, own_names: frozenset[str], names: Mapping[str, str] | None = None) -> None:
        """`names`: who "Ada's wife" is, from earlier messages."""
        self._own_names = own_names
        self._known: dict[str, bool | None] = {}
        self._place: str | None = None
        self.names: dict[str, str] = dict(names or {})

    def learn(self, clause: Clause, wording: Wording) -> None:
        """Take in the names a clause gives to people: "my wife Ana", "my boss is called Herbert"."""
        for token in clause.tokens:
            relation = relation_at(token, wording)
            if relation is not None and (name := relation.name or _name_given(clause, token)):
                self.names[relation.text] = name

    def named(self, clause: Clause) -> set[int]:
        """The indexes of the words that name somebody known, which the tagger may not take for a name."""
        known = {part for name in self.names.values() for part in name.split()}
        return {token.i for token in clause.tokens if token.text in known}

    def note(self, clause: Clause, wording: Wording) -> None:
        """Take in whom a clause names: people, and "my sister"."""
        for token in clause.tokens:
            found = self._person(token, wording)
            if found is not None:
                name, female = found
                self._known[name] = self._known.get(name) if female is None else female
            if token.ent_type_ == "GPE" and token.dep_ == "pobj":
                self._place = token.text

    def resolve(self, clause: Clause) -> dict[int, str] | None:
        """Return who each "she" or "he" is, by token index; None when something is left hanging.

        A pronoun is clear when a noun of its own clause precedes it, or when the message spoke of exactly one
        person it can mean.
        """
        resolved: dict[int, str] = {}
        for position, token in enumerate(clause.tokens):
            if not _refers(token):
                continue
            if _clear_within(clause, position):
                continue
            if token.lower_ == "there" and self._place and token.dep_ == "advmod" and token.i > clause.root.i:
                resolved[token.i] = ("to " if token.head.lemma_ in _MOTION else "in ") + self._place
                continue
            candidates = self._candidates(token.lower_)
            if len(candidates) != 1:
                return None
            resolved[token.i] = candidates[0]
        return resolved

    def _candidates(self, pronoun: str) -> list[str]:
        if pronoun not in _SHE | _HE or pronoun.endswith("self"):
            return []
        female = pronoun in _SHE
        return [name for name, known in self._known.items() if known is None or known is female]

    def _person(self, token: Token, wording: Wording) -> tuple[str, bool | None] | None:
        if (relation := relation_at(token, wording)) is not None:
            return relation.name or self.names.get(relation.text) or relation.text, _gender(relation.noun)
        listed = token.dep_ == "conj" and token.pos_ == "PROPN" and token.head.ent_type_ == "PERSON"
        if (who := _acquired(token)) is not None and (owner := wording.names(who)) is not None:
            return f"{owner.text}'s {token.lemma_.lower()}", None
        if (token.ent_type_ == "PERSON" or listed) and token.dep_ not in {"compound", "npadvmod", "intj", "appos"}:
            name = " ".join(part.text for part in noun_phrase(token) if part.pos_ == "PROPN")
            if name and name.casefold() not in self._own_names:
                return name, None
        return None


@dataclass(frozen=True, slots=True)
class Relation:
    """ "My wife Ana": the noun, the whole without the name ("Ada's wife"), whose, and the name where it is said."""

    noun: Token
    text: str
    owner: Speaker
    name: str | None


def relation_at(token: Token, wording: Wording) -> Relation | None:
    """Return the relation of a speaker that `token` heads ("my wife", "my wife Ana", "my friend Bob"), or None."""
    noun: Token | None = token
    if token.pos_ == "PROPN":
        noun = next((c for c in token.children if c.dep_ in {"compound", "nmod"} and _is_relation(c)), None)
    elif not _is_relation(token):
        return None
    owner = next((child for child in token.children if child.dep_ == "poss"), None)
    speaker = wording.names(owner) if owner is not None else None
    if noun is None or speaker is None:
        return None
    words = [part for part in noun_phrase(token) if part.pos_ != "PROPN"]
    name = _proper_name(token) if noun != token else _name_beside(token)
    return Relation(noun, wording.text(words), speaker, name)


def _name_given(clause: Clause, noun: Token) -> str | None:
    """The name a clause gives to its subject: "my boss is Herbert", "my boss is called Herbert"."""
    if noun != clause.subject or clause.root.lemma_ not in {"be", "call", "name"}:
        return None
    named = [child for child in clause.root.children if child.dep_ in {"attr", "oprd"} and child.pos_ == "PROPN"]
    return _proper_name(named[0]) if named else None


def _acquired(token: Token) -> Token | None:
    """Who got "a puppy", that "her name" may be said of next."""
    if token.dep_ != "dobj" or token.lemma_.lower() not in PETS | RELATIVES or token.tag_ != "NN":
        return None
    if token.head.lemma_ not in {"get", "adopt", "have", "buy", "rescue"}:
        return None
    return next((child for child in token.head.children if child.dep_ == "nsubj"), None)


def _is_relation(token: Token) -> bool:
    return bool(token.lemma_.lower() in RELATIONS and token.pos_ == "NOUN" and token.tag_ != "NNS")


def _name_beside(noun: Token) -> str | None:
    for child in noun.children:
        if child.dep_ == "appos" and child.pos_ == "PROPN" and noun.i < child.i <= noun.i + 3:
            return _proper_name(child)
    return None


def _proper_name(head: Token) -> str:
    return " ".join(
        token.text
        for token in (*head.children, head)
        if token.pos_ == "PROPN" and token.dep_ != "conj" and token.i <= head.i
    )


def noun_phrase(head: Token, *, depth: int = 8) -> list[Token]:
    """A noun with what defines it, without articles, clauses and asides; of what nests deeper, only the top."""
    kept = {"poss", "compound", "amod", "nummod", "nmod", "case", "quantmod"}
    kept |= {"neg", "advmod"} if head.pos_ in {"ADJ", "NUM"} else set()
    tokens: list[Token] = []
    if depth == 0:
        return [head]
    for child in head.children:
        if child.dep_ in kept or (child.dep_ == "det" and child.lower_ in {"no", "every", "all"}):
            tokens.extend(noun_phrase(child, depth=depth - 1))
        elif child.dep_ == "prep" and child.lower_ == "of" and child.i > head.i:
            tokens.append(child)
            for inner in child.children:
                tokens.extend(noun_phrase(inner, depth=depth - 1))
    return sorted([*tokens, head], key=lambda token: int(token.i))


def _gender(noun: Token) -> bool | None:
    word = noun.lemma_.lower()
    return True if word in _FEMALE else False if word in _MALE else None


def _refers(token: Token) -> bool:
    """Whether a word points at something said elsewhere ("that" as a conjunction or beside its noun does not)."""
    low = token.lower_
    if low not in UNRESOLVED or token.pos_ not in {"PRON", "DET", "NOUN", "ADV", "NUM"}:
        return False
    if low in _PLACES:
        return bool(token.dep_ in {"expl", "advmod", "pcomp", "advcl"})
    return token.dep_ not in {"det", "mark", "nummod", "advmod", "predet"} and token.tag_ not in {"IN", "WDT"}


def _is_antecedent(token: Token) -> bool:
    return token.pos_ in {"NOUN", "PROPN"} and token.ent_type_ not in {"DATE", "TIME"}


def _clear_within(clause: Clause, position: int) -> bool:
    """Whether a noun earlier in the clause says what the pronoun means. One that only sets the scene does not."""
    token = clause.tokens[position]
    if token == clause.subject or token.lower_ in _POINTING:
        return False
    if token.lower_ in _PLACES:
        return any(place.ent_type_ in {"GPE", "LOC", "FAC", "ORG"} for place in clause.tokens[:position])
    before = clause.tokens[:position]
    if token.head == clause.root and clause.subject is not None:
        before = tuple(earlier for earlier in before if earlier.i >= clause.subject.left_edge.i)
    if token.lower_ in {"it", "its"}:
        return any(_is_antecedent(noun) and not _is_human(noun) and noun.i > clause.root.i for noun in before)
    if token.lower_ in _SEVERAL:
        return any(_is_antecedent(noun) and _is_plural(noun) for noun in before)
    return any(_is_antecedent(earlier) for earlier in before)


def _is_plural(noun: Token) -> bool:
    several = noun.tag_ in {"NNS", "NNPS"} or any(child.dep_ == "conj" for child in noun.children)
    return several or noun.lemma_.lower() in {"family", "team", "couple", "group", "partner", "someone", "person"}


def _is_human(noun: Token) -> bool:
    return noun.ent_type_ == "PERSON" or noun.lemma_.lower() in RELATIONS | {"family", "people", "folk", "guy", "team"}
