"""Find what a clause says that has one value at a time: home, job, name, age, favourites, marriage, the date of a plan.

A slot is such a thing of somebody: what is said of it later replaces what was said before, so "I moved to Bergen" ends
"I live in Oslo", and "I quit my job" ends "I work at Siemens". What can be true twice (a language, a child, a hobby)
has a slot that names its object, which only its own end or opposite shares: see states.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grammar import age_in, has_object, is_exact, is_name, is_person, kind_of_thing, names_one, objects, owner_of
from .marriage import SPOUSES, married_to, marries
from .people import RELATIONS
from .reading import Reading
from .statements import Clause
from .wordlist import words
from .work import changes_work, employers, is_trade

if TYPE_CHECKING:
    from spacy.tokens import Token

_DWELL = words("live reside base settle stay")
_RELOCATE = words("move relocate resettle emigrate immigrate settle")
_DIETS = words("vegan vegetarian pescatarian omnivore carnivore flexitarian keto paleo teetotal teetotaler")
_MEATS = words("meat fish dairy chicken beef pork seafood")
SINGLE_RELATIONS = words(
    """
    wife husband spouse fiance fiancee fiancé fiancée girlfriend boyfriend boss manager supervisor landlord landlady
    mentor therapist dentist doctor advisor adviser coach physiotherapist gp
    """
)
"""People of whom one has one at a time, as far as a sentence tells."""
_HOMES = words("floor house flat dorm bungalow house flat apartment place home cottage condo studio")
_SHIFTS = words("shift hour day time morning afternoon evening night weekend part-time full-time")
_CODES = words("password pin code address number username handle plate")
_STAGES = words("year grade semester term trimester shift visa")
_SCHOOLS = words("school primary secondary college university high academy elementary kindergarten nursery")
_WHEREABOUTS = words("hospital home jail prison town rehab")


def slot_predicate(clause: Clause, reading: Reading) -> str | None:
    """Return the predicate of a clause that has one value at a time, or None.

    A past "moved to Berlin" counts: it says where somebody lives, and what was said later wins.
    """
    subject, verb = clause.subject, reading.verb
    if subject is None or reading.uncertain or reading.wish:
        return None
    if verb.lemma_ == "start" and reading.past and any(_is_school(noun) for noun in objects(verb, "at")):
        return "studies at"
    lemma = verb.lemma_.lower()
    if (lemma == "be" and reading.past) or reading.future or _repeats(clause):
        return None
    if (reading.negated or reading.formerly) and not reading.no_longer:
        return None
    found = _of_life(clause, reading, lemma) or _of_identity(clause, reading, lemma)
    present = not reading.past and not reading.perfect and is_person(subject)
    return found or (_of_routine(verb, lemma, subject) if present else None)


def _of_routine(verb: Token, lemma: str, subject: Token) -> str | None:
    """How somebody lives and works, when they get up, where they are for now, what they are reading."""
    if lemma == "live":
        if objects(verb, "with") or any(child.lower_ == "alone" for child in verb.children):
            return "lives with"
        return "lives in a" if objects(verb, "in", "on") else None
    if lemma == "work":
        timed = [child for child in verb.children if child.dep_ in {"npadvmod", "dobj"}]
        if any(child.lemma_.lower() in _SHIFTS or child.ent_type_ in {"DATE", "TIME"} for child in timed):
            return "works hours"
        return next((f"works {word}" for word in ("from", "in") if objects(verb, word)), None)
    if lemma in {"get", "wake"} and any(child.lower_ == "up" for child in verb.children) and objects(verb, "at"):
        return "gets up at"
    if lemma in {"cycle", "walk", "drive", "bike", "ride", "commute", "take"}:
        there = any(token.lower_ == "work" and token.i and token.nbor(-1).lower_ == "to" for token in verb.subtree)
        return "commutes" if lemma == "commute" or there else None
    if lemma == "want":
        wish = [child for child in verb.children if child.dep_ == "xcomp" and child.lemma_ in {"be", "become"}]
        return "wants to be" if wish else None
    if lemma == "go" and objects(verb, "to") and any(noun.lower_ == "bed" for noun in objects(verb, "to")):
        return "goes to bed at"
    if lemma == "go" and objects(verb, "to") and objects(verb, "on"):
        return f"goes to {objects(verb, 'to')[0].lemma_.lower()} on"
    if lemma in {"start", "finish"} and subject.lower_ in {"i", "we"} and _is_hour(verb):
        return f"{lemma}s work at"
    if lemma in {"go", "start"} and any(_is_school(noun) for noun in objects(verb, "to", "at")):
        return "studies at"
    if lemma in {"be", "stay"}:
        terms = [noun for noun in objects(verb, "in", "on") if noun.lemma_.lower() in _STAGES]
        if terms:
            return f"is in {terms[0].lemma_.lower()}"
        where = objects(verb, "in", "at")
        away = any(noun.ent_type_ == "GPE" or noun.lower_ in _WHEREABOUTS for noun in where)
        away |= any(is_name(noun) for noun in objects(verb, "at"))
        return "is at" if away or any(child.lower_ == "home" for child in verb.children) else None
    return "reads" if lemma == "read" and verb.tag_ == "VBG" and has_object(verb) else None


def _of_life(clause: Clause, reading: Reading, lemma: str) -> str | None:
    """Where somebody lives and works, how old they are, and with whom."""
    subject, verb = clause.subject, reading.verb
    if subject is None:
        return None
    if not reading.past:
        if lemma in _DWELL and any(is_name(place) for place in objects(verb, "in", "at")) and _still(reading):
            return None if lemma == "stay" else "lives in"
        if lemma == "work" and employers(verb) and _still(reading):
            return "works at"
        if lemma in {"be", "turn"} and is_person(subject) and age_in(verb) is not None:
            return "age"
    if lemma == "turn" and age_in(verb) is not None:
        return "age"
    if lemma == "move" and any(child.lower_ == "out" for child in verb.children):
        return "lives with"
    planned = verb.tag_ == "VBG" and not reading.perfect
    if lemma in _RELOCATE and not (planned or (reading.perfect and reading.negated)) and is_person(subject):
        # "I moved over to Neovim", "I moved my account to Monzo": not a home.
        if any(child.dep_ == "dobj" or child.lower_ in {"over", "on", "across"} for child in verb.children):
            return None
        reached = objects(verb, "to", "in", "into")
        reached += [place for noun in reached for place in objects(noun, "in")]
        if any(is_name(place) for place in reached):
            return "lives in"
        if any(place.lemma_.lower() in _HOMES for place in reached):
            return "lives in a"
    if lemma in {"buy", "rent", "get", "find"} and is_person(subject) and reading.past:
        homes = [c for c in verb.children if c.dep_ == "dobj" and c.lemma_.lower() in _HOMES]
        if any(is_name(place) for home in homes for place in (*objects(home, "in"), *objects(verb, "in"))):
            return "lives in"
    if is_person(subject) and changes_work(verb, lemma):
        return "works at"
    if married_to(verb) or marries(verb, lemma, clause):
        return "married to"
    return None


def _of_identity(clause: Clause, reading: Reading, lemma: str) -> str | None:
    """What somebody is and what something of theirs is: name, trade, diet, favourite, number, boss."""
    subject, verb = clause.subject, reading.verb
    if subject is None:
        return None
    if lemma in {"move", "switch", "change", "put"}:
        stages = [noun for noun in objects(verb, "to", "on") if noun.lemma_.lower() in _STAGES]
        if stages:
            return f"is in {stages[0].lemma_.lower()}"
    if lemma in {"start", "begin"} and _eats_flesh(verb):
        return "diet"
    if lemma == "go" and any(child.lemma_.lower() in _DIETS for child in verb.children):
        return "diet"
    if lemma in {"change", "switch", "raise", "lower", "update"} and objects(verb, "to"):
        mine = [child for child in verb.children if child.dep_ == "dobj" and owner_of(child) is not None]
        if mine and mine[0].lemma_ != "name":
            return f"{kind_of_thing(mine[0])} is"
    renamed = any(child.dep_ == "dobj" and child.lemma_ == "name" for child in verb.children)
    if lemma == "change" and renamed and objects(verb, "to"):
        return "is named"
    if reading.past and lemma not in {"become", "promote"}:
        return None
    if lemma == "go" and any(is_name(noun) for noun in objects(verb, "by")):
        return "is called"
    if lemma == "promote":
        return "works as" if objects(verb, "to") else None
    favourite = favourite_of(clause)
    if favourite is not None:
        return f"favorite {favourite}"
    owned = owner_of(subject) is not None
    if lemma == "be" and subject.lemma_ in {"name", "birthday"} and owned:
        return "is named" if subject.lemma_ == "name" else "birthday"
    complements = [child for child in verb.children if child.dep_ in {"attr", "acomp", "oprd"}]
    if lemma in {"be", "become"} and is_person(subject):
        if any(child.lemma_.lower() in _DIETS for child in complements) or any(
            noun.lemma_ == "diet" for noun in objects(verb, "on")
        ):
            return "diet"
        if any(child.lower_ in {"unemployed", "jobless"} for child in complements):
            return "works at"
        if any(is_trade(child) for child in complements):
            return "works at" if any(is_name(noun) for c in complements for noun in objects(c, "at")) else "works as"
    if lemma == "work" and is_person(subject) and objects(verb, "as") and _still(reading):
        return "works as"
    relation = subject.lemma_.lower()
    if lemma in {"be", "call", "name"} and owned and relation in SINGLE_RELATIONS and names_one(complements):
        return "married to" if relation in SPOUSES else relation
    mine = [child for child in complements if child.dep_ == "attr" and owner_of(child) is not None]
    if lemma == "be" and subject.pos_ == "PROPN" and mine:
        relation = mine[0].lemma_.lower()
        if relation in SINGLE_RELATIONS:
            return "married to" if relation in SPOUSES else relation
        return f"{kind_of_thing(mine[0])} is" if relation not in RELATIONS else None
    if lemma in {"have", "get"} and is_person(subject):
        new = [thing for thing in verb.children if thing.dep_ == "dobj" and thing.lemma_.lower() in SINGLE_RELATIONS]
        if any(child.lower_ == "new" for thing in new for child in thing.children):
            return "married to" if new[0].lemma_.lower() in SPOUSES else new[0].lemma_.lower()
    if (
        lemma == "be"
        and owned
        and subject.pos_ == "NOUN"
        and not is_person(subject)
        and (is_exact(complements) or subject.lemma_.lower() in _CODES)
    ):
        return f"{kind_of_thing(subject)} is"
    if owned and subject.pos_ == "NOUN" and not is_person(subject):
        counted = [c for c in verb.children if c.dep_ == "dobj" and any(n.dep_ == "nummod" for n in c.children)]
        if lemma == "have" and counted:
            return f"{kind_of_thing(subject)} number"
        if lemma in {"start", "begin", "open", "close", "end", "finish"} and objects(verb, "at"):
            return f"{kind_of_thing(subject)} {lemma}s at"
    if _eats_flesh(verb):
        return "diet"
    if lemma == "make" and any(child.lemma_ in {"month", "year", "hour", "week"} for child in verb.children):
        return "earns"
    if lemma in {"weigh", "earn", "drive", "study", "major"} and is_person(subject) and has_object(verb):
        return {"study": "studies", "major": "studies"}.get(lemma, f"{lemma}s")
    return None


def slot_owner(clause: Clause) -> Token | None:
    """Whose single value it is: the subject, or the one whose name, birthday, boss or favourite the subject is."""
    subject = clause.subject
    if subject is None:
        return None
    favourite = _favourite_noun(clause)
    if favourite is not None:
        return owner_of(favourite)
    for child in clause.root.children:
        if subject.pos_ == "PROPN" and child.dep_ == "attr" and clause.root.lemma_ == "be" and owner_of(child):
            return owner_of(child)
    owned = subject.lemma_ in {"name", "birthday"} or subject.lemma_.lower() in SINGLE_RELATIONS
    named = any(child.dep_ in {"attr", "oprd"} and names_one([child]) for child in clause.root.children)
    thing = subject.pos_ == "NOUN" and not is_person(subject)
    if owner_of(subject) is not None and (subject.lemma_ in {"name", "birthday"} or (owned and named) or thing):
        return owner_of(subject)
    # "Sana and I got engaged" is said of me first.
    return next((token for token in clause.tokens if token.lower_ in {"i", "we"} and token.i < clause.root.i), subject)


def favourite_of(clause: Clause) -> str | None:
    """What the clause names a favourite of: "color" in "my favourite color is blue"."""
    noun = _favourite_noun(clause)
    return None if noun is None else str(noun.lemma_.lower())


def _repeats(clause: Clause) -> bool:
    """ "I also work at a bar": one more, not another."""
    return any(token.lower_ in {"also", "too", "another", "both", "sometimes", "part-time"} for token in clause.tokens)


def _favourite_noun(clause: Clause) -> Token | None:
    """The thing that is a favourite, as subject ("my favourite food is pho") or complement ("pho is my favourite")."""
    subject = clause.subject
    if subject is None:
        return None
    complements = [c for c in clause.root.children if c.dep_ == "attr"] if clause.root.lemma_ == "be" else []
    for noun in (subject, *complements):
        loved = any(token.lower_ in {"favorite", "favourite"} for token in (noun, *noun.children))
        if loved and owner_of(noun) is not None:
            return noun
    return None


def _eats_flesh(verb: Token) -> bool:
    eating = [one for one in (verb, *verb.children) if one.lemma_ == "eat"]
    return any(child.lower_ in _MEATS for one in eating for child in one.children)


def _is_hour(verb: Token) -> bool:
    starts = [verb, *(child for child in verb.children if child.lower_ == "work")]
    return any(noun.ent_type_ == "TIME" or noun.pos_ == "NUM" for one in starts for noun in objects(one, "at"))


def _is_school(noun: Token) -> bool:
    return is_name(noun) and any(token.lower_ in _SCHOOLS for token in (noun, *noun.children))


def _still(reading: Reading) -> bool:
    return reading.continuing or not reading.perfect
