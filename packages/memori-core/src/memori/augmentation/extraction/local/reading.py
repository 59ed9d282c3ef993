"""Read tense, negation and modality off a clause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .statements import Clause

if TYPE_CHECKING:
    from spacy.tokens import Token

_FEELINGS = frozenset({"love", "like", "enjoy", "hate", "dislike", "appreciate", "prefer"})
_PAST_AS_SPELT = frozenset({"quit", "split"})
"""Spelt alike in both tenses; who says "I quit" has done so."""
_HABITUAL = ("these days", "now", "usually", "mostly", "always", "every")
_WILL = frozenset({"will", "'ll", "wo", "shall"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What the verb of a clause says about time and certainty.

    `verb` is the token that carries the meaning ("live" in "used to live", "move" in "am going to move").
    `continuing`: "has lived there since", "has been working". `wish`: "would love to".
    `formerly`: "used to", "no longer", "not anymore". `uncertain`: might, could, would, should, "I think".
    """

    verb: Token
    past: bool = False
    future: bool = False
    perfect: bool = False
    continuing: bool = False
    wish: bool = False
    negated: bool = False
    formerly: bool = False
    uncertain: bool = False

    @property
    def no_longer(self) -> bool:
        """Whether it says that something has ended: "no longer", "not anymore"."""
        return self.formerly and not self.past

    @property
    def current(self) -> bool:
        """Whether the clause plainly says what is so now."""
        return not (self.past or self.future or self.negated or self.formerly or self.uncertain)


def read(clause: Clause) -> Reading:
    """Return how the clause is meant."""
    root = clause.root
    verb = root
    helpers = [child for child in root.children if child.dep_ in {"aux", "auxpass"}]
    modals = {child.lower_ for child in helpers if child.tag_ == "MD" or (child.lower_ == "'d" and child.tag_ == "MD")}
    spoken = f" {clause.text.lower()} "
    formerly = " used to " in spoken or " no longer " in spoken or " not anymore " in spoken or " any more " in spoken
    formerly |= " anymore " in spoken
    infinitive = next((child for child in root.children if child.dep_ in {"xcomp", "advcl"} and _is_to(child)), None)
    used = root.lemma_ == "use" and infinitive is not None and " used to " in spoken
    going = root.lemma_ == "go" and root.tag_ == "VBG" and infinitive is not None
    had = root.lemma_ == "have" and infinitive is not None and " had to " in spoken
    # "I've come to love olives" says that I love them.
    grown = root.lemma_ in {"come", "grow", "learn", "start", "begin"} and infinitive is not None
    grown = grown and infinitive is not None and infinitive.lemma_ in _FEELINGS
    if infinitive is not None and (used or going or had or grown):
        verb = infinitive
    finite = next((child for child in helpers if child.tag_ in {"VBD", "VBP", "VBZ", "MD"}), root)
    perfect = any(child.lemma_ == "have" or child.lower_ in {"'ve", "'s"} for child in helpers) and root.tag_ != "VB"
    perfect = perfect and (root.tag_ == "VBN" or any(child.lower_ == "been" for child in helpers))
    # "They run a garage": the tagger sees a past tense where only the present is spelt so.
    past = (
        (finite.tag_ == "VBD" and finite.lower_ not in {"run", "come", "become"} and not _habit(finite, spoken))
        or used
        or root.lower_ in _PAST_AS_SPELT
        or (finite == root and root.tag_ == "VBN")
    )
    return Reading(
        verb,
        past=bool(past) and not grown,
        future=bool(modals & _WILL or going or _planned(root, helpers)),
        perfect=perfect and not grown,
        continuing=perfect and (root.tag_ == "VBG" or " since " in spoken or " for " in spoken),
        wish=bool(modals & {"would", "'d"}) and root.lemma_ in {"like", "love"} and infinitive is not None,
        negated=any(child.dep_ == "neg" for child in (*root.children, *verb.children)) or " never " in spoken,
        formerly=bool(formerly),
        uncertain=bool(modals - _WILL - {"can", "ca"})
        or any(w in spoken for w in (" maybe ", " perhaps ", " probably ")),
    )


def _habit(verb: Token, spoken: str) -> bool:
    """Whether "read" or "put" is the present: "these days I mostly read poetry"."""
    return verb.lower_ in {"read", "put", "set", "cut", "let"} and any(f" {one} " in spoken for one in _HABITUAL)


def _is_to(verb: Token) -> bool:
    return verb.dep_ == "xcomp" or any(child.lower_ == "to" and child.dep_ == "aux" for child in verb.children)


def _planned(root: Token, helpers: list[Token]) -> bool:
    """Whether "I am flying to Rome tomorrow": a progressive that looks ahead."""
    return bool(
        root.tag_ == "VBG"
        and any(child.lemma_ == "be" or child.lower_ == "'m" for child in helpers)
        and any(token.lower_ in {"tomorrow", "next", "tonight", "soon"} for token in root.subtree)
    )
