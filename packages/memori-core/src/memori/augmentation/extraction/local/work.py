"""Read what a clause says of somebody's work: where, as what, and that it began or ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grammar import is_name, objects, owner_of
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

_JOIN = words("join start begin")
_LEAVE = words("leave quit resign retire")
_WORKPLACES = words("job position role post work employer company gig internship apprenticeship career")
_FIRMS = words("company startup firm agency bank team hospital school university lab insurer charity ngo studio shop")
OCCUPATIONS = words(
    """
    accountant actor actress actuary administrator analyst anesthetist apprentice architect archivist artist
    assistant attorney auditor author baker banker barber barista bartender beekeeper biologist bookkeeper
    brewer bricklayer broker builder butcher butler captain caregiver carer carpenter cashier ceo cfo chef
    chemist chiropractor cleaner clerk coach coder consultant contractor controller cook copywriter counselor
    courier cto curator dancer dentist designer developer dietitian director dispatcher doctor driver economist
    editor electrician engineer estimator executive farmer firefighter fisherman fitter florist foreman forester
    founder freelancer gardener geologist glazier grocer groom guard hairdresser housekeeper illustrator
    instructor intern interpreter janitor jeweller jockey joiner journalist judge landscaper lawyer lead
    lecturer librarian lieutenant lifeguard locksmith machinist manager marketer mason mechanic midwife musician
    nanny nurse nutritionist officer operator optician optometrist orderly orthodontist osteopath painter
    paralegal paramedic pharmacist phlebotomist photographer physicist physiotherapist pilot planner plumber
    podiatrist policeman policewoman porter postman principal producer professor programmer proofreader
    psychologist radiographer radiologist receptionist recruiter referee registrar reporter researcher roofer
    sailor salesman salesperson scientist seamstress secretary soldier solicitor sommelier statistician steward
    strategist stylist surgeon surveyor tailor teacher technician therapist trader trainer translator treasurer
    trucker tutor umpire underwriter upholsterer vet veterinarian vp waiter waitress warden welder writer
    """
)


def changes_work(verb: Token, lemma: str) -> bool:
    """ "Joined Bosch", "started a new job", "left KPMG", "got laid off", "retired"."""
    things = [child for child in verb.children if child.dep_ == "dobj"]
    if lemma in _JOIN and any(thing.ent_type_ == "ORG" or _is_firm(thing) for thing in things):
        return True
    if lemma in {"start", "begin", "get", "take", "accept", "land", "find", "have", "leave", "quit", "lose"}:
        # "I start work at nine" says when.
        if any(thing.lemma_.lower() in _WORKPLACES and thing.lower_ != "work" for thing in things):
            return lemma != "have" or any(child.lower_ == "new" for thing in things for child in thing.children)
        begun = [child for child in verb.children if child.dep_ == "xcomp" and child.lemma_ == "work"]
        if lemma in {"start", "begin"} and any(employers(child) for child in begun):
            return True
    there = objects(verb, "at", "with") if lemma in {"start", "begin"} else []
    if any(is_name(noun) or noun.lemma_.lower() in _FIRMS for noun in there):
        return True
    if lemma in {"accept", "sign"} and any(thing.lemma_ in {"offer", "contract"} for thing in things):
        return True
    if lemma == "go" and any(child.lower_ in {"freelance", "self-employed"} for child in verb.children):
        return True
    if lemma in {"hand", "give"} and any(thing.lemma_ in {"notice", "resignation"} for thing in things):
        return True
    if lemma in {"found", "open", "set", "launch"} and any(c.lower_ == "own" for t in things for c in t.children):
        return True
    if lemma in {"change", "switch"} and any(thing.lemma_ in {"job", "employer", "company"} for thing in things):
        return True
    if lemma in {"make", "become", "be"} and any(c.lower_ in {"redundant", "self-employed"} for c in verb.children):
        return True
    if lemma in {"move", "switch", "transfer"} and any(noun.ent_type_ == "ORG" for noun in objects(verb, "to")):
        return True
    if lemma in _LEAVE:
        return lemma in {"retire", "resign"} or any(
            thing.pos_ == "PROPN" for thing in things if thing.ent_type_ != "GPE"
        )
    if lemma == "let" and any(child.lower_ == "go" for child in verb.children):
        return any(child.dep_ == "auxpass" for child in verb.children)
    if lemma in {"fire", "hire", "employ", "sack"}:
        return any(child.dep_ == "auxpass" for child in verb.children)
    return lemma == "lay" and any(child.lower_ == "off" for child in verb.children)


def _is_firm(noun: Token) -> bool:
    return noun.lemma_.lower() in _FIRMS and any(child.dep_ in {"acl", "appos"} for child in noun.children)


def leaves_work(verb: Token) -> bool:
    """Whether a verb ends somebody's work without naming the next: "quit my job", "was laid off", "retired"."""
    lemma = verb.lemma_.lower()
    things = [child for child in verb.children if child.dep_ == "dobj"]
    if lemma in {"leave", "quit", "lose", "resign", "retire", "fire", "sack", "let", "lay"}:
        return True
    if lemma in {"hand", "give"}:
        return any(thing.lemma_ in {"notice", "resignation"} for thing in things)
    return any(child.lower_ in {"redundant", "unemployed", "jobless"} for child in verb.children)


def is_trade(noun: Token) -> bool:
    """Whether a complement names an occupation."""
    return noun.dep_ == "attr" and noun.lemma_.lower() in OCCUPATIONS and owner_of(noun) is None


def employers(verb: Token) -> list[Token]:
    """ "At Siemens", "at a bakery", "for Google"; not "at night", "for a while"."""
    at = [noun for noun in objects(verb, "at") if noun.lower_ not in {"home", "night", "moment", "once", "weekend"}]
    named = [noun for noun in objects(verb, "for") if noun.pos_ == "PROPN" or noun.lemma_.lower() in _FIRMS]
    return [noun for noun in (*at, *named) if noun.ent_type_ not in {"DATE", "TIME"}]
