"""Give a clause its kind, its slot and its importance.

rule           an instruction to the assistant: always/never/please/don't, "call me" (see rules.py)
attribute      who somebody is: name, age, home, work, what they are, allergies, birthday, favourites' owner
relationship   who is whose wife, brother, boss, friend, dog; being married; having children
preference     like, love, enjoy, prefer, hate and their kin in the present; favourites
skill          can, know how to, speak a language, play an instrument, be good at
event          something that happened or is planned: past or future of a verb that is not a state
person         anything else about somebody who is not the speaker
fact           the rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....model import Kind
from .grammar import is_person, objects, owner_of
from .people import ACQUAINTANCES, PETS, RELATIONS, RELATIVES
from .reading import Reading
from .slots import favourite_of, slot_predicate
from .smalltalk import is_speaker
from .statements import Clause
from .topics import LANGUAGES
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

IMPORTANCE: dict[Kind, float] = {
    "rule": 0.4,
    "attribute": 0.35,
    "relationship": 0.35,
    "preference": 0.3,
    "skill": 0.3,
    "person": 0.3,
    "event": 0.3,
    "fact": 0.25,
}
"""How much a kind matters before anything is known of its use. A message itself weighs 0.5: what it says verbatim comes
before what was made of it, where both answer."""

_PREFER = words("like love hate prefer enjoy dislike adore detest loathe fancy despise")
_STATES = _PREFER | words(
    """
    be have know think feel want need believe seem own live belong mean understand consist contain cost matter
    remain stay keep look sound hope wish remember agree care depend deserve involve
    """
)
_ENTHUSIASTIC = words("fan passionate fond keen crazy obsessed addicted mad")
_INSTRUMENTS = words(
    """
    guitar piano violin drum drums bass cello flute saxophone sax trumpet clarinet ukulele harp keyboard banjo
    viola harmonica accordion oboe organ
    """
)
_ABLE = words("good great skilled fluent proficient expert experienced excellent bad terrible")
_CONDITIONS = words(
    """
    allergic vegetarian vegan pescatarian diabetic colorblind dyslexic intolerant asthmatic lactose gluten
    retired pregnant transgender trans gay lesbian bisexual queer nonbinary autistic deaf blind left right
    """
)
_ATTRIBUTES = frozenset({"lives in", "works at", "works as", "diet", "is named", "age", "birthday"})
_MARITAL = frozenset({"married", "engaged", "divorced", "single", "widowed"})


def kind_of(clause: Clause, reading: Reading, *, dated: bool) -> Kind:
    """Return the kind of a clause. `dated`: it names a day or year, other than since when something holds."""
    subject, verb = clause.subject, reading.verb
    lemma = verb.lemma_.lower()
    somebody = subject is not None and is_person(subject)
    single = None if reading.past or reading.formerly else slot_predicate(clause, reading)
    if single in {"works as", "diet"} and subject is not None and not _named_or_self(subject):
        single = None
    if single in _ATTRIBUTES or is_birth(verb):
        return "attribute"
    if favourite_of(clause) or (somebody and _likes(reading)):
        return "preference"
    if somebody and _relates(clause, reading) and not (dated and (reading.past or verb.tag_ in {"VBN", "VBG"})):
        return "relationship"
    if somebody and _able(clause, reading):
        return "skill"
    if somebody and not reading.past and _describes(reading):
        return "attribute" if subject is not None and _named_or_self(subject) else "person"
    if verb.lower_ == "got" and reading.perfect:
        lemma = "have"
    happened = reading.past or reading.future or (reading.perfect and not reading.continuing)
    certain = not (reading.formerly or reading.uncertain or reading.negated)
    if certain and (dated or (happened and lemma not in _STATES)):
        return "event"
    if subject is not None and somebody and not is_speaker(subject):
        return "person"
    return "fact"


def _likes(reading: Reading) -> bool:
    """ "Loves hiking", "is a fan of jazz", "is passionate about dancing": now, not "would love to"."""
    verb = reading.verb
    if any(child.lower_ == "rather" and child.dep_ == "advmod" for child in verb.children):
        return True
    if reading.past or reading.future or reading.wish or reading.uncertain:
        return False
    lemma = verb.lemma_.lower()
    if lemma in _PREFER or (lemma in {"stand", "mind"} and reading.negated):
        return True
    if lemma in {"be", "obsess"} and verb.lower_ != "been":
        return verb.lower_ == "obsessed" or any(
            (child.lower_ in _ENTHUSIASTIC and any(inner.dep_ == "prep" for inner in child.children))
            or (child.lower_ == "into" and child.dep_ == "prep")
            for child in verb.children
        )
    return False


def is_birth(verb: Token) -> bool:
    """ "Was born in Naples"."""
    return bool(verb.lower_ == "born")


def _named_or_self(subject: Token) -> bool:
    return is_speaker(subject) or subject.lower_ == "you"


def _relates(clause: Clause, reading: Reading) -> bool:
    verb = reading.verb
    for child in verb.children:
        related = child.lemma_.lower() in RELATIONS
        if verb.lemma_ == "be" and child.dep_ == "attr" and related and owner_of(child) is not None:
            return True
        if verb.lemma_ == "have" and child.dep_ == "dobj" and child.lemma_.lower() in RELATIVES | PETS:
            return not reading.past
        if verb.lemma_ == "be" and child.dep_ in {"acomp", "attr"} and child.lower_ in _MARITAL:
            return True
    if verb.lemma_ == "marry" and not reading.past:
        return True
    subject = clause.subject
    mine = subject is not None and subject.lemma_.lower() in RELATIVES | ACQUAINTANCES and owner_of(subject) is not None
    return bool(mine and verb.lemma_ == "be" and any(c.dep_ == "attr" and c.pos_ == "PROPN" for c in verb.children))


def _able(clause: Clause, reading: Reading) -> bool:
    verb = reading.verb
    if reading.past or reading.future or reading.uncertain:
        return False
    objects_of = {child.lower_ for child in verb.children if child.dep_ in {"dobj", "advmod", "acomp"}}
    if any(child.lower_ in {"can", "ca"} and child.dep_ == "aux" for child in verb.children):
        named = objects_of & (LANGUAGES | _INSTRUMENTS)
        return bool(named) or verb.lemma_ in {
            "cook",
            "swim",
            "drive",
            "code",
            "sing",
            "dance",
            "draw",
            "ski",
            "read",
            "speak",
        }
    if verb.lemma_ == "speak" and objects_of & LANGUAGES:
        return True
    if verb.lemma_ == "play" and objects_of & _INSTRUMENTS:
        return True
    if verb.lemma_ == "know" and " know how to " in f" {clause.text.lower()} ":
        return True
    return verb.lemma_ == "be" and bool(objects_of & _ABLE) and bool(objects(verb, "at", "in"))


def _describes(reading: Reading) -> bool:
    """ "Is a nurse", "is allergic to nuts", "is from Oslo": what somebody is."""
    if reading.verb.lemma_ != "be":
        return False
    for child in reading.verb.children:
        if child.dep_ == "attr" and child.pos_ in {"NOUN", "PROPN"} and child.lower_ not in {"fan", "time", "way"}:
            return any(inner.lower_ in {"a", "an"} for inner in child.children) or child.pos_ == "PROPN"
        if child.dep_ == "acomp" and child.lower_ in _CONDITIONS:
            return True
        if child.dep_ == "prep" and child.lower_ == "from":
            return True
    return False
