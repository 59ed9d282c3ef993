"""Embedding spaces: what has no vector in one, what gets one, and which is an entity's active one."""

from __future__ import annotations

from collections.abc import Sequence

from ...embedding.base import Space
from ...keys import new_key
from ...model import Attribution
from ..records import Codec, FactVectors, Unembedded
from ..values import entity_key, to_fact
from .facts import OF_A_FACT, select_facts, space_key, stored_vectors
from .layout import ENTITY, FACT, Document
from .rows import Rows, Unit


def entities(rows: Rows, namespace: str, *, after: str | None, limit: int) -> list[str]:
    """Ids of the namespace's entities in the order of their keys."""
    where: Document = {"namespace": namespace, "gone_at": {"$exists": False}}
    if after is not None:
        where["_id"] = {"$gt": entity_key(Attribution(after, namespace=namespace))}
    found = rows.find(ENTITY, where, sort=[("_id", 1)], limit=limit, fields=("external_id",))
    return [row["external_id"] for row in found]


def unembedded(
    rows: Rows, attribution: Attribution, space: Space, codec: Codec, *, window: int, limit: int
) -> list[Unembedded]:
    """Facts without a vector in the space, with what was said before each."""
    latest = [("revision", -1), ("_id", 1)]
    fields = (*OF_A_FACT, "session_id")
    found = list(rows.find(FACT, _missing(attribution, space), sort=latest, limit=limit, fields=fields))
    said_before = {row["_id"]: _before(rows, row, attribution, window) for row in found}
    ids = {one for some in said_before.values() for one in some}
    facts = {fact.id: fact for _, fact in select_facts(rows, attribution, codec, ids=ids)} if ids else {}
    return [
        Unembedded(
            to_fact({**row, "id": row["_id"]}, codec),
            tuple(facts[one] for one in said_before[row["_id"]] if one in facts),
        )
        for row in found
    ]


def count_unembedded(rows: Rows, attribution: Attribution, space: Space) -> int:
    """How many facts have no vector in the space."""
    return rows.count(FACT, _missing(attribution, space))


def add_vectors(
    unit: Unit, attribution: Attribution, vectors: Sequence[FactVectors], space: Space, codec: Codec
) -> int:
    """Write vectors of facts that still are what was embedded and have none."""
    entity = _entity(unit, attribution)
    if entity is None or not vectors:
        return 0
    named = {fact.id for one in vectors for fact in (one.of.fact, *one.of.before)}
    now = {fact.id: fact for _, fact in select_facts(unit, attribution, codec, ids=named, statuses=())}
    given = {one.of.fact.id: one for one in vectors if one.of.holds(now)}
    where = {**_missing(attribution, space), "_id": {"$in": sorted(given)}}
    missing = list(unit.find(FACT, where, fields=("vectors",)))
    if not missing:
        return 0
    revision = entity["revision"] + 1
    for row in missing:
        one = given[row["_id"]]
        made = stored_vectors(one.vectors, [fact.id for fact in one.of.before])
        kept = row.get("vectors", {})
        unit.set(FACT, row["_id"], {"vectors": {**kept, space_key(space): made}, "revision": revision})
    active = entity["active_space"] or space.key
    unit.put(ENTITY, {**entity, "revision": revision, "active_space": active})
    return len(missing)


def activate(unit: Unit, attribution: Attribution, space: Space, *, drop_old: bool) -> int:
    """Flip the active space under the entity's lock, unless something is missing in it."""
    entity = _entity(unit, attribution)
    missing = 0 if entity is None else count_unembedded(unit, attribution, space)
    if entity is None or missing:
        return missing
    key, changed = space_key(space), {**entity, "active_space": space.key}
    if entity["active_space"] != space.key:
        changed["revision"] = entity["revision"] + 1
    if drop_old:
        for row in unit.find(FACT, {"entity_id": entity["_id"]}, fields=("vectors",)):
            if set(row.get("vectors", {})) - {key}:
                kept = {name: one for name, one in row["vectors"].items() if name == key}
                unit.set(FACT, row["_id"], {"vectors": kept})
                changed |= {"generation": "", "revision": entity["revision"] + 1}
        if not changed["generation"]:
            changed["generation"] = new_key()
    if changed != entity:
        unit.put(ENTITY, changed)
    return 0


def _entity(unit: Unit, attribution: Attribution) -> Document | None:
    return unit.first(ENTITY, {"_id": entity_key(attribution), "gone_at": {"$exists": False}})


def _missing(attribution: Attribution, space: Space) -> Document:
    return {
        "entity_id": entity_key(attribution),
        "status": {"$in": ["active", "superseded"]},
        f"vectors.{space_key(space)}": {"$exists": False},
    }


def _before(rows: Rows, row: Document, attribution: Attribution, window: int) -> list[str]:
    """Ids of the last active episodes before an episode in its session, oldest first."""
    if row["kind"] != "episode" or row["session_id"] is None or row["position"] is None:
        return []
    where = {
        "entity_id": entity_key(attribution),
        "status": "active",
        "kind": "episode",
        "session_id": row["session_id"],
        "position": {"$lt": row["position"]},
    }
    found = rows.find(FACT, where, sort=[("position", -1)], limit=window, fields=("_id",))
    return [one["_id"] for one in found][::-1]
