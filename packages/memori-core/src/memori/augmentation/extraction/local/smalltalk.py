"""Recognise small talk, plans of the moment, offers and advice: what passes and says nothing of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....model import Kind
from .reading import Reading
from .statements import Clause
from .wording import FIRST
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

_PHRASES = words(
    """
    hope wish bet guess mean thank appreciate agree understand suppose wonder doubt swear assure promise
    apologize congratulate welcome excuse bless admit imagine hop gotta figure vote second dare
    """
)
_MENTAL = words("think know believe feel say tell remember realize notice find consider expect forget")
TRANSIENT = words(
    """
    happy glad sorry fine good okay ok sure ready here back tired excited sad great well curious grateful
    thankful proud pleased stoked pumped thrilled surprised amazed impressed lucky afraid aware nice done able
    busy right wrong cool awesome amazing wonderful fantastic hungry sleepy bored confused blessed honored
    touched inspired hooked keen positive certain relieved available late free alone speechless jealous down
    determined committed motivated swamped beautiful super hard tough important worth rewarding special open nervous
    active strong resilient hopeful
    """
)
VAGUE = words(
    """
    thing things stuff something anything everything nothing lot bit way kind sort part time times moment idea
    point fact case reason look fun blast one ones day days deal sense mind question questions help pleasure
    shot try chance feeling feelings start progress break vibe vibes tip tips best goal goals dream dreams
    passion passions life path paths love joy support peace happiness beauty inspiration strength growth courage
    memory memories success advice moments ideas minds lives step steps guidance journey people others everyone
    someone folks fan positivity hope motivation energy experience experiences difference impact heart hearts
    """
)
_INABILITIES = words(
    "wait believe imagine thank say tell think remember help see find figure decide complain blame promise guarantee"
)
_CHOICES = words("rather prefer pick choose eat drink live")
_REQUESTS = words(
    "know see ask hear understand talk chat discuss share help get check say tell let thank give stay keep"
)


def is_speaker(token: Token) -> bool:
    """Whether a word is "I" or "we"."""
    return bool(token.lower_ in FIRST)


def small_talk(clause: Clause, subject: Token, reading: Reading) -> bool:
    """Whether a speaker only says how they feel just now, what they hope, or something polite."""
    root = clause.root
    lemma = root.lemma_
    if not is_speaker(subject):
        return False
    spoken = f" {clause.text.lower()} "
    if " know how to " in spoken:
        return False
    if (
        lemma in {"see", "hear"}
        and root.tag_ != "VBG"
        and not reading.past
        and not reading.perfect
        and not reading.future
    ):
        return True
    if lemma == "hope" and root.tag_ == "VBG" and any(child.dep_ == "xcomp" for child in root.children):
        return False
    if any(t.lemma_ in _PHRASES and any(is_speaker(c) for c in t.children if c.dep_ == "nsubj") for t in clause.tokens):
        return True
    if lemma in _PHRASES or (lemma in _MENTAL and _reports_clause(root)):
        return True
    if any(phrase in spoken for phrase in (" look forward ", " looking forward ", " can't wait ", " cannot wait ")):
        return True
    if any(child.lower_ in {"so", "such"} and child.dep_ == "advmod" for child in root.children):
        return True
    if lemma in {"want", "need"} or reading.wish:
        wanted = next((child for child in root.children if child.dep_ in {"xcomp", "ccomp", "dobj"}), None)
        return wanted is None or wanted.lemma_ in _REQUESTS
    if lemma == "feel" or (lemma == "be" and any(child.lower_ in {"off", "up", "over"} for child in root.children)):
        return True
    if lemma in {"be", "stay", "keep", "get"}:
        state = next((child for child in root.children if child.dep_ in {"acomp", "attr", "advmod"}), None)
        if state is not None and state.lower_ in {"sorry", "glad", "happy"}:
            return True
        if state is not None and state.lower_ in {"divorced", "married", "engaged", "separated"}:
            return False
        if state is not None and (state.lower_ in TRANSIENT or state.tag_ == "VBN"):
            if state.lower_ in {"afraid", "busy", "free", "open", "proud", "hooked", "done"} and _concrete_after(state):
                return False
            return not any(token.ent_type_ not in {"", "DATE", "TIME"} for token in clause.tokens if token != subject)
    return False


def _concrete_after(state: Token) -> bool:
    """ "Afraid of heights", "busy with my allotment": a state that says of what."""
    return any(
        inner.dep_ == "pobj" and inner.pos_ in {"NOUN", "PROPN"} and inner.lower_ not in VAGUE
        for child in state.children
        if child.dep_ == "prep"
        for inner in child.children
    )


def _reports_clause(root: Token) -> bool:
    return any(child.dep_ in {"ccomp", "acomp", "advcl", "xcomp"} for child in root.children)


def invites(clause: Clause, reading: Reading) -> bool:
    """ "We should catch up": plans of the two speakers, advice and wishes, not facts."""
    spoken = {token.lower_ for token in clause.tokens}
    if spoken & {"let", "let's", "lets"} and not any(child.dep_ == "auxpass" for child in clause.root.children):
        return True
    subject = clause.subject
    plural = subject is not None and subject.lower_ == "we"
    modal = any(child.tag_ == "MD" for child in clause.root.children)
    if reading.wish and not plural:
        return False
    if not plural and spoken & {"rather", "any", "every", "without"} and clause.root.lemma_ in _CHOICES | {"take"}:
        return False
    return bool(modal and plural) or bool(
        reading.uncertain and not spoken & {"might", "may", "maybe", "perhaps", "probably"}
    )


def merely_possible(clause: Clause, reading: Reading, kind: Kind) -> bool:
    """What a speaker can or will do, without a day, is an offer or a promise; skills are told apart before.

    What they cannot eat, stand or do says something of them, and so does what they will do if nothing comes between.
    """
    helpers = {child.lower_ for child in clause.root.children if child.tag_ == "MD"}
    if kind == "skill" or not helpers & {"can", "ca", "will", "'ll", "wo", "shall"}:
        return False
    if helpers & {"can", "ca"} and reading.negated:
        return clause.root.lemma_ in _INABILITIES or not _reaches(clause.root)
    if any(token.lower_ in {"probably", "definitely"} for token in clause.tokens):
        return False
    return not any(token.ent_type_ in {"DATE", "TIME"} for token in clause.tokens)


def _reaches(verb: Token) -> bool:
    return any(child.dep_ in {"dobj", "prep", "ccomp", "xcomp"} for child in verb.children)
