"""Embedding spaces: what has no vector in one, what gets one, and which is an entity's active one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from ...embedding.base import Space
from ...keys import derived_key, new_key
from ...model import Attribution, Fact
from ..records import Codec, FactVectors, Unembedded
from ..values import entity_key, to_fact
from . import schema as t
from .facts import ensure_space, insert_vectors, locked
from .planning import without_index
from .selection import select_facts

_BATCH = 500


def entities(connection: Connection, namespace: str, *, after: str | None, limit: int) -> list[str]:
    """Ids of the namespace's entities in the order of their keys."""
    e, found = t.entity.c, list[str]()
    last = "" if after is None else entity_key(Attribution(after, namespace=namespace))
    while len(found) < limit:
        query = select(e.id, e.namespace, e.external_id).where(e.namespace == namespace, e.id > last)
        rows = connection.execute(query.order_by(e.id).limit(limit)).all()
        # MySQL takes a namespace for the same with a space at its end.
        found += [row.external_id for row in rows if row.namespace == namespace]
        if len(rows) < limit:
            break
        last = rows[-1].id
    return found[:limit]


def unembedded(
    connection: Connection, attribution: Attribution, space: Space, codec: Codec, *, window: int, limit: int
) -> list[Unembedded]:
    """Facts without a vector in the space, with what was said before each."""
    f, s = t.fact, t.session
    query = (
        select(f, s.c.external_id.label("session"))
        .outerjoin(s, s.c.id == f.c.session_id)
        .where(*_missing(attribution, space))
        .order_by(f.c.revision.desc(), f.c.id)
        .limit(limit)
    )
    rows = connection.execute(query).mappings().all()
    episodes = [row for row in rows if row["kind"] == "episode" and row["session_id"] and row["position"] is not None]
    places = {row["id"]: (row["session_id"], row["position"]) for row in episodes}
    before = _before(connection, attribution, places, codec, window=window)
    return [Unembedded(to_fact(row, codec), before.get(row["id"], ())) for row in rows]


def count_unembedded(connection: Connection, attribution: Attribution, space: Space) -> int:
    """How many facts have no vector in the space."""
    query = select(func.count()).select_from(t.fact).where(*_missing(attribution, space))
    return int(connection.execute(query).scalar_one())


def add_vectors(
    connection: Connection, attribution: Attribution, vectors: Sequence[FactVectors], space: Space, codec: Codec
) -> int:
    """Write vectors of facts that still are what was embedded and have none."""
    key = entity_key(attribution)
    row = locked(connection, key)
    if row is None or not vectors:
        return 0
    named = {fact.id for one in vectors for fact in (one.of.fact, *one.of.before)}
    found = select_facts(connection, attribution, codec, ids=named, statuses=("active", "superseded"))
    now = {fact.id: fact for _, fact in found}
    unchanged = {one.of.fact.id: one for one in vectors if one.of.holds(now)}
    for done in _embedded(connection, key, space, list(unchanged)):
        del unchanged[done]
    if not unchanged:
        return 0
    present = ensure_space(connection, space)
    values = {"revision": row.revision + 1, "active_space": row.active_space or present}
    connection.execute(update(t.entity).where(t.entity.c.id == key).values(**values))
    given = [(id_, tuple(fact.id for fact in one.of.before), one.vectors) for id_, one in unchanged.items()]
    insert_vectors(connection, key, space, given)
    for some in _chunks(list(unchanged)):
        changed = update(t.fact).where(t.fact.c.entity_id == key, t.fact.c.id.in_(some))
        connection.execute(changed.values(revision=row.revision + 1))
    return len(unchanged)


def activate(connection: Connection, attribution: Attribution, space: Space, *, drop_old: bool) -> int:
    """Flip the active space under the entity's lock, unless something is missing in it."""
    key = entity_key(attribution)
    row = locked(connection, key)
    missing = 0 if row is None else count_unembedded(connection, attribution, space)
    if row is None or missing:
        return missing
    wanted, values = ensure_space(connection, space), {}
    if row.active_space != wanted:
        values = {"active_space": wanted, "revision": row.revision + 1}
    if drop_old:
        e = t.embedding
        if connection.execute(e.delete().where(e.c.entity_id == key, e.c.space_id != wanted)).rowcount:
            values |= {"generation": new_key(), "revision": row.revision + 1}
    if values:
        connection.execute(update(t.entity).where(t.entity.c.id == key).values(**values))
    return 0


def _missing(attribution: Attribution, space: Space) -> list[ColumnElement[bool]]:
    f, e = t.fact.c, t.embedding.c
    embedded = exists().where(e.fact_id == f.id, e.space_id == derived_key("space", space.key))
    return [f.entity_id == entity_key(attribution), f.status.in_(("active", "superseded")), ~embedded]


def _before(
    connection: Connection, attribution: Attribution, places: dict[str, tuple[str, int]], codec: Codec, *, window: int
) -> dict[str, tuple[Fact, ...]]:
    """The last active episodes before each (session, position), oldest first."""
    f, said = t.fact.c, dict[str, list[tuple[int, str]]]()
    for some in _chunks(list({session for session, _ in places.values()})):
        query = select(f.session_id, f.position, f.id).where(
            f.entity_id == entity_key(attribution),
            f.status == "active",
            f.kind == "episode",
            f.session_id.in_(some),
            f.position.is_not(None),
        )
        for session, position, fact_id in connection.execute(query.order_by(f.position)):
            said.setdefault(session, []).append((position, fact_id))
    ids: dict[str, list[str]] = {}
    for fact_id, (session, position) in places.items():
        spoken = said.get(session, [])
        end = bisect_left(spoken, (position, ""))
        ids[fact_id] = [one for _, one in spoken[max(0, end - window) : end]]
    wanted = {one for some in ids.values() for one in some}
    facts = {fact.id: fact for _, fact in select_facts(connection, attribution, codec, ids=wanted)} if wanted else {}
    return {fact_id: tuple(facts[one] for one in some if one in facts) for fact_id, some in ids.items()}


def _embedded(connection: Connection, entity: str, space: Space, ids: list[str]) -> set[str]:
    e, found, in_space = t.embedding.c, set[str](), derived_key("space", space.key)
    for some in _chunks(ids):
        query = select(e.fact_id).where(e.fact_id.in_(some), e.space_id == in_space)
        found |= set(connection.execute(query.where(without_index(e.entity_id) == entity)).scalars())
    return found


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
