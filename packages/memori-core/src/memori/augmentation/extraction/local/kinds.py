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
from .people import ACQUAINTANCES, PETS, RELATIONS, RELATIVES
from .reading import Reading
from .selection import is_speaker
from .statements import Clause
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

IMPORTANCE: dict[Kind, float] = {
    "rule": 0.9,
    "attribute": 0.8,
    "relationship": 0.8,
    "preference": 0.7,
    "skill": 0.6,
    "person": 0.6,
    "event": 0.5,
    "fact": 0.4,
}
"""How much a kind matters before anything is known of its use."""

_PREFER = words("like love hate prefer enjoy dislike adore detest loathe fancy despise")
_STATES = _PREFER | words(
    """
    be have know think feel want need believe seem own live belong mean understand consist contain cost matter
    remain stay keep look sound hope wish remember agree care depend deserve involve
    """
)
_DWELL = frozenset({"live", "reside", "base"})
_LANGUAGES = words(
    """
    english french german spanish italian portuguese dutch russian polish ukrainian turkish arabic hebrew hindi
    urdu bengali mandarin chinese cantonese japanese korean vietnamese thai swedish norwegian danish finnish
    greek czech hungarian romanian latin swahili
    """
)
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
_ATTRIBUTES = frozenset({"lives in", "works at", "is named", "age", "birthday"})
_MARITAL = frozenset({"married", "engaged", "divorced", "single", "widowed"})


def kind_of(clause: Clause, reading: Reading, *, dated: bool) -> Kind:
    """Return the kind of a clause. `dated`: it names a day or year, other than since when something holds."""
    subject, verb = clause.subject, reading.verb
    lemma = verb.lemma_.lower()
    somebody = subject is not None and is_person(subject)
    if (not reading.past and slot_predicate(clause, reading) in _ATTRIBUTES) or _born(verb):
        return "attribute"
    if _favourite(clause) or (somebody and _likes(reading)):
        return "preference"
    if somebody and _relates(clause, reading):
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
        if lemma == "be" and subject.lemma_ in {"name", "birthday"} and _owner(subject) is not None:
            return "is named" if subject.lemma_ == "name" else "birthday"
        if lemma == "be" and (favourite := _favourite(clause)) is not None:
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
        return _owner(favourite)
    return _owner(subject) if subject.lemma_ in {"name", "birthday"} else subject


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
    return bool(token.lemma_.lower() in RELATIONS and token.pos_ == "NOUN" and _owner(token) is not None)


def _likes(reading: Reading) -> bool:
    """ "Loves hiking", "is a fan of jazz", "is passionate about dancing": now, not "would love to"."""
    verb = reading.verb
    if reading.past or reading.future or reading.wish or reading.uncertain:
        return False
    if verb.lemma_.lower() in _PREFER:
        return True
    return verb.lemma_ == "be" and any(
        child.lower_ in {"fan", "passionate", "fond", "keen", "crazy", "obsessed"}
        and any(inner.dep_ == "prep" for inner in child.children)
        for child in verb.children
    )


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


def _born(verb: Token) -> bool:
    return bool(verb.lower_ == "born")


def _named_or_self(subject: Token) -> bool:
    return is_speaker(subject) or subject.lower_ == "you"


def _owner(noun: Token) -> Token | None:
    return next((child for child in noun.children if child.dep_ == "poss"), None)


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
    return subject if loved and _owner(subject) is not None else None


def _favourite(clause: Clause) -> str | None:
    noun = _favourite_noun(clause)
    return None if noun is None else str(noun.lemma_.lower())


def _married_to(verb: Token) -> list[Token]:
    if verb.lemma_ == "marry" or any(child.lower_ == "married" for child in verb.children):
        return objects(verb, "to")
    return []


def _relates(clause: Clause, reading: Reading) -> bool:
    verb = reading.verb
    for child in verb.children:
        related = child.lemma_.lower() in RELATIONS
        if verb.lemma_ == "be" and child.dep_ == "attr" and related and _owner(child) is not None:
            return True
        if verb.lemma_ == "have" and child.dep_ == "dobj" and child.lemma_.lower() in RELATIVES | PETS:
            return not reading.past
        if verb.lemma_ == "be" and child.dep_ in {"acomp", "attr"} and child.lower_ in _MARITAL:
            return True
    if verb.lemma_ == "marry" and not reading.past:
        return True
    subject = clause.subject
    mine = subject is not None and subject.lemma_.lower() in RELATIVES | ACQUAINTANCES and _owner(subject) is not None
    return bool(mine and verb.lemma_ == "be" and any(c.dep_ == "attr" and c.pos_ == "PROPN" for c in verb.children))


def _able(clause: Clause, reading: Reading) -> bool:
    verb = reading.verb
    if reading.past or reading.future or reading.uncertain:
        return False
    objects_of = {child.lower_ for child in verb.children if child.dep_ in {"dobj", "advmod", "acomp"}}
    if any(child.lower_ in {"can", "ca"} and child.dep_ == "aux" for child in verb.children):
        named = objects_of & (_LANGUAGES | _INSTRUMENTS)
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
    if verb.lemma_ == "speak" and objects_of & _LANGUAGES:
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
