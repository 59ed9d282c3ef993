"""What recall needs of a few facts, where no process holds all of an entity's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from ...embedding.base import Space
from ...model import Attribution
from ...privacy.codec import PlainCodec
from ..base import Codec, IndexRow, Statistics
from ..values import entity_key
from . import schema as t
from .facts import index_rows
from .planning import without_index

_BATCH = 200
_RECALLED = ("active", "superseded")


def rows(
    connection: Connection,
    attribution: Attribution,
    space: Space,
    ids: Collection[str],
    codec: Codec,
    *,
    neighbours: bool,
) -> list[IndexRow]:
    """Facts by id, with the episodes next to them where wanted."""
    f = t.fact.c
    owner = without_index(f.entity_id) == entity_key(attribution)
    recalled = without_index(f.status).in_(_RECALLED)
    found: dict[str, IndexRow] = {}

    def read(wanted: Sequence[str]) -> None:
        for start in range(0, len(wanted), _BATCH):
            which = [f.id.in_(wanted[start : start + _BATCH]), owner, recalled]
            found.update((row.fact_id, row) for row in index_rows(connection, which, space, codec))

    read(sorted(set(ids)))
    if neighbours:
        read([one for one in _next_to(connection, attribution, list(found.values())) if one not in found])
    return list(found.values())


def _next_to(connection: Connection, attribution: Attribution, rows: Sequence[IndexRow]) -> list[str]:
    f, places = t.fact.c, dict[str, set[int]]()
    for row in rows:
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            places.setdefault(row.session_id, set()).update((row.position - 1, row.position + 1))
    pairs = [
        (session, sorted(positions)[start : start + _BATCH])
        for session, positions in sorted(places.items())
        for start in range(0, len(positions), _BATCH)
    ]
    ids: list[str] = []
    for start in range(0, len(pairs), _BATCH // 10):
        beside: list[ColumnElement[bool]] = [
            (f.session_id == session) & f.position.in_(positions)
            for session, positions in pairs[start : start + _BATCH // 10]
        ]
        query = select(f.id).where(
            f.entity_id == entity_key(attribution), f.kind == "episode", f.status.in_(_RECALLED), or_(*beside)
        )
        ids += connection.execute(query).scalars()
    return ids


def statistics(connection: Connection, attribution: Attribution, terms: Collection[str], codec: Codec) -> Statistics:
    """How many facts there are, how long they are, and how many hold each term."""
    f = t.fact.c
    which = (f.entity_id == entity_key(attribution), f.status.in_(_RECALLED))
    speakers = connection.execute(select(f.speaker).where(*which, f.speaker.is_not(None)).distinct()).scalars()
    said = frozenset(codec.decode(speaker).casefold() for speaker in speakers if speaker)
    wanted = sorted(set(terms))
    if type(codec) is not PlainCodec:
        # One derived from it may change the text too, and the database cannot look into what it cannot read.
        lengths, held = [0], Counter[str]()
        for text in connection.execute(select(f.search_text).where(*which)).scalars():
            present = codec.decode(text).split()
            lengths.append(len(present))
            held.update(set(present).intersection(wanted))
        documents = len(lengths) - 1
        return Statistics(documents, sum(lengths) / max(documents, 1), {term: held[term] for term in wanted}, said)
    # A text is stored with a space around each of its words.
    spaces = func.length(f.search_text) - func.length(func.replace(f.search_text, " ", ""))
    holding = [
        func.coalesce(func.sum(case((f.search_text.contains(f" {term} ", autoescape=True), 1), else_=0)), 0)
        for term in wanted
    ]
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(case((spaces > 1, spaces - 1), else_=0)), 0), *holding).where(
            *which
        )
    ).one()
    documents = int(row[0])
    frequencies = {term: int(count) for term, count in zip(wanted, row[2:], strict=True)}
    return Statistics(documents, int(row[1]) / max(documents, 1), frequencies, said)
