"""Name what can be so of several things at once by its object, so that only its own end or opposite replaces it.

"I love coffee" and "I don't like coffee anymore" share the slot "feels about coffee"; "I love tea" has another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grammar import is_person, kind_of_thing, objects
from .people import PETS, RELATIVES, noun_phrase
from .reading import Reading
from .statements import Clause
from .topics import LANGUAGES
from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Token

_FEEL = words("like love enjoy hate dislike adore detest loathe despise mind")
_FEELING = words("fan into obsessed crazy keen fond passionate")
_HOLD = words("have own use play speak smoke drink eat wear attend watch practice practise keep rent study do take")
_END = words("stop quit give drop cancel")
_PART = words("sell lose trade return cancel donate scrap crash drop")
_FALLS = words("phone iphone ipad laptop tablet camera glass plate cup mug bottle key")
_SCHEDULED = words(
    """
    appointment meeting wedding exam interview flight trip party deadline concert call lesson class course surgery
    operation checkup check-up visit session conference presentation delivery move holiday vacation match game race
    hearing audition graduation ceremony dinner lunch train test defence defense viewing event launch release marathon
    """
)
_HAPPEN = words("plan schedule set be start begin happen leave depart take end fall go land arrive")
_SHIFT = words("move postpone reschedule push bring shift slip delay change cancel extend")
_VAGUE_VERBS = words(
    "go get make come think know feel need want say try find look work live call turn put seem mean see"
)
_DRINKS = words("coffee tea alcohol beer wine soda caffeine milk cola")
_EATEN = words("meat sugar bread dairy gluten chocolate sweets fish carbs")
_WHICH = words("old new current first last little big own")
_WHERE = ("at", "in", "to", "for", "with", "on")
"""Prepositions that tell one habit from another; "before work" tells only when."""
_CHANGE = words("go rise increase drop fall change climb jump")


def state_of(clause: Clause, reading: Reading, *, dated: bool) -> str | None:
    """Return the name of the state a clause begins, keeps or ends, or None. `dated`: it names a day or time."""
    subject = clause.subject
    if subject is None or reading.uncertain or reading.wish:
        return None
    dated = dated or any(token.ent_type_ in {"DATE", "TIME"} for token in clause.tokens)
    planned = _journey(clause, reading, dated=dated) or _scheduled(clause, reading, dated=dated)
    if planned is not None:
        return planned
    if reading.past and not reading.perfect:
        return _ended(reading) if is_person(subject) else _changed(subject, reading)
    if reading.formerly and reading.past:
        return None
    if reading.perfect and not reading.continuing:
        return _ended(reading) or _changed(subject, reading)
    return _held(clause, reading) if is_person(subject) and not reading.future else None


def scheduled_thing(clause: Clause) -> Token | None:
    """The appointment, trip or deadline whose date a clause gives or changes: its subject, or what somebody has."""
    subject = clause.subject
    if subject is not None and (subject.lemma_.lower() in _SCHEDULED or _is_due(clause)):
        return subject
    verbs = [clause.root, *(child for child in clause.root.children if child.dep_ == "xcomp")]
    things = [child for verb in verbs for child in verb.children if child.dep_ == "dobj"]
    return next((thing for thing in things if thing.lemma_.lower() in _SCHEDULED), None)


def _is_due(clause: Clause) -> bool:
    """ "My thesis is due on May 1"."""
    return any(child.lower_ == "due" and child.dep_ == "acomp" for child in clause.root.children)


def _scheduled(clause: Clause, reading: Reading, *, dated: bool) -> str | None:
    thing, verb = scheduled_thing(clause), reading.verb
    if thing is None:
        return None
    lemma = verb.lemma_.lower()
    dated = dated or any(token.pos_ == "NUM" for token in clause.tokens)
    of_subject = thing == clause.subject
    called_off = lemma == "cancel" or (lemma == "be" and any(child.lower_ == "off" for child in verb.children))
    moved = lemma in _SHIFT and (dated or called_off)
    planned = dated and not reading.past and (lemma in _HAPPEN if of_subject else lemma in {"have", "get", "book"})
    which = kind_of_thing(thing).removesuffix(" deadline")
    return f"{which} when" if planned or moved or called_off else None


def _journey(clause: Clause, reading: Reading, *, dated: bool) -> str | None:
    """ "I'm flying to Lisbon on Friday", "I'm not going to Lisbon after all", "we cancelled the trip to Lisbon"."""
    verb, lemma = reading.verb, reading.verb.lemma_.lower()
    trips = [thing for thing in _things(verb) if thing.lemma_.lower() in {"trip", "flight", "holiday", "vacation"}]
    if lemma == "cancel":
        verb = trips[0] if trips else verb
    elif (
        lemma not in {"go", "fly", "travel", "move"}
        or not (dated or reading.negated)
        or (verb.tag_ != "VBG" and not reading.future)
    ):
        return None
    there = [place for place in objects(verb, "to") if place.pos_ == "PROPN"]
    return f"trip to {there[0].lemma_.lower()}" if there else None


def _held(clause: Clause, reading: Reading) -> str | None:
    verb = reading.verb
    lemma = verb.lemma_.lower()
    if lemma == "prefer":
        rivals = [*_things(verb), *objects(verb, "over", "to")]
        rivals += [rival for thing in _things(verb) for rival in objects(thing, "over", "to")]
        return "prefers " + " or ".join(sorted(token.lemma_.lower() for token in rivals)) if rivals else None
    if lemma in _FEEL or (lemma == "stand" and reading.negated):
        return about("feels about", _things(verb, gerunds=True))
    if lemma == "be":
        return _being(verb)
    if lemma == "smoke":
        return "smokes"
    things = _things(verb)
    counted = [child for thing in things for child in thing.children if child.dep_ == "nummod"]
    if lemma in {"have", "employ"} and counted:
        return about("number of", things)
    if lemma == "have" and things and things[0].lemma_.lower() in RELATIVES | PETS:
        return _companion(things[0])
    if lemma in {"swim", "drive"} and any(child.lower_ in {"can", "ca"} for child in verb.children):
        return f"can {lemma}"
    if lemma == "go" and verb.tag_ == "VBP" and (where := objects(verb, "to")) and where[0].pos_ == "NOUN":
        return f"goes to {where[0].lemma_.lower()}"
    if lemma == "look" and objects(verb, "for"):
        return about("seeks", objects(verb, "for"))
    if lemma == "speak" and (spoken := [token for token in verb.subtree if token.lower_ in LANGUAGES]):
        return f"does speak {spoken[0].lower_}"
    if lemma == "work" and objects(verb, "on"):
        return about("does work", objects(verb, "on"))
    if lemma in _HOLD and (held := about("has" if lemma in {"own", "have", "keep"} else f"does {lemma}", things)):
        return held
    return _ended(reading) or _does(verb)


def _does(verb: Token) -> str | None:
    """What somebody does as a habit, by verb and object: "jogs", "volunteers at the food bank"."""
    if verb.lemma_ == "go" and (gerund := next((c for c in verb.children if c.tag_ == "VBG"), None)) is not None:
        return f"does {gerund.lemma_.lower()}"
    if verb.pos_ != "VERB" or verb.lemma_ in _VAGUE_VERBS or any(c.dep_ in {"ccomp", "xcomp"} for c in verb.children):
        return None
    things = _things(verb) or [noun for noun in objects(verb, *_WHERE) if noun.ent_type_ not in {"DATE", "TIME"}]
    return about(f"does {verb.lemma_.lower()}", things) or f"does {verb.lemma_.lower()}"


def _companion(noun: Token) -> str | None:
    """ "A dog called Rex" is one of perhaps several, "a cat" the only one known of."""
    if noun.tag_ != "NN" or noun.lemma_.lower() not in PETS:
        return None
    named = [name for child in noun.children if child.dep_ == "acl" for name in child.children if name.dep_ == "oprd"]
    return f"has {noun.lemma_.lower()}" + (f" {named[0].lower_}" if named else "")


def _being(verb: Token) -> str | None:
    for child in verb.children:
        if child.lower_ in _FEELING:
            things = objects(child, "of", "with", "about", "on") or [c for c in child.children if c.dep_ in {"pobj"}]
            things = things or [inner for inner in child.children if inner.dep_ == "pcomp"]
            return about("feels about", things)
        if child.lower_ == "fluent" and (spoken := [t for t in child.subtree if t.lower_ in LANGUAGES]):
            return f"does speak {spoken[0].lower_}"
        if child.dep_ == "acomp":
            whereof = "".join(f" {thing.lemma_.lower()}" for thing in objects(child, "to", "of"))
            return f"is {child.lower_}{whereof}"
        if child.dep_ == "attr" and child.pos_ == "NOUN" and any(c.lower_ in {"a", "an"} for c in child.children):
            return "smokes" if child.lemma_ == "smoker" else f"is a {child.lemma_.lower()}"
    return None


def _ended(reading: Reading) -> str | None:
    """ "Quit smoking", "gave up coffee", "sold my car"."""
    verb = reading.verb
    lemma = verb.lemma_.lower()
    if lemma in _END and (lemma != "give" or any(child.lower_ == "up" for child in verb.children)):
        for child in verb.children:
            if child.lower_ == "smoking":
                return "smokes"
            if child.dep_ in {"xcomp", "pcomp"} and child.tag_ == "VBG":
                return _does(child)
        for thing in _things(verb):
            if lemma != "cancel" and not _is_possessed(thing):
                word = thing.lemma_.lower()
                return f"does {'drink' if word in _DRINKS else 'eat' if word in _EATEN else 'play'} {word}"
    given = lemma in {"give", "get"} and any(child.lower_ in {"away", "rid"} for child in verb.children)
    if (lemma in _PART and not slips(verb, lemma)) or lemma == "rid" or given:
        mine = [thing for thing in (*_things(verb), *objects(verb, "of")) if _is_ones_own(thing)]
        return about("has", mine)
    if lemma in {"swap", "switch", "change", "replace", "trade", "upgrade"} and objects(verb, "from"):
        return about("does use", objects(verb, "from"))
    if lemma in {"swap", "switch", "replace", "trade"} and _things(verb):
        return about("has", _things(verb))
    if lemma in {"find", "buy", "adopt", "hire"} and _things(verb):
        return about("seeks", _things(verb)[:1])
    if lemma == "give" and any(thing.lower_ == "birth" for thing in _things(verb)):
        return "is pregnant"
    if lemma == "go" and any(child.lower_ == "off" for child in verb.children):
        loved = _things(verb) or objects(verb, "off") or [c for c in verb.children if c.dep_ == "npadvmod"]
        return about("feels about", [thing for thing in loved if thing.ent_type_ not in {"DATE", "TIME"}])
    if lemma == "graduate":
        return "is a student"
    if lemma == "learn":
        able = [child.lemma_ for child in verb.children if child.dep_ == "xcomp"]
        return f"can {able[0]}" if able else None
    return None


def slips(verb: Token, lemma: str) -> bool:
    """ "I dropped my phone": it fell."""
    return lemma == "drop" and any(thing.lemma_.lower() in _FALLS for thing in _things(verb))


def _changed(subject: Token, reading: Reading) -> str | None:
    """ "My rent went up to 950", "our team has grown to eight people", "my bike was stolen"."""
    if reading.verb.lemma_ in {"steal", "die", "sell", "total", "lose", "lapse", "expire"} and _is_ones_own(subject):
        return f"has {subject.lemma_.lower()}"
    if reading.verb.lemma_ == "come" and any(child.lower_ == "off" for child in reading.verb.children):
        return f"has {subject.lemma_.lower()}" if _is_ones_own(subject) else None
    if reading.verb.lemma_ in {"grow", "shrink"} and any(token.pos_ == "NUM" for token in reading.verb.subtree):
        return f"{kind_of_thing(subject)} number"
    if reading.verb.lemma_.lower() not in _CHANGE or not _is_ones_own(subject):
        return None
    reached = any(token.pos_ in {"NUM", "PROPN"} or token.ent_type_ for token in reading.verb.subtree)
    return f"{kind_of_thing(subject)} is" if reached else None


def _things(verb: Token, *, gerunds: bool = False) -> list[Token]:
    wanted = {"dobj", "xcomp"} if gerunds else {"dobj"}
    return [child for child in verb.children if child.dep_ in wanted and child.pos_ in {"NOUN", "PROPN", "VERB", "ADJ"}]


def about(state: str, things: list[Token]) -> str | None:
    """Return a state with the words that tell which thing: "a subscription to Netflix" is "my Netflix subscription"."""
    if not things:
        return None
    thing = things[0]
    if thing.pos_ == "ADJ":
        thing = next((child for child in thing.children if child.dep_ == "compound"), thing)
    # "My coffee black" is how somebody takes it, "black coffee" what.
    telling = {"compound"} if _is_possessed(thing) or thing != things[0] else {"compound", "amod", "nmod"}
    told = {token.lemma_.lower() for token in noun_phrase(thing) if token.dep_ in telling}
    told |= {inner.lemma_.lower() for inner in objects(thing, "to", "for", "of")} | {thing.lemma_.lower()}
    return f"{state} " + " ".join(sorted(told - _WHICH))


def _is_possessed(noun: Token) -> bool:
    return any(child.dep_ == "poss" for child in noun.children)


def _is_ones_own(noun: Token) -> bool:
    return any(
        child.dep_ in {"poss", "det"} and child.lower_ in {"my", "our", "your", "the"} for child in noun.children
    )
