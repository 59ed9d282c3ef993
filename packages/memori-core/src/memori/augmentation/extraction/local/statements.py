"""Split a parsed sentence into clauses that can stand alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

SUBJECTS = frozenset({"nsubj", "nsubjpass", "csubj", "csubjpass", "expl"})
_COMPLEMENTS = frozenset({"dobj", "prep", "attr", "acomp", "xcomp", "ccomp", "npadvmod", "advmod", "oprd", "prt"})
_FINITE = frozenset({"VBD", "VBP", "VBZ"})
_ELLIPSES = words(
    "say think agree note hear be sound suppose guess do know love inspire scare thrill bless stoke excite determine"
)
_FILLERS = words(
    """
    actually also anyway anyways apparently basically btw fortunately frankly haha hahaha hey hi hello hmm
    honestly however lol luckily man nah no nope obviously oh ok okay omg plus seriously so sure then though too
    ugh unfortunately well whoa wow yay yeah yep yes yup and but or please dear
    """
)

_DONE_TO = words(
    """
    move postpone reschedule cancel change delay promote transfer fire hire raise increase lower close approve reject
    accept shift extend sack deny renew invite
    """
)

_INTERJECTIONS = words("yep yeah yes yup nah nope wow whoa woah oh hey hi hello haha lol omg okay ok thanks")


@dataclass(frozen=True, slots=True)
class Clause:
    """One verb with what belongs to it. `tokens` are in text order and may repeat a subject shared with another clause.

    `opening` is what stands before the sentence's first subject ("Last year"), for clauses that lost it.
    """

    root: Token
    subject: Token | None
    tokens: tuple[Token, ...]
    opening: str = ""

    @property
    def text(self) -> str:
        """The words as they were said."""
        return "".join(token.text_with_ws for token in self.tokens)


def clauses(sentence: Span) -> list[Clause]:
    """Return the clauses of a sentence, in order; none for a question or where there is no verb."""
    root = sentence.root
    if "?" in sentence.text or root.pos_ not in {"VERB", "AUX"}:
        return []
    heads = sorted(_heads(root), key=lambda head: int(head.i))
    own = {head.i: {token.i for token in head.subtree} for head in heads}
    for head in heads:
        for other in heads:
            if other != head and other.i in own[head.i]:
                own[head.i] -= own[other.i]
    opening = _opening(sentence, heads[0])
    found = []
    for head in heads:
        subject = subject_of(head)
        mine = set(own[head.i])
        if subject is None and head.dep_ == "conj":
            subject = governing_subject(head)
            if subject is not None:
                mine |= {token.i for token in subject.subtree} - (own[head.i] & {head.i})
        tokens = _trimmed([token for token in sentence if token.i in mine], subject)
        if tokens:
            found.append(Clause(head, subject, tuple(tokens), opening))
    return found


def lacks_subject(sentence: Span) -> bool:
    """Whether "I" was left out, as in "Just moved to Berlin": a past-tense verb with nothing but adverbs before it."""
    root = sentence.root
    if root.tag_ not in {"VBD", "VBN"} or root.lemma_ in _ELLIPSES or "?" in sentence.text:
        return False
    if any(child.dep_ in {*SUBJECTS, "aux", "auxpass", "agent"} for child in root.children):
        return False
    before = [token for token in sentence if token.i < root.i]
    return len(before) <= 3 and all(token.pos_ in {"ADV", "INTJ", "PUNCT", "CCONJ"} for token in before)


def without_they(sentence: Span) -> str | None:
    """Say "They moved my flight to May 5" as "My flight was moved to May 5": who did it is nobody in particular."""
    root, subject = sentence.root, subject_of(sentence.root)
    if root.lemma_ not in _DONE_TO or not root.lower_.endswith("ed") or subject is None or subject.lower_ != "they":
        return None
    thing = next((child for child in root.children if child.dep_ == "dobj" and child.i > root.i), None)
    if thing is None or any(child.dep_ == "neg" for child in root.children):
        return None
    if thing.lower_ == "me":
        done = "I was"
    elif any(child.lower_ in {"my", "our"} for child in thing.children):
        whole = "".join(token.text_with_ws for token in thing.subtree).strip()
        done = f"{whole[:1].upper()}{whole[1:]} {'were' if thing.tag_ == 'NNS' else 'was'}"
    else:
        return None
    rest = "".join(token.text_with_ws for token in sentence if token.i > thing.right_edge.i)
    return f"{done} {root.lower_} {rest}".strip()


def subject_of(verb: Token) -> Token | None:
    """The verb's own grammatical subject."""
    return next((child for child in verb.children if child.dep_ in SUBJECTS), None)


def governing_subject(verb: Token) -> Token | None:
    """The subject a verb agrees with: its own, or that of the verb it is coordinated with."""
    if verb.dep_ in {"aux", "auxpass"}:
        verb = verb.head
    for _ in range(8):
        subject = subject_of(verb)
        if subject is not None:
            return subject
        governor = _coordinated_with(verb)
        if governor is None or not _is_bare(verb, governor):
            return None
        verb = governor
    return None


def _coordinated_with(verb: Token) -> Token | None:
    """The verb it is joined to by "and"; the parser sometimes hangs it on that verb's object."""
    if verb.dep_ != "conj":
        return None
    head = verb.head
    while head.pos_ not in {"VERB", "AUX"} and head.dep_ in {
        "conj",
        "dobj",
        "attr",
        "pobj",
        "prep",
        "npadvmod",
        "acomp",
    }:
        head = head.head
    return head if head.pos_ in {"VERB", "AUX"} else None


def _is_bare(verb: Token, governor: Token) -> bool:
    """Whether a coordinated verb is finite by itself, not one more infinitive or participle."""
    if verb.tag_ in _FINITE:
        return True
    helped = any(child.dep_ in {"aux", "auxpass"} for child in governor.children)
    alone = not any(child.dep_ in {"aux", "auxpass"} for child in verb.children)
    return bool(verb.tag_ == "VB" and alone and governor.tag_ in {"VBP", "VB"} and not helped)


def _heads(root: Token) -> Iterator[Token]:
    """The verbs that get a clause of their own."""
    yield root
    for token in root.subtree:
        if token != root and token.pos_ in {"VERB", "AUX"} and _stands_alone(token, root):
            yield token


def _stands_alone(verb: Token, root: Token) -> bool:
    if verb.dep_ == "conj":
        governor = _coordinated_with(verb)
        while governor is not None and governor != root and governor.dep_ in {"conj", "ccomp"}:
            governor = _coordinated_with(governor) if governor.dep_ == "conj" else _spliced_into(governor)
        return bool(governor == root) and _safely_coordinated(verb)
    return bool(verb.dep_ == "ccomp" and _spliced_into(verb) == root)


def _spliced_into(verb: Token) -> Token | None:
    """The verb that a comma splice ("My name is Ada, I am 32") hangs this one on, else None."""
    head = verb.head
    subject = subject_of(head)
    if subject is None or subject_of(verb) is None or verb.i > subject.i:
        return None
    if any(child.dep_ == "mark" for child in verb.children) or '"' in verb.doc[verb.left_edge.i : head.i].text:
        return None
    return head if head.lemma_ not in {"say", "think", "guess", "believe", "know", "mean", "suppose", "hope"} else None


def _safely_coordinated(verb: Token) -> bool:
    governor = _coordinated_with(verb)
    if governor is None:
        return False
    joined_by = {token.lower_ for token in verb.doc[governor.i : verb.i] if token.dep_ in {"cc", "preconj"}}
    if joined_by & {"or", "nor", "either", "neither"}:
        return False
    subject = subject_of(verb)
    if subject is not None:
        return subject.tag_ not in {"WDT", "WP"}
    if any(child.dep_ == "dobj" and child.lower_ in {"it", "them", "one", "that"} for child in verb.children):
        return False
    complete = any(child.dep_ in _COMPLEMENTS and governor.i < child.i < verb.i for child in governor.children)
    return complete and _is_bare(verb, governor) and governing_subject(verb) is not None


def _opening(sentence: Span, head: Token) -> str:
    subject = subject_of(head)
    end = subject.left_edge.i if subject is not None else head.i
    return "".join(token.text_with_ws for token in sentence if token.i < end)


def _trimmed(tokens: list[Token], subject: Token | None) -> list[Token]:
    """Cut greetings, names called out, fillers and joining words from both ends."""
    kept_whole = {token.i for token in subject.subtree} if subject is not None else set()
    while tokens and tokens[0].lower_ in _INTERJECTIONS:
        tokens = tokens[1:]
    while tokens and tokens[0].i not in kept_whole and _is_filler(tokens[0], tokens[1:2]):
        tokens = tokens[1:]
    while tokens and tokens[-1].i not in kept_whole and (_is_filler(tokens[-1], []) or _is_called_out(tokens)):
        tokens = tokens[:-1]
    return tokens


def _is_filler(token: Token, following: list[Token]) -> bool:
    if token.is_punct or token.is_space or token.pos_ == "SYM" or token.dep_ in {"cc", "intj"}:
        return not token.text.startswith('"')
    if token.lower_ in _FILLERS:
        return True
    return token.pos_ == "PROPN" and bool(following) and following[0].text in {",", "!"}


def _is_called_out(tokens: list[Token]) -> bool:
    """Whether the last word is a name set off by a comma: "I went home, Mel"."""
    if len(tokens) < 3 or tokens[-2].text != "," or tokens[-1].pos_ != "PROPN":
        return False
    return tokens[-1].dep_ in {"npadvmod", "intj", "dep", "vocative"} or tokens[-1].ent_type_ == "PERSON"
