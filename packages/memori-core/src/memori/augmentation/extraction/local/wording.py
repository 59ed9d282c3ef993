"""Put a clause into the third person, so that it can stand alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .speaker import Speaker
from .statements import governing_subject
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

FIRST = words("i me my mine myself we us our ours ourselves")
SECOND = words("you your yours yourself yourselves u ur y'all ya")
_PLURAL = frozenset({"we", "us", "ourselves"})
_POSSESSIVE = words("my mine our ours your yours ur")
_REFLEXIVE = {"myself": "themself", "yourself": "themself", "ourselves": "themselves", "yourselves": "themselves"}
_CONTRACTED = {"'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "m": "am", "re": "are", "ve": "have"}
_THIRD = {"be": "is", "am": "is", "are": "is", "have": "has", "do": "does", "go": "goes", "were": "was", "wan": "wants"}
_BEFORE_MARK = re.compile(r"\s+([,.;:!?)%])")
_DANGLING = re.compile(r"(?:\s*[,;:(-])+\s*$|^(?:\s*[,;:)-])+\s*")
_REPEATED_MARK = re.compile(r"([,;:])(?:\s*[,;:])+")


class Wording:
    """Words tokens for a reader who does not know who spoke.

    "I", "me" and "my" become `first`; "we" becomes "`first` and others"; "you" becomes `second`; pronouns in
    `others` (token index to name) become that name. Verbs agree.
    """

    def __init__(
        self, first: Speaker, second: Speaker | None, others: Mapping[int, str], known: Mapping[str, str] | None = None
    ) -> None:
        """`known`: the names of people called by what they are to a speaker ("the user's wife")."""
        self._first = first
        self._second = second
        self._others = others
        self.known = known or {}

    def text(self, tokens: Iterable[Token]) -> str:
        """Return the tokens as text, without a capital or a full stop of its own."""
        pieces: list[str] = []
        previous: Token | None = None
        shared = False
        for token in tokens:
            word = "their" if shared and token.lower_ in {"our", "ours"} else self._word(token)
            shared = shared or token.lower_ == "we"
            apart = previous is not None and (previous.whitespace_ or previous.i + 1 != token.i or word != token.text)
            if apart and word not in {"n't", "'s", "nt"}:
                pieces.append(" ")
            pieces.append(word)
            previous = token
        text = _BEFORE_MARK.sub(r"\1", "".join(pieces))
        return _DANGLING.sub("", _REPEATED_MARK.sub(r"\1", " ".join(text.split())))

    def sentence(self, tokens: Iterable[Token]) -> str:
        """Return the tokens as a sentence."""
        return as_sentence(self.text(tokens))

    def names(self, token: Token) -> Speaker | None:
        """Who a first- or second-person pronoun means."""
        if token.lower_ in FIRST:
            return self._first
        return self._second if token.lower_ in SECOND else None

    def _word(self, token: Token) -> str:
        if (who := self._others.get(token.i)) is not None:
            return f"{who}'s" if token.tag_ == "PRP$" else who
        if (speaker := self.names(token)) is not None:
            return _pronoun(token.lower_, speaker)
        return self._verb(token)

    def _verb(self, token: Token) -> str:
        if token.lower_ == "na" and token.i and token.nbor(-1).lower_ in {"wan", "gon"}:
            return "to"
        if token.lower_ == "gon":
            return "going"
        if token.pos_ not in {"VERB", "AUX"}:
            return str(token.text)
        subject = governing_subject(token)
        if token.lower_ == "wanna":
            return "wants to" if subject is not None and self._is_one(subject) else "want to"
        if token.text.startswith("'") and token.i and token.nbor(-1).lower_ in FIRST | SECOND:
            subject = token.nbor(-1)
        if subject is None or self.names(subject) is None:
            return "want" if token.lower_ == "wan" else str(token.text)
        full = self._written_out(token)
        return third_person(full) if self._is_one(subject) and _present(token, full) else full

    def _is_one(self, subject: Token) -> bool:
        """Whether the subject is a single speaker."""
        joined = any(child.dep_ == "conj" for child in subject.children)
        return self.names(subject) is not None and subject.lower_ not in _PLURAL and not joined

    def _written_out(self, token: Token) -> str:
        if token.lower_ == "'d":
            return "had" if token.tag_ == "VBD" else "would"
        return _CONTRACTED.get(token.lower_, str(token.text))


def third_person(verb: str) -> str:
    """Return the form of a present-tense verb that goes with "she"."""
    low = verb.lower()
    if low in _THIRD:
        return _THIRD[low]
    if low.endswith(("s", "x", "z", "ch", "sh", "o")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", low) else f"{verb}s"


def as_sentence(text: str) -> str:
    """Begin with a capital, end with a full stop."""
    text = text.strip(" ,;:-!.…\"'") if text.count('"') % 2 else text.strip(" ,;:-!.…")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _pronoun(word: str, speaker: Speaker) -> str:
    if word in _REFLEXIVE:
        return _REFLEXIVE[word]
    if word in _POSSESSIVE:
        return f"{speaker.text}'s"
    return f"{speaker.text} and others" if word in _PLURAL else speaker.text


def _present(token: Token, full: str) -> bool:
    """Whether the verb is in the present and so must agree. The tagger takes some of them for infinitives."""
    if full.lower() == "am":
        return True
    if full.lower() in {"quit", "split"}:
        return False
    if full.lower() in {"are", "were", "have"} and token.dep_ in {"aux", "auxpass", "ROOT", "conj"}:
        return not any(child.dep_ == "aux" for child in token.children) and not _after_modal(token)
    if token.dep_ == "ccomp" and token.head.lemma_ in {"make", "let", "help", "see", "hear", "watch", "have"}:
        return False
    if token.tag_ == "VBP":
        return True
    if token.tag_ != "VB" or token.dep_ in {"xcomp"}:
        return False
    helper = token.head if token.dep_ in {"aux", "auxpass"} else token
    return not any(child.dep_ in {"aux", "auxpass"} for child in helper.children) or (
        token.lower_ == "do" and token.dep_ == "aux"
    )


def _after_modal(token: Token) -> bool:
    if token.dep_ not in {"aux", "auxpass"}:
        return False
    return any(child.dep_ == "aux" and child.i < token.i for child in token.head.children)
