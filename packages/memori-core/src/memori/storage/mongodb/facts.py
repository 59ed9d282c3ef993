"""Facts: changed in one unit of work, read by revision, by filter, and by their words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...embedding.base import Space
from ...errors import RevisionConflictError, UnknownFactError
from ...keys import derived_key
from ...model import ACTIVE, Attribution, Fact, FactStatus, Kind, Tier, Triple
from ..records import Codec, Delta, EntityState, FactChanges, IndexRow, NewFact
from ..values import (
    entity_key,
    fact_values,
    from_micros,
    optional_micros,
    optional_time,
    process_key,
    session_key,
    to_fact,
    to_micros,
)
from . import provenance
from .conversations import ensure_entity
from .layout import ENTITY, FACT, OWNED, Document
from .rows import Rows, Unit

_READABLE = 64
MAX_TERMS = 2000
"""Different words of one fact that are indexed."""
MAX_WANTED = 32
"""Words of one query."""


def state(rows: Rows, attribution: Attribution) -> EntityState:
    """The entity's revision, generation and active space."""
    row = rows.first(ENTITY, {"_id": entity_key(attribution), "gone_at": {"$exists": False}})
    return _state(row) if row else EntityState()


def _state(entity: Document) -> EntityState:
    active = entity["active_space"]
    return EntityState(entity["revision"], entity["generation"], None if active is None else Space.from_key(active))


def apply(
    unit: Unit,
    attribution: Attribution,
    changes: FactChanges,
    codec: Codec,
    *,
    expected: EntityState | None,
    now: datetime,
) -> tuple[EntityState, tuple[Fact, ...]]:
    """Change the entity's facts; return its state after that and the facts added. One that is there stays as it is."""
    entity = ensure_entity(unit, attribution, now=to_micros(now))
    # An entity that was not there yet (generation "") has just been made by this very unit, or by a rival.
    found = EntityState(entity["revision"], entity["generation"] if expected is None or expected.generation else "")
    if expected is not None and found != expected:
        raise RevisionConflictError(f"The facts of {attribution.entity_id!r} changed meanwhile; read them again.")
    if not changes:
        return _state(entity), ()
    revision, moment = entity["revision"] + 1, to_micros(now)
    named = {one.fact.id for one in changes.add} | {one.fact_id for one in changes.retire}
    named |= {fact_id for fact_id, _ in (*changes.mentions, *changes.unsaid)}
    named |= {one.fact_id for one in changes.restore} | {one.fact_id for one in changes.place}
    where = {"entity_id": entity["_id"], "_id": {"$in": sorted(named)}}
    there = {
        row["_id"]: row for row in unit.find(FACT, where, fields=("mentions", "said_by", "valid_to", "retired_at"))
    }
    added = [one for one in changes.add if one.fact.id not in there]
    for new in added:
        row = _fact_row(attribution, new, changes.space, codec, revision=revision, moment=moment)
        unit.put(FACT, row)
        there[new.fact.id] = row
    for gone in changes.retire:
        if gone.fact_id in there:
            valid_to = optional_micros(gone.valid_to)
            retired: Document = {"status": gone.status, "superseded_by": gone.superseded_by, "terms": []}
            retired["valid_to"] = there[gone.fact_id]["valid_to"] if valid_to is None else valid_to
            since = there[gone.fact_id]["retired_at"]
            unit.set(FACT, gone.fact_id, {**retired, "retired_at": since or moment, "revision": revision})
    for fact_id, message_key in changes.mentions:
        if (one := there.get(fact_id)) is not None:
            one["mentions"] += 1
            one["said_by"] = list(dict.fromkeys([*one["said_by"], *([message_key] if message_key else [])]))
            counted = {"mentions": one["mentions"], "said_by": one["said_by"]}
            unit.set(FACT, fact_id, {**counted, "revision": revision})
    provenance.change(unit, attribution, changes, there, codec, revision=revision, moment=moment)
    for placed in changes.place:
        if placed.fact_id in there:
            unit.set(FACT, placed.fact_id, {"tier": placed.tier, "expires_at": optional_micros(placed.expires_at)})
    _withdraw(unit, entity["_id"], [one.fact_id for one in changes.retire if one.status != "superseded"], revision)
    space = entity["active_space"] or (changes.space.key if changes.space else None)
    entity = {**entity, "revision": revision, "active_space": space}
    unit.put(ENTITY, entity)
    facts = tuple(replace(one.fact, created_at=from_micros(moment), revision=revision) for one in added)
    return _state(entity), facts


def _withdraw(unit: Unit, entity: str, unsaid: Sequence[str], revision: int) -> None:
    """Remove the vectors that the texts of episodes went into as part of a window."""
    where: Document = {"entity_id": entity, "_id": {"$in": sorted(unsaid)}, "kind": "episode"}
    for gone in list(unit.find(FACT, where, fields=("session_id", "position"))) if unsaid else ():
        where = {"entity_id": entity, "kind": "episode", "session_id": gone["session_id"]}
        where["position"] = {"$gt": gone["position"]}
        for row in unit.find(FACT, where, fields=("vectors",)):
            if any(gone["_id"] in one["window"] for one in row["vectors"].values()):
                unit.set(FACT, row["_id"], {"vectors": {}, "revision": revision})


def check_known(unit: Unit, attribution: Attribution, changes: FactChanges) -> None:
    """Raise `UnknownFactError` when a fact to retire is not the entity's."""
    wanted = {retirement.fact_id for retirement in changes.retire}
    where = {"entity_id": entity_key(attribution), "_id": {"$in": sorted(wanted)}}
    known = {row["_id"] for row in unit.find(FACT, where, fields=("_id",))} if wanted else set()
    if missing := wanted - known:
        raise UnknownFactError(f"{attribution.entity_id!r} has no fact {sorted(missing)[0]!r}.")


def _fact_row(
    attribution: Attribution, new: NewFact, space: Space | None, codec: Codec, *, revision: int, moment: int
) -> Document:
    fact, active = new.fact, new.fact.status == "active"
    values = fact_values(fact, codec)
    vectors = {}
    if space is not None and new.vectors is not None:
        vectors[space_key(space)] = stored_vectors(new.vectors, new.window)
    return {
        "_id": values.pop("id"),
        **values,
        "entity_id": entity_key(attribution),
        "process_id": process_key(attribution),
        "session_id": None if fact.session_id is None else session_key(attribution, fact.session_id),
        "session": fact.session_id,
        "search_text": codec.encode(new.search_text),
        "terms": _tokens(new.search_text.split(), codec, most=MAX_TERMS) if active else [],
        "fingerprint": new.fingerprint,
        "created_at": moment,
        "retired_at": None if active else moment,
        "revision": revision,
        "said_by": [fact.message_key] if fact.message_key else [],
        "vectors": vectors,
        "triples": [
            {
                "subject": codec.encode(triple.subject),
                "predicate": codec.encode(triple.predicate),
                "object": codec.encode(triple.object),
                "subject_type": triple.subject_type,
                "object_type": triple.object_type,
            }
            for triple in new.triples
        ],
    }


def space_key(space: Space) -> str:
    """Under what name a fact's vectors in the space are stored."""
    return derived_key("space", space.key)


def stored_vectors(vectors: NDArray[np.float32], window: Sequence[str]) -> Document:
    """What is stored of a fact's vectors in one space."""
    passages = [np.ascontiguousarray(vector, dtype="<f4").tobytes() for vector in vectors]
    return {"passages": passages, "window": list(window)}


def searchable(row: Document, codec: Codec) -> list[str]:
    """What a fact is found by."""
    return _tokens(codec.decode(row["search_text"]).split(), codec, most=MAX_TERMS)


def _tokens(terms: Sequence[str], codec: Codec, *, most: int) -> list[str]:
    """What is indexed of terms: themselves, unless they are long or the codec hides them."""
    return [
        term if len(term) <= _READABLE and codec.encode(term) == term else codec.fingerprint(term)
        for term in list(dict.fromkeys(term for term in terms if term))[:most]
    ]


def changes_since(rows: Rows, attribution: Attribution, space: Space, revision: int, codec: Codec) -> Delta:
    """Facts changed after a revision, with their vectors. From the beginning, only what recall may return."""
    now = state(rows, attribution)
    where: Document = {
        "entity_id": entity_key(attribution),
        "revision": {"$gt": revision, "$lte": now.revision},
    }
    if revision <= 0:
        where["status"] = {"$in": ["active", "superseded"]}
    passages = f"vectors.{space_key(space)}.passages"
    fields = (
        "search_text", "kind", "status", "speaker", "session_id", "position", "said_at", "valid_from", "valid_to",
        "importance", "mentions", "triples", passages,
    )  # fmt: skip
    found = rows.find(FACT, where, sort=[("revision", 1), ("_id", 1)], fields=fields)
    return Delta(
        now,
        [
            IndexRow(
                fact_id=row["_id"],
                text=codec.decode(row["search_text"]),
                kind=row["kind"],
                status=row["status"],
                speaker=codec.decode(row["speaker"]) if row["speaker"] else None,
                session_id=row["session_id"],
                position=row["position"],
                said_at=optional_time(row["said_at"]),
                valid_from=optional_time(row["valid_from"]),
                valid_to=optional_time(row["valid_to"]),
                vectors=_stack(_passages(row, space), space.dimension),
                importance=row["importance"],
                mentions=row["mentions"],
                nodes=_nodes(row, codec),
            )
            for row in found
        ],
    )


def _nodes(row: Document, codec: Codec) -> tuple[str, ...]:
    names = (codec.decode(triple[end]) for triple in row.get("triples", ()) for end in ("subject", "object"))
    return tuple(sorted(set(names)))


def _passages(row: Document, space: Space) -> list[bytes]:
    found: list[bytes] = row.get("vectors", {}).get(space_key(space), {}).get("passages", [])
    return found


def _stack(found: list[bytes], dimension: int) -> NDArray[np.float32] | None:
    """Passages as one array; None when there are none or one was damaged, so that words alone find the fact."""
    if not found or any(len(vector) != 4 * dimension for vector in found):
        return None
    passages = np.frombuffer(b"".join(found), dtype="<f4").reshape(len(found), dimension)
    return passages if np.isfinite(passages).all() else None


def select_facts(
    rows: Rows,
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
    """Facts with their fingerprints, newest first."""
    where: dict[str, Any] = {"entity_id": entity_key(attribution), **_holding(as_of, statuses)}
    narrowed = {"_id": ids, "kind": kinds, "slot": slots, "fingerprint": fingerprints, "superseded_by": successors}
    where |= {name: {"$in": sorted(set(given))} for name, given in narrowed.items() if given is not None}
    if process_id is not None:
        where["process_id"] = process_key(replace(attribution, process_id=process_id))
    if tier is not None:
        where["tier"] = tier
    if said_before is not None:
        then = {"$lt": to_micros(said_before)}
        where["$or"] = [{"said_at": then}, {"said_at": None, "created_at": then}]
    newest = [("created_at", -1), ("position", -1), ("_id", -1)]
    fields = (*OF_A_FACT, "fingerprint")
    found = rows.find(FACT, where, sort=newest, limit=limit, skip=offset, fields=fields)
    return [(row["fingerprint"], to_fact({**row, "id": row["_id"]}, codec)) for row in found]


OF_A_FACT = (
    "content", "kind", "status", "speaker", "source", "said_at", "created_at", "valid_from", "valid_to", "retired_at",
    "expires_at", "superseded_by", "slot", "importance", "mentions", "tier", "message_id", "session", "position",
    "extractor", "revision",
)  # fmt: skip


def _holding(as_of: datetime | None, statuses: Collection[FactStatus]) -> Document:
    if as_of is not None:
        return {"status": {"$in": ["active", "superseded"]}, "$and": _valid_at(to_micros(as_of))}
    return {"status": {"$in": sorted(statuses)}} if statuses else {}


def _valid_at(moment: int) -> list[Document]:
    then = {"$lte": moment}
    began = [
        {"valid_from": then},
        {"valid_from": None, "said_at": then},
        {"valid_from": None, "said_at": None, "created_at": then},
    ]
    return [{"$or": began}, {"$or": [{"valid_to": None}, {"valid_to": {"$gt": moment}}]}]


def search(
    rows: Rows, attribution: Attribution, terms: Sequence[str], codec: Codec, *, limit: int
) -> list[tuple[str, str]]:
    """Active facts that hold any of the terms, those with most of them first, then the newest.

    Only active facts have terms, and their index begins with the entity: neither the others nor other tenants' facts
    cost anything.
    """
    wanted = _tokens(terms, codec, most=MAX_WANTED)
    if not wanted or limit < 1:
        return []
    matched = {"$size": {"$setIntersection": ["$terms", {"$literal": wanted}]}}
    found = rows.aggregate(
        FACT,
        {"$match": {"entity_id": entity_key(attribution), "terms": {"$in": wanted}}},
        {"$project": {"search_text": 1, "created_at": 1, "matched": matched}},
        {"$sort": {"matched": -1, "created_at": -1, "_id": -1}},
        {"$limit": limit},
    )
    return [(row["_id"], codec.decode(row["search_text"])) for row in found]


def triples(
    rows: Rows, attribution: Attribution, codec: Codec, *, limit: int, as_of: datetime | None
) -> list[tuple[str, Triple]]:
    """Triples of active facts, or of those true at a moment, oldest first."""
    where = {"entity_id": entity_key(attribution), "triples.0": {"$exists": True}, **_holding(as_of, ACTIVE)}
    found: list[tuple[str, Triple]] = []
    for row in rows.find(FACT, where, sort=[("created_at", 1), ("_id", 1)], limit=limit, fields=("triples",)):
        for one in row["triples"]:
            subject, predicate, target = (codec.decode(one[name]) for name in ("subject", "predicate", "object"))
            triple = Triple(subject, predicate, target, one["subject_type"], one["object_type"])
            found.append((row["_id"], triple))
    return found[:limit]


def erase(unit: Unit, attribution: Attribution) -> dict[str, int]:
    """Remove everything of the entity; say how much there was."""
    entity = entity_key(attribution)
    there = {
        name: unit.count(name, {"_id" if name == ENTITY else "entity_id": entity, "gone_at": {"$exists": False}})
        for name in OWNED
    }
    unit.clear(sum(there.values()))
    return there
