"""Make our facts of Memori 3's: twins merged, each triple with the fact that says it. Pure, and the same every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..keys import derived_key
from ..model import Attribution, Fact, Kind, StoredMessage, Triple
from ..text import fold, words
from .source import Edge, Known, Mention

EXTRACTOR = "memori 3"


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact to be. `rows` are the facts there that say it; `messages` the keys here of those that mention it."""

    fact: Fact
    process_id: str | None = None
    rows: tuple[object, ...] = ()
    messages: tuple[str, ...] = ()
    triples: tuple[Triple, ...] = ()


def draft(who: Attribution, known: Known, said: Mapping[Mention, StoredMessage]) -> Draft:
    """A fact of theirs as one of ours. `said` are the messages that were copied, by where they were."""
    told = [said[mention] for mention in known.mentions if mention in said]
    first = told[0] if told else None
    place = next(iter(known.mentions), None)
    fact = _fact(who, known.text, "fact", known.created_at, known.count, known.key)
    if first is not None:
        fact = replace(fact, source=first.message.source_class, message_key=first.key, position=first.position)
    if place is not None:
        fact = replace(fact, session_id=place.session_id)
    keys = tuple(dict.fromkeys(one.key for one in told))
    return Draft(fact, None if place is None else place.process_id, (known.row,), keys)


def merge(drafts: Iterable[Draft]) -> list[Draft]:
    """Fold drafts of the same words into the first: mentions add up, the earliest date counts."""
    merged: dict[str, Draft] = {}
    for new in drafts:
        words_said = fold(new.fact.text)
        old = merged.get(words_said)
        if old is None:
            merged[words_said] = new
            continue
        dates = [moment for moment in (old.fact.said_at, new.fact.said_at) if moment is not None]
        merged[words_said] = replace(
            old,
            fact=replace(
                old.fact, mentions=old.fact.mentions + new.fact.mentions, said_at=min(dates) if dates else None
            ),
            rows=old.rows + new.rows,
            messages=tuple(dict.fromkeys(old.messages + new.messages)),
        )
    return list(merged.values())


def connect(who: Attribution, drafts: Sequence[Draft], edges: Iterable[Edge]) -> list[Draft]:
    """Give each triple to the fact it came from, else to one that names its subject and its object.

    A triple that no fact says becomes a fact itself, so that it is found.
    """
    of_row = {row: place for place, one in enumerate(drafts) for row in one.rows}
    naming: dict[str, set[int]] = defaultdict(set)
    for place, one in enumerate(drafts):
        for word in words(one.fact.text):
            naming[word].add(place)
    triples: dict[int, dict[Triple, None]] = defaultdict(dict)
    alone: list[Draft] = []
    for edge in edges:
        triple = Triple(edge.subject, edge.predicate, edge.object, edge.subject_type[:64], edge.object_type[:64])
        host = of_row.get(edge.fact) if edge.fact is not None else None
        if host is None:
            host = _naming(naming, edge)
        if host is not None:
            triples[host][triple] = None
            continue
        text = f"{edge.subject} {edge.predicate.replace('_', ' ')} {edge.object}"
        fact = _fact(who, text, "relationship", edge.created_at, edge.count, "triple")
        alone.append(Draft(fact, triples=(triple,)))
    connected = [replace(one, triples=tuple(triples[place])) for place, one in enumerate(drafts)]
    return connected + merge(alone)


def _naming(naming: Mapping[str, set[int]], edge: Edge) -> int | None:
    """The first fact that has every word of the subject and of the object."""
    wanted = {*words(edge.subject), *words(edge.object)}
    found = sorted((naming.get(word, set()) for word in wanted), key=len)
    common = set.intersection(*found) if found else set()
    return min(common, default=None)


def _fact(who: Attribution, text: str, kind: Kind, said_at: datetime | None, mentions: int, key: str) -> Fact:
    """The id belongs to the words and their place there: what is copied again is known, whatever became of it here."""
    return Fact(
        id=derived_key("from memori 3", who.namespace, who.entity_id, key, fold(text)),
        text=text,
        kind=kind,
        said_at=said_at,
        mentions=mentions,
        extractor=EXTRACTOR,
    )
