"""Say what value a clause gives to its slot, and which slots it closes.

"I quit my job" closes where somebody works and as what; "I no longer work at Lidl" only the work at Lidl; "I switched
from Vodafone to Orange" whichever single value was Vodafone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grammar import is_name, objects, owner_of
from .people import PETS, noun_phrase
from .reading import Reading
from .statements import Clause
from .states import about
from .wordlist import words
from .work import employers, leaves_work

if TYPE_CHECKING:
    from spacy.tokens import Token

_SWITCH = words("switch change move swap go transfer convert")
_SWITCHED = ("works at", "works as", "studies", "drives", "diet", "is named", "works hours")
"""What "from A to B" may be about, where somebody has one of it."""
_GIVEN_UP = words("quit give drop stop")
_DONE = ("play", "learn", "study", "practice", "drink", "eat", "take", "watch", "use", "read", "do")
"""What somebody may have done with the thing they gave up."""
_OF_KIND = ("diet", "studies")
_FOUND = words("find buy rent get adopt hire")
_OCCUPIED = ("works as", "works hours", "works from", "works in")
"""What goes with a job."""
_PART = words("sell trade crash total scrap donate return lose steal break")
_DEATH = words("die pass")


def value_of(clause: Clause, reading: Reading, predicate: str) -> str | None:
    """Return what the slot `predicate` holds by this clause, in its own words; None where it says no such thing."""
    verb = reading.verb
    if reading.negated or reading.formerly:
        return None
    if predicate == "lives in":
        homes = [child for child in verb.children if child.dep_ == "dobj"]
        reached = [place for noun in (verb, *homes) for place in objects(noun, "in", "at", "to", "into")]
        reached += [place for noun in reached for place in objects(noun, "in")]
        return _phrase([place for place in reached if is_name(place)])
    if predicate == "works at":
        return None if leaves_work(verb) else _phrase([noun for noun in employers(verb) if is_name(noun)][:1])
    if predicate == "married to":
        named = [noun for noun in objects(verb, "to") if is_name(noun)]
        return f"married {_phrase(named)}" if named and not reading.past and "married" in clause.text else None
    if predicate == "works as":
        return _phrase([*(child for child in verb.children if child.dep_ == "attr"), *objects(verb, "as")][:1])
    if predicate == "is named":
        return _phrase([child for child in verb.children if child.dep_ in {"attr", "oprd"}][:1])
    return None


def endings_of(clause: Clause, reading: Reading, predicate: str | None) -> list[tuple[str, str]]:
    """Return which of the subject's slots a clause closes, each with what it names, "" for whichever value holds."""
    verb, lemma = reading.verb, reading.verb.lemma_.lower()
    if reading.uncertain or reading.wish or reading.future:
        return []
    if predicate == "lives in":
        found = [child for child in _things(verb) if lemma in _FOUND]
        return [(sought, "")] if (sought := about("seeks", found)) is not None else []
    if predicate == "works at":
        named = _phrase([noun for noun in (*_things(verb), *employers(verb), *objects(verb, "from")) if is_name(noun)])
        if reading.no_longer:
            return [(predicate, named or "")]
        if leaves_work(verb):
            # Who leaves a firm may go on in the trade.
            return [(predicate, named or ""), *((one, "") for one in _OCCUPIED if named is None)]
        return []
    if predicate is not None and reading.no_longer:
        named_things = objects(verb, "in", "at", "as", "to") or _things(verb)
        return [(predicate, _phrase(named_things[:1]) or "")] if named_things else []
    if lemma in _SWITCH and objects(verb, "from") and objects(verb, "to"):
        old = _phrase(objects(verb, "from")[:1])
        return [(one, old) for one in _SWITCHED] if old else []
    things = [thing for thing in _things(verb) if thing.pos_ in {"NOUN", "PROPN"}]
    given_up = lemma in _GIVEN_UP and (lemma != "give" or any(child.lower_ == "up" for child in verb.children))
    if given_up and things and owner_of(things[0]) is None:
        named = _phrase(things) or ""
        done = [(state, "") for one in _DONE if (state := about(f"does {one}", things)) is not None]
        return [*done, *((one, named) for one in _OF_KIND)]
    if lemma == "drop" and any(child.lower_ == "out" for child in verb.children):
        return [("studies", ""), ("is a student", "")]
    if lemma in _FOUND and not reading.negated and (sought := about("seeks", things)) is not None:
        return [(sought, "")]
    if lemma in _PART and not reading.negated:
        thing = clause.subject if verb.lower_ == "stolen" else next(iter(_things(verb)), None)
        return [("drives", _phrase([thing]) or "")] if thing is not None and thing.pos_ in {"NOUN", "PROPN"} else []
    return []


def one_lost(clause: Clause, reading: Reading) -> Token | None:
    """Return who a clause says is gone: "Rex died", "my husband passed away", "we had to put Rex down"."""
    verb, lemma = reading.verb, reading.verb.lemma_.lower()
    if lemma in _DEATH:
        return clause.subject
    if lemma == "put" and (
        any(noun.lower_ in {"sleep", "rest"} for noun in objects(verb, "to"))
        or any(child.lower_ in {"down", "sleep"} for child in verb.children)
    ):
        return next(iter(_things(verb)), None)
    given = lemma in {"give", "rehome", "lose"} and reading.past
    return next((thing for thing in _things(verb) if thing.lemma_ in PETS and owner_of(thing)), None) if given else None


def _things(verb: Token) -> list[Token]:
    return [child for child in verb.children if child.dep_ == "dobj"]


def _phrase(nouns: list[Token]) -> str | None:
    """The words of the first noun that tell which, without whose it is."""
    if not nouns:
        return None
    told = [token for token in noun_phrase(nouns[0]) if token.dep_ not in {"poss", "case"}]
    told = [token for token in told if token.lower_ not in {"old", "new", "current", "former"}]
    return " ".join(token.text for token in told) or None
