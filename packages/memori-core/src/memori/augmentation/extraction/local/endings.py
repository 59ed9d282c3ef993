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
from .states import about, slips
from .wordlist import words
from .work import employers, leaves_work

if TYPE_CHECKING:
    from spacy.tokens import Token

_SWITCH = words("switch change move swap go transfer convert")
_FOUND = words("find buy rent get adopt hire")
_HELD = ("does *", "has *", "goes to *", "works as", "works at", "studies", "drives", "diet")
"""What somebody may have, do or use; not what is so of something of theirs ("phone number is")."""
_OCCUPIED = ("works as", "works hours", "works from", "works in")
"""What goes with a job."""
_DONE = words(
    "quit stop drop cancel sell trade crash total scrap donate return lose replace swap submit publish end dump ditch"
)
_GROUPS = words("band group team club choir class course party committee board orchestra gym church")
_SWALLOWED = words("coffee tea beer wine breakfast lunch dinner meal drink food")
_NEWBORN = words("baby son daughter twin boy girl")
_NOW = frozenset({"now", "nowadays", "instead"})
_EITHER_OR = words(
    "wear watch read play drink eat listen use drive ride run walk swim train write cook sleep study learn take"
)
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
    """Return which of the subject's slots a clause closes, each with what it names, "" for whichever value holds.

    A slot that ends in "*" stands for all that begin so.
    """
    verb, lemma = reading.verb, reading.verb.lemma_.lower()
    if reading.uncertain or reading.wish or reading.future:
        return []
    if predicate == "lives in":
        found = [child for child in _things(verb) if lemma in _FOUND]
        sought = about("seeks", found)
        homes = [("lives in a", ""), ("lives with", "")] if lemma in {"move", "relocate", "buy"} else []
        return [*homes, *([(sought, "")] if sought is not None else [])]
    if predicate == "works at":
        named = _phrase([noun for noun in (*_things(verb), *employers(verb), *objects(verb, "from")) if is_name(noun)])
        if reading.no_longer:
            return [(predicate, named or "")]
        if leaves_work(verb):
            # Who leaves a firm may go on in the trade.
            closed = [(predicate, named or ""), *((one, "") for one in _OCCUPIED if named is None)]
            return [*closed, *((one, named) for one in _HELD if named is not None and one != predicate)]
        return [("seeks job", ""), ("works as", "freelance")]
    if predicate is not None and reading.no_longer:
        named_things = objects(verb, "in", "at", "as", "to") or _things(verb)
        return [(predicate, _phrase(named_things[:1]) or "")] if named_things else []
    if reading.negated:
        return []
    if (born := _birth(clause, verb, lemma)) is not None:
        return born
    if lemma in _SWITCH and objects(verb, "from") and objects(verb, "to"):
        return _whatever_is(objects(verb, "from"))
    if lemma == "step" and any(child.lower_ == "down" for child in verb.children):
        return [("works as", ""), *_whatever_is(objects(verb, "as", "from"))]
    if lemma == "move" and predicate in {"lives in", "lives in a"}:
        return [(one, "") for one in ("lives with", "lives in a", "lives in") if one != predicate]
    if lemma == "drop" and any(child.lower_ == "out" for child in verb.children):
        return [("studies", ""), ("is a student", "")]
    things = [thing for thing in _things(verb) if thing.pos_ in {"NOUN", "PROPN"}]
    if lemma in _FOUND:
        return [(state, "") for one in ("seeks", "does save") if (state := about(one, things)) is not None]
    if reading.past or reading.perfect:
        return _whatever_is(things or objects(verb, "on", "in")) if _done_with(verb, lemma, things) else []
    return _instead(clause, verb, lemma, predicate)


def _done_with(verb: Token, lemma: str, things: list[Token]) -> bool:
    """Whether a verb says that somebody no longer has, does or uses a thing: "sold the Golf", "gave up the piano"."""
    with_it = {child.lower_ for child in verb.children if child.dep_ in {"prt", "prep", "advmod"}}
    if slips(verb, lemma):
        return False
    if lemma == "leave":
        if any(noun.ent_type_ == "TIME" or noun.pos_ == "NUM" for noun in objects(verb, "at")):
            return False
        return any(is_name(thing) or thing.lemma_.lower() in _GROUPS for thing in things)
    if lemma in {"give", "hand", "turn"}:
        return bool(with_it & ({"up", "away"} if lemma == "give" else {"in"}))
    if lemma in {"finish", "complete"}:
        definite = any(child.lower_ in {"the", "my", "our"} for thing in things for child in thing.children)
        return definite and not any(thing.lemma_.lower() in _SWALLOWED for thing in things)
    return lemma in _DONE


def _birth(clause: Clause, verb: Token, lemma: str) -> list[tuple[str, str]] | None:
    """ "My sister had a baby", "our son was born": nobody is pregnant any more."""
    had = lemma == "have" and verb.tag_ in {"VBD", "VBN"} and any(t.lemma_ in _NEWBORN for t in _things(verb))
    born = verb.lower_ == "born" and clause.subject is not None and clause.subject.lemma_.lower() in _NEWBORN
    return [("is pregnant", "")] if had or born else None


def _instead(clause: Clause, verb: Token, lemma: str, predicate: str | None) -> list[tuple[str, str]]:
    """ "I wear contacts now": one thing done in place of another."""
    spoken = f" {clause.text.lower()} "
    changed = any(token.lower_ in _NOW for token in clause.tokens) or " these days" in spoken
    if not changed or predicate is None or not predicate.startswith("does ") or lemma not in _EITHER_OR:
        return []
    named = _things(verb)[-1:] if lemma == "take" else []
    return [(f"does {lemma} *", named[0].lemma_.lower() if named else "")]


def _whatever_is(things: list[Token]) -> list[tuple[str, str]]:
    named = _phrase([thing for thing in things if thing.ent_type_ not in {"DATE", "TIME"}][:1])
    return [(one, named) for one in _HELD] if named else []


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
