"""Decide which clauses are worth remembering. Precision before recall: what is doubtful stays an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....model import Kind
from .people import RELATIONS, noun_phrase
from .reading import Reading
from .smalltalk import TRANSIENT, VAGUE, invites, is_speaker, merely_possible, small_talk
from .speaker import Cast
from .statements import Clause
from .wording import FIRST, SECOND
from .wordlist import words
from .work import changes_work

if TYPE_CHECKING:
    from collections.abc import Container

    from spacy.tokens import Token

MAX_TEXT = 400
"""Longest statement, in characters; longer ones are run-ons that nobody can recall."""

_KIN_AT_HOME = words("kid kids children twins baby boys girls dog dogs cat cats puppy kitten wife husband missus")
_MOMENTS = words(
    "morning afternoon evening night day week weekend month year summer winter spring fall autumn time days times"
)
_EMPTY_SUBJECTS = words("what who which everyone everything nothing something anyone anything nobody all")


def worth_keeping(clause: Clause, reading: Reading, cast: Cast, kind: Kind, known: Container[int]) -> bool:
    """Whether a clause says something lasting about somebody in particular.

    `known` holds the indexes of the pronouns whose person is clear.
    """
    subject = clause.subject
    if subject is None or subject.dep_ == "expl":
        return False
    if subject.lower_ in _EMPTY_SUBJECTS and not (subject.lower_ == "everyone" and clause.root.lemma_ == "call"):
        return False
    if _points(subject) or _dependent(clause) or clause.tokens[0].lower_ in {"here", "there"}:
        return False
    spoken = {token.lower_ for token in clause.tokens}
    if len(clause.tokens) < 3 or "ain't" in clause.text.lower() or "gotta" in spoken or {"got", "ta"} <= spoken:
        return False
    if spoken & SECOND and (cast.listener is None or not cast.by_machine):
        return False
    if _inverted(clause) or _conditional(clause) or _quotes_someone(clause):
        return False
    if cast.by_machine and not _machine_reports(clause, subject, reading):
        return False
    if small_talk(clause, subject, reading) or invites(clause, reading) or merely_possible(clause, reading, kind):
        return False
    if any(_points(token) for token in clause.tokens):
        return False
    return _concerns_somebody(clause, subject, known) and (
        kind == "skill" or _telling_verb(clause, kind) or _has_content(clause, subject)
    )


def _inverted(clause: Clause) -> bool:
    """Questions without a question mark, "so do I", and exclamations ("how nice it was")."""
    first = clause.tokens[0]
    if first.lower_ in {"how", "what", "why", "who", "whose", "which", "where"}:
        return True
    if first.tag_ == "WRB" and first.head == clause.root:
        return True
    subject = clause.subject
    return subject is not None and any(
        child.dep_ in {"aux", "auxpass"} and child.i < subject.i for child in clause.root.children
    )


def _conditional(clause: Clause) -> bool:
    return any(token.lower_ in {"if", "unless", "whether", "hopefully"} for token in clause.tokens)


def _quotes_someone(clause: Clause) -> bool:
    """Whether somebody else's "I" may stand in quotation marks."""
    inside = False
    for token in clause.tokens:
        if '"' in token.text:
            inside = not inside
        elif inside and token.lower_ in FIRST | SECOND:
            return True
    return False


def _machine_reports(clause: Clause, subject: Token, reading: Reading) -> bool:
    """An assistant is believed about what it did for its user and what it says of them, not about the world."""
    if reading.uncertain or any(token.tag_ == "MD" for token in clause.root.children):
        return False
    owned = {token.lower_ for token in subject.subtree} & SECOND
    told = any(token.lower_ in SECOND for token in clause.tokens)
    did = is_speaker(subject) and (reading.past or reading.perfect) and told
    return (bool(owned) and not _advises(clause)) or did


def _advises(clause: Clause) -> bool:
    return clause.root.lemma_ in {"need", "want", "see", "find", "get", "try", "make", "ask", "mention", "look", "seem"}


def _concerns_somebody(clause: Clause, subject: Token, known: Container[int]) -> bool:
    """Whether it is about somebody: a speaker, what is theirs, somebody named.

    Of other things only dated, named or counted facts are kept, and what they did to the speaker.
    """
    own = any(token.lower_ in FIRST | SECOND for whole in (subject, *subject.conjuncts) for token in noun_phrase(whole))
    own = own or (subject.lower_ in _KIN_AT_HOME and any(child.lower_ == "the" for child in subject.children))
    if own or subject.i in known or subject.pos_ == "PROPN" or subject.ent_type_:
        return bool(subject.dep_ != "csubj" or clause.root.lemma_ != "be")
    if clause.root.tag_ == "VBD" and clause.root.pos_ == "VERB":
        return any(token.lower_ in FIRST | SECOND for token in clause.tokens)
    if _affects_speaker(clause, subject):
        return True
    named = {"", "ORDINAL", "CARDINAL", "PERSON", "DATE", "TIME"}
    if any(token.pos_ == "PROPN" and token.ent_type_ not in {"DATE", "TIME"} for token in subject.subtree):
        return True
    exact = any(token.ent_type_ in {"DATE", "TIME"} and token.pos_ in {"NUM", "PROPN"} for token in clause.tokens)
    return exact or any(token.ent_type_ not in named for token in clause.tokens)


def _affects_speaker(clause: Clause, subject: Token) -> bool:
    """ "Mushrooms make me sick", "everyone calls me Sasha", "Mondays are my day off"."""
    if subject.pos_ == "PRON" and subject.lower_ not in {"everyone", "everybody"}:
        return False
    for child in clause.root.subtree:
        if child.lower_ == "me" and child.i > clause.root.i and child.head.i <= clause.root.i + 3:
            return True
        if child.dep_ == "poss" and child.lower_ in {"my", "our"} and child.head.dep_ == "attr":
            return bool(clause.root.lemma_ == "be")
    return False


def _points(noun: Token) -> bool:
    """Whether a noun needs a finger or a picture: "this bowl" (but not "this week")."""
    pointed = any(child.dep_ == "det" and child.lower_ in {"this", "that", "these", "those"} for child in noun.children)
    return bool(pointed and noun.lower_ not in _MOMENTS and noun.ent_type_ not in {"DATE", "TIME"})


def _dependent(clause: Clause) -> bool:
    """A subordinate clause that stands alone as a fragment: "Since I was 17." """
    return any(
        (child.dep_ == "mark" or child.tag_ == "WRB") and child.i < clause.root.i for child in clause.root.children
    )


def _has_content(clause: Clause, subject: Token) -> bool:
    """Whether something remains beside the subject and an empty verb."""
    inside = {token.i for token in subject.subtree}
    rest = [token for token in clause.tokens if token.i not in inside and token != clause.root]
    solid = [token for token in rest if token.pos_ in {"NOUN", "PROPN", "NUM"} and token.lower_ not in VAGUE]
    if solid:
        return any(token.ent_type_ not in {"DATE", "TIME", "CARDINAL"} for token in solid) or _telling(clause)
    if any(token.lemma_.lower() in RELATIONS for token in subject.subtree) and not is_speaker(subject):
        return any(token.pos_ in {"ADJ", "VERB"} for token in rest) or clause.root.pos_ == "VERB"
    if any(token.dep_ == "pcomp" for token in rest) and is_speaker(subject):
        return True
    if clause.root.lemma_ in {"be", "get", "feel", "have", "go", "do"}:
        owned = any(token.lower_ in FIRST | SECOND for token in noun_phrase(subject))
        return owned and any(token.dep_ == "acomp" and token.lower_ not in TRANSIENT for token in rest)
    telling = any(token.pos_ in {"VERB", "ADJ"} and token.lower_ not in TRANSIENT | VAGUE for token in rest)
    if _affects_speaker(clause, subject) or (subject.pos_ == "PROPN" and clause.root.tag_ == "VBD"):
        return telling or any(token.dep_ in {"dobj", "prt", "oprd"} and token != subject for token in rest)
    return telling and is_speaker(subject) and len(rest) >= 2


def _telling_verb(clause: Clause, kind: Kind) -> bool:
    """Whether the verb says enough by itself: "live alone", "broke up", "stopped smoking", "love running"."""
    root = clause.root
    if root.lemma_ == "live" or (root.lemma_ in {"break", "split"} and any(c.lower_ == "up" for c in root.children)):
        return True
    if changes_work(root, root.lemma_) and is_speaker(clause.subject or root):
        return True
    if clause.text.lower().rstrip(" .!").endswith(("anymore", "any more")) and root.pos_ == "VERB":
        return True
    if any(token.lower_ in {"divorced", "engaged", "married"} for token in (root, *root.children)):
        return True
    if root.lemma_ in {"die", "graduate", "retire", "divorce"} or root.lower_ == "stolen":
        return True
    gerund = any(child.dep_ in {"xcomp", "pcomp"} and child.tag_ == "VBG" for child in root.children)
    return gerund and (kind == "preference" or root.lemma_ in {"stop", "quit", "start", "give"})


def _telling(clause: Clause) -> bool:
    """A date or number alone tells something when the verb does ("turned 32", "is in May")."""
    return bool(clause.root.pos_ == "VERB" or clause.root.lemma_ == "be")
