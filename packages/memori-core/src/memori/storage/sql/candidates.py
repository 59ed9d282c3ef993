"""What recall needs of a few facts, where no process holds all of an entity's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select

from ...embedding.base import Space
from ...model import Attribution
from ..records import Codec, IndexRow, Statistics
from ..values import entity_key
from . import schema as t
from .planning import among, bound, one_of, without_index
from .selection import RowQueries, index_rows, row_queries, state

SAMPLE = 5000
"""What words weigh is counted in so many facts at most, however many an entity has: a recall's time is bounded."""
STEADY = 50
"""Words are weighed again when one of so many facts has changed."""
_BATCH = 500
_PLACES = 20
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
    dialect, entity = connection.dialect.name, entity_key(attribution)
    queries = _of_ids(dialect)
    found: dict[str, IndexRow] = {}

    def read(wanted: Sequence[str]) -> None:
        for start in range(0, len(wanted), _BATCH):
            given = {"entity": entity, "among": bound(dialect, wanted[start : start + _BATCH])}
            found.update((row.fact_id, row) for row in index_rows(connection, queries, given, space, codec))

    read(sorted(set(ids)))
    if neighbours:
        read([one for one in _next_to(connection, attribution, list(found.values())) if one not in found])
    return list(found.values())


@cache
def _of_ids(dialect: str) -> RowQueries:
    f = t.fact.c
    owned = without_index(f.entity_id) == bindparam("entity")
    return row_queries(among(dialect, f.id), owned, one_of(without_index(f.status), _RECALLED))


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
    for start in range(0, len(pairs), _PLACES):
        beside: list[ColumnElement[bool]] = [
            (f.session_id == session) & f.position.in_(positions)
            for session, positions in pairs[start : start + _PLACES]
        ]
        query = select(f.id).where(
            f.entity_id == entity_key(attribution), f.kind == "episode", f.status.in_(_RECALLED), or_(*beside)
        )
        ids += connection.execute(query).scalars()
    return ids


def statistics(
    connection: Connection, attribution: Attribution, codec: Codec, *, known: Statistics | None
) -> Statistics:
    """How many facts there are, how long they are, and how many hold each term.

    Counted over all up to `SAMPLE` of them; of more, over those that changed last, and projected. What is known stands
    until one of `STEADY` facts has changed since.
    """
    f, now = t.fact.c, state(connection, attribution)
    owner = f.entity_id == entity_key(attribution)
    if known is not None and known.generation == now.generation:
        since = (
            select(f.speaker, func.count().label("changed"))
            .where(owner, f.revision > known.revision)
            .group_by(f.speaker)
        )
        changed = {row.speaker: row.changed for row in connection.execute(since)}
        if STEADY * sum(changed.values()) < known.documents:
            return replace(known, speakers=known.speakers | _names(changed, codec))
    recalled = without_index(f.status).in_(_RECALLED)
    newest = select(f.search_text, f.speaker).where(owner, recalled).order_by(f.revision.desc()).limit(SAMPLE)
    looked_at = connection.execute(newest).all()
    texts = [codec.decode(text).split() for text, _ in looked_at]
    held = Counter(chain.from_iterable(map(set, texts)))
    documents = len(texts)
    if documents == SAMPLE:
        documents = connection.execute(select(func.count()).where(owner, f.status.in_(_RECALLED))).scalar_one()
        held = Counter({term: round(count * documents / SAMPLE) for term, count in held.items()})
    return Statistics(
        documents,
        sum(map(len, texts)) / max(len(texts), 1),
        held,
        _names({speaker for _, speaker in looked_at}, codec),
        now.revision,
        now.generation,
    )


def _names(speakers: Iterable[str | None], codec: Codec) -> frozenset[str]:
    return frozenset(codec.decode(speaker).casefold() for speaker in speakers if speaker)
