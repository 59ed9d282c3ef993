"""Facts: changed in one transaction, read by revision, by filter, and by their words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    bindparam,
    func,
    select,
    union_all,
    update,
)

from ...embedding.base import Space
from ...errors import RevisionConflictError
from ...keys import derived_key
from ...model import ACTIVE, KINDS, STATUSES, Attribution, Fact, FactStatus, Kind, Tier
from ..records import Codec, Delta, EntityState, FactChanges, IndexRow, Placement, Retirement
from ..values import (
    entity_key,
    fact_values,
    optional_micros,
    optional_time,
    process_key,
    session_key,
    to_fact,
    to_micros,
)
from . import fulltext, graph, provenance
from . import schema as t
from .dialects import insert_missing
from .failures import RowVanishedError
from .planning import among, without_index
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
    row = connection.execute(_STATE, {"entity": entity_key(attribution)}).first()
    if row is None:
        return EntityState()
    space = None if row.embedder is None else Space(row.embedder, row.model, row.dimension)
    return EntityState(row.revision, row.generation, space)


def apply(
    connection: Connection,
    attribution: Attribution,
    changes: FactChanges,
    codec: Codec,
    *,
    expected: EntityState | None,
    now: datetime,
) -> tuple[Fact, ...]:
    """Change the entity's facts under its lock and return those added. Runs inside the caller's write transaction."""
    key = entity_key(attribution)
    row = locked(connection, key)
    if row is None:
        raise RowVanishedError(f"{attribution.entity_id!r} was erased meanwhile; read its facts again.")
    # An entity that was not there yet (generation "") has just been made by this very call, or by a rival.
    found = EntityState(row.revision, row.generation if expected is None or expected.generation else "")
    if expected is not None and found != expected:
        raise RevisionConflictError(f"The facts of {attribution.entity_id!r} changed meanwhile; read them again.")
    if not changes:
        return ()
    revision, moment = row.revision + 1, to_micros(now)
    values: dict[str, Any] = {"revision": revision}
    if changes.space is not None:
        space = ensure_space(connection, changes.space)
        values["active_space"] = row.active_space or space
    connection.execute(update(t.entity).where(t.entity.c.id == key).values(**values))
    added = _add(connection, attribution, changes, codec, revision=revision, moment=moment)
    _retire(connection, key, changes.retire, revision=revision, moment=moment)
    _count_mentions(connection, key, changes.mentions, revision=revision)
    provenance.change(connection, attribution, changes, codec, revision=revision, moment=moment)
    _place(connection, key, changes.place)
    return added


class Locked(NamedTuple):
    """What a change needs of the entity's row."""

    revision: int
    generation: str
    active_space: str | None


def locked(connection: Connection, entity: str) -> Locked | None:
    """The entity's row, locked until the transaction ends; None when there is no such entity."""
    e = t.entity.c
    query = select(e.revision, e.generation, e.active_space).where(e.id == entity)
    row = connection.execute(query.with_for_update(key_share=True)).first()
    return None if row is None else Locked(*row)


def _retire(
    connection: Connection, entity: str, retirements: Sequence[Retirement], *, revision: int, moment: int
) -> None:
    if not retirements:
        return
    f = t.fact
    statement = (
        update(f)
        .where(f.c.entity_id == entity, f.c.id == bindparam("retired_id"))
        .values(
            status=bindparam("new_status"),
            superseded_by=bindparam("successor"),
            valid_to=func.coalesce(bindparam("until", type_=BigInteger), f.c.valid_to),
            retired_at=func.coalesce(f.c.retired_at, moment),
            revision=revision,
        )
    )
    rows = [
        {
            "retired_id": one.fact_id,
            "new_status": one.status,
            "successor": one.superseded_by,
            "until": optional_micros(one.valid_to),
        }
        for one in retirements
    ]
    connection.execute(statement, rows)
    fulltext.remove(connection, entity, [one.fact_id for one in retirements])
    _withdraw(connection, entity, [one.fact_id for one in retirements if one.status != "superseded"], revision=revision)


def _withdraw(connection: Connection, entity: str, unsaid: Sequence[str], *, revision: int) -> None:
    """Delete the vectors that the texts of episodes went into as part of a window."""
    f, e = t.fact, t.embedding
    if not unsaid:
        return
    for start in range(0, len(unsaid), _BATCH):
        ids = unsaid[start : start + _BATCH]
        query = select(f.c.id).where(without_index(f.c.entity_id) == entity, f.c.id.in_(ids), f.c.kind == "episode")
        for episode in connection.execute(query).scalars().all():
            named = e.c.window_ids.contains(json.dumps(episode))
            holders = connection.execute(select(e.c.fact_id).where(e.c.entity_id == entity, named).distinct())
            touched = list(holders.scalars())
            for at in range(0, len(touched), _BATCH):
                some = touched[at : at + _BATCH]
                connection.execute(e.delete().where(e.c.entity_id == entity, e.c.fact_id.in_(some)))
                connection.execute(update(f).where(f.c.entity_id == entity, f.c.id.in_(some)).values(revision=revision))


def _place(connection: Connection, entity: str, placements: Sequence[Placement]) -> None:
    # Nothing that an index holds changes, so the facts keep their revision.
    f = t.fact
    statement = (
        update(f)
        .where(f.c.entity_id == entity, f.c.id == bindparam("placed_id"))
        .values(tier=bindparam("new_tier"), expires_at=bindparam("until", type_=BigInteger))
    )
    rows = [
        {"placed_id": one.fact_id, "new_tier": one.tier, "until": optional_micros(one.expires_at)} for one in placements
    ]
    if rows:
        connection.execute(statement, rows)


def _count_mentions(
    connection: Connection, entity: str, mentions: Sequence[tuple[str, str | None]], *, revision: int
) -> None:
    f = t.fact
    by_count: dict[int, list[str]] = {}
    for fact_id, times in Counter(fact_id for fact_id, _ in mentions).items():
        by_count.setdefault(times, []).append(fact_id)
    for times, ids in by_count.items():
        for start in range(0, len(ids), _BATCH):
            connection.execute(
                update(f)
                .where(f.c.entity_id == entity, f.c.id.in_(ids[start : start + _BATCH]))
                .values(mentions=f.c.mentions + times, revision=revision)
            )
    _mention(connection, entity, mentions)


def _add(
    connection: Connection, attribution: Attribution, changes: FactChanges, codec: Codec, *, revision: int, moment: int
) -> tuple[Fact, ...]:
    if not changes.add:
        return ()
    key, process = entity_key(attribution), process_key(attribution)
    rows = []
    for new in changes.add:
        session = new.fact.session_id
        rows.append(
            {
                **fact_values(new.fact, codec),
                "entity_id": key,
                "process_id": process,
                "session_id": None if session is None else session_key(attribution, session),
                "search_text": codec.encode(f" {new.search_text} "),
                "fingerprint": new.fingerprint,
                "created_at": moment,
                "retired_at": None if new.fact.status == "active" else moment,
                "revision": revision,
            }
        )
    connection.execute(t.fact.insert(), rows)
    _mention(connection, key, [(new.fact.id, new.fact.message_key) for new in changes.add])
    if changes.space is not None:
        embedded = [(new.fact.id, new.window, new.vectors) for new in changes.add if new.vectors is not None]
        insert_vectors(connection, key, changes.space, embedded)
    graph.connect(connection, key, changes.add, codec)
    fulltext.add(connection, key, changes.add, codec)
    created = optional_time(moment)
    return tuple(replace(new.fact, created_at=created, revision=revision) for new in changes.add)


def _mention(connection: Connection, entity: str, mentions: Sequence[tuple[str, str | None]]) -> None:
    rows = {
        (fact, message): {"fact_id": fact, "message_id": message, "entity_id": entity}
        for fact, message in mentions
        if message
    }
    insert_missing(connection, t.mention, list(rows.values()))


def ensure_space(connection: Connection, space: Space) -> str:
    """The key of the space's row, which is made if it is missing."""
    key = derived_key("space", space.key)
    row = {"id": key, "embedder": space.embedder, "model": space.model, "dimension": space.dimension}
    insert_missing(connection, t.space, [row])
    return key


def insert_vectors(
    connection: Connection,
    entity: str,
    space: Space,
    embedded: Sequence[tuple[str, tuple[str, ...], NDArray[np.float32]]],
) -> None:
    """Write the vectors of facts (id, ids of the window, passages) that have none in the space."""
    rows = [
        {
            "fact_id": fact_id,
            "space_id": derived_key("space", space.key),
            "passage": passage,
            "entity_id": entity,
            "vector": np.ascontiguousarray(vector, dtype="<f4").tobytes(),
            "window_ids": json.dumps(window) if window else None,
        }
        for fact_id, window, vectors in embedded
        for passage, vector in enumerate(vectors)
    ]
    if rows:
        connection.execute(t.embedding.insert(), rows)


def changes_since(connection: Connection, attribution: Attribution, space: Space, revision: int, codec: Codec) -> Delta:
    """Facts changed after a revision, with their vectors. From the beginning, only what recall may return."""
    now = state(connection, attribution)
    f = t.fact
    changed = [f.c.entity_id == entity_key(attribution), f.c.revision > revision, f.c.revision <= now.revision]
    if revision <= 0:
        changed.append(f.c.status.in_(("active", "superseded")))
    return Delta(now, index_rows(connection, changed, space, codec))


def index_rows(
    connection: Connection, which: Sequence[ColumnElement[bool]], space: Space, codec: Codec
) -> list[IndexRow]:
    """What an index needs of the facts that meet all the conditions, in the order in which they changed."""
    f, e = t.fact, t.embedding
    vectors: dict[str, list[bytes]] = {}
    embedded = (
        select(e.c.fact_id, e.c.vector)
        .join(f, f.c.id == e.c.fact_id)
        .where(*which, e.c.space_id == derived_key("space", space.key))
        .order_by(e.c.fact_id, e.c.passage)
    )
    for fact_id, vector in connection.execute(embedded):
        vectors.setdefault(fact_id, []).append(vector)
    columns = (
        f.c.id, f.c.search_text, f.c.kind, f.c.status, f.c.speaker, f.c.session_id, f.c.position, f.c.said_at,
        f.c.valid_from, f.c.valid_to, f.c.importance, f.c.mentions,
    )  # fmt: skip
    nodes = graph.nodes(connection, which, codec)
    return [
        IndexRow(
            fact_id=row.id,
            text=codec.decode(row.search_text).strip(),
            kind=row.kind,
            status=row.status,
            speaker=codec.decode(row.speaker) if row.speaker else None,
            session_id=row.session_id,
            position=row.position,
            said_at=optional_time(row.said_at),
            valid_from=optional_time(row.valid_from),
            valid_to=optional_time(row.valid_to),
            vectors=_stack(vectors.get(row.id), space.dimension),
            importance=row.importance,
            mentions=row.mentions,
            nodes=tuple(sorted(nodes.get(row.id, ()))),
        )
        for row in connection.execute(select(*columns).where(*which).order_by(f.c.revision, f.c.id))
    ]


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
    query, wanted, found = _of_ids(connection.dialect.name), list(dict.fromkeys(ids)), list[Fact]()
    for start in range(0, len(wanted), _BATCH):
        given = {"entity": entity_key(attribution), "among": wanted[start : start + _BATCH]}
        found += [to_fact(row, codec) for row in connection.execute(query, given).mappings()]
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


def erase(connection: Connection, attribution: Attribution) -> dict[str, int]:
    """Delete every row about the entity, children first. The process stays: it belongs to other entities too."""
    key = entity_key(attribution)
    connection.execute(select(t.entity.c.id).where(t.entity.c.id == key).with_for_update(key_share=True))
    gone = {}
    owned = (
        t.triple, t.predicate, t.node, t.search, t.embedding, t.mention, t.process_attribute, t.item, t.job, t.fact,
        t.message, t.conversation, t.session,
    )  # fmt: skip
    for table in owned:
        gone[table.name] = connection.execute(table.delete().where(table.c.entity_id == key)).rowcount
    gone[t.entity.name] = connection.execute(t.entity.delete().where(t.entity.c.id == key)).rowcount
    return gone
