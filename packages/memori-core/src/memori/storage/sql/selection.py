"""Facts as they are read: by filters, by ids, and as the rows an index is fed with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    bindparam,
    func,
    select,
    union_all,
)

from ...embedding.base import Space
from ...keys import derived_key
from ...model import ACTIVE, KINDS, STATUSES, Attribution, Fact, FactStatus, Kind, Tier
from ..records import Codec, Delta, EntityState, IndexRow
from ..values import (
    entity_key,
    optional_time,
    process_key,
    to_fact,
    to_micros,
)
from . import graph
from . import schema as t
from .direct import records, rows
from .planning import among, bound, one_of, without_index
from .validity import valid_at

_BATCH = 500
_STATE = (
    select(t.entity.c.revision, t.entity.c.generation, t.space.c.embedder, t.space.c.model, t.space.c.dimension)
    .outerjoin(t.space, t.space.c.id == t.entity.c.active_space)
    .where(t.entity.c.id == bindparam("entity"))
)
"""Made once: every recall begins with it."""
_NEWEST_FIRST = (t.fact.c.created_at.desc(), t.fact.c.position.desc(), t.fact.c.id.desc())


def state(connection: Connection, attribution: Attribution) -> EntityState:
    """The entity's revision, generation and active space."""
    for revision, generation, embedder, model, dimension in rows(
        connection, _STATE, {"entity": entity_key(attribution)}
    ):
        return EntityState(revision, generation, None if embedder is None else Space(embedder, model, dimension))
    return EntityState()


def changes_since(connection: Connection, attribution: Attribution, space: Space, revision: int, codec: Codec) -> Delta:
    """Facts changed after a revision, with their vectors. From the beginning, only what recall may return."""
    now = state(connection, attribution)
    given = {"entity": entity_key(attribution), "after": revision, "until": now.revision}
    return Delta(now, index_rows(connection, _changed(everything=revision <= 0), given, space, codec))


@cache
def _changed(*, everything: bool) -> RowQueries:
    f = t.fact.c
    changed = [f.entity_id == bindparam("entity"), f.revision > bindparam("after"), f.revision <= bindparam("until")]
    return row_queries(*changed, *([one_of(f.status, ("active", "superseded"))] if everything else []))


class RowQueries(NamedTuple):
    """What reads the parts of index rows. Made once for each use: making them takes longer than reading a few rows."""

    facts: Select[Any]
    vectors: Select[Any]
    nodes: Select[Any]


def row_queries(*which: ColumnElement[bool]) -> RowQueries:
    """Queries of the facts that meet all the conditions, in the order in which they changed."""
    f, e = t.fact, t.embedding
    vectors = select(e.c.fact_id, e.c.vector).join(f, f.c.id == e.c.fact_id)
    columns = (
        f.c.id, f.c.search_text, f.c.kind, f.c.status, f.c.speaker, f.c.session_id, f.c.position, f.c.said_at,
        f.c.valid_from, f.c.valid_to, f.c.importance, f.c.mentions,
    )  # fmt: skip
    return RowQueries(
        select(*columns).where(*which).order_by(f.c.revision, f.c.id),
        vectors.where(*which, e.c.space_id == bindparam("space")).order_by(e.c.fact_id, e.c.passage),
        graph.nodes_of(*which),
    )


def index_rows(
    connection: Connection, queries: RowQueries, given: Mapping[str, Any], space: Space, codec: Codec
) -> list[IndexRow]:
    """What an index needs of the facts that the queries choose. `given`: the values of their conditions."""
    vectors: dict[str, list[bytes]] = {}
    of_space = {**given, "space": derived_key("space", space.key)}
    for fact_id, vector in rows(connection, queries.vectors, of_space):
        vectors.setdefault(fact_id, []).append(vector)
    nodes = graph.nodes(connection, queries.nodes, given, codec)
    return [
        IndexRow(
            fact_id=fact_id,
            text=codec.decode(text).strip(),
            kind=kind,
            status=status,
            speaker=codec.decode(speaker) if speaker else None,
            session_id=session_id,
            position=position,
            said_at=optional_time(said_at),
            valid_from=optional_time(valid_from),
            valid_to=optional_time(valid_to),
            vectors=_stack(vectors.get(fact_id), space.dimension),
            importance=importance,
            mentions=mentions,
            nodes=tuple(sorted(nodes.get(fact_id, ()))),
        )
        for (
            fact_id, text, kind, status, speaker, session_id, position, said_at, valid_from, valid_to, importance,
            mentions,
        ) in rows(connection, queries.facts, given)
    ]  # fmt: skip


def _stack(found: list[bytes] | None, dimension: int) -> NDArray[np.float32] | None:
    """Passages as one array; None when there are none or one was damaged, so that words alone find the fact."""
    if not found or any(len(vector) != 4 * dimension for vector in found):
        return None
    passages = np.frombuffer(b"".join(found), dtype="<f4").reshape(len(found), dimension)
    return passages if np.isfinite(passages).all() else None


def select_facts(
    connection: Connection,
    attribution: Attribution,
    codec: Codec,
    *,
    ids: Collection[str] | None = None,
    kinds: Collection[Kind] | None = None,
    statuses: Collection[FactStatus] = ACTIVE,
    as_of: datetime | None = None,
    slots: Collection[str] | None = None,
    process_id: str | None = None,
    fingerprints: Collection[str] | None = None,
    tier: Tier | None = None,
    said_before: datetime | None = None,
    successors: Collection[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[tuple[str, Fact]]:
    """Facts with their fingerprints, newest first. Ids, slots and fingerprints may be many; they go in batches."""
    f, s = t.fact, t.session
    keyed = any(values is not None for values in (ids, slots, fingerprints, successors, tier))
    owner: ColumnElement[str] = f.c.entity_id if ids is None else without_index(f.c.entity_id)
    status: ColumnElement[str] = without_index(f.c.status) if keyed else f.c.status
    conditions = [owner == entity_key(attribution)]
    if as_of is not None:
        statuses = ("active", "superseded")
        conditions += valid_at(as_of)
    if process_id is not None:
        conditions.append(f.c.process_id == process_key(replace(attribution, process_id=process_id)))
    if tier is not None:
        conditions.append(f.c.tier == tier)
    if said_before is not None:
        conditions.append(func.coalesce(f.c.said_at, f.c.created_at) < to_micros(said_before))
    query = select(f, s.c.external_id.label("session")).outerjoin(s, s.c.id == f.c.session_id)
    if limit is not None and not keyed:
        page = _newest(conditions, statuses or STATUSES, KINDS if kinds is None else kinds, limit + offset)
        query = query.join(page, page.c.id == f.c.id)
    else:
        query = query.where(*conditions)
        if statuses:
            query = query.where(status.in_(tuple(statuses)))
        if kinds is not None:
            query = query.where(f.c.kind.in_(tuple(kinds)))
    query = query.order_by(*_NEWEST_FIRST)
    if limit is not None:
        query = query.limit(limit)
    if offset:
        query = query.offset(offset)
    found: list[tuple[str, Fact]] = []
    filters = ((f.c.id, ids), (f.c.slot, slots), (f.c.fingerprint, fingerprints), (f.c.superseded_by, successors))
    for one in _batched(connection.dialect.name, query, *filters):
        found.extend((row["fingerprint"], to_fact(row, codec)) for row in connection.execute(one).mappings())
    # MySQL takes a slot for the same with a space at its end.
    return found if slots is None else [(key, fact) for key, fact in found if fact.slot in slots]


def facts_of_ids(connection: Connection, attribution: Attribution, codec: Codec, ids: Collection[str]) -> list[Fact]:
    """The facts of those ids, whatever their status: what every recall ends with."""
    dialect, wanted, found = connection.dialect.name, list(dict.fromkeys(ids)), list[Fact]()
    query = _of_ids(dialect)
    for start in range(0, len(wanted), _BATCH):
        given = {"entity": entity_key(attribution), "among": bound(dialect, wanted[start : start + _BATCH])}
        found += [to_fact(row, codec) for row in records(connection, query, given)]
    return found


@cache
def _of_ids(dialect: str) -> Select[Any]:
    """Made once: making it takes longer than reading a few facts."""
    f, s = t.fact, t.session
    query = select(f, s.c.external_id.label("session")).outerjoin(s, s.c.id == f.c.session_id)
    owned = without_index(f.c.entity_id) == bindparam("entity")
    return query.where(owned, among(dialect, f.c.id)).order_by(*_NEWEST_FIRST)


def _newest(
    conditions: Sequence[ColumnElement[bool]], statuses: Collection[FactStatus], kinds: Collection[Kind], number: int
) -> Subquery:
    """Ids among which the newest are: so many of each status and kind, read in the order of the index."""
    f = t.fact
    pages = [
        select(f.c.id)
        .where(*conditions, f.c.status == status, f.c.kind == kind)
        .order_by(*_NEWEST_FIRST)
        .limit(number)
        .subquery()
        for status in statuses
        for kind in kinds
    ]
    return union_all(*(select(page.c.id) for page in pages)).subquery("page")


def _batched(dialect: str, query: Any, *filters: tuple[Any, Collection[str] | None]) -> Iterator[Any]:
    """Databases bound the number of parameters: split the one filter that may be long."""
    for column, values in filters:
        if values is not None:
            ordered = list(dict.fromkeys(values))
            for start in range(0, len(ordered), _BATCH):
                yield query.where(among(dialect, column, ordered[start : start + _BATCH]))
            return
    yield query
