"""Items: an application's documents, by namespace and key, within one entity. Their JSON is kept as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ...embedding.base import Space
from ...keys import derived_key
from ...model import Attribution, Item
from ..conditions import check_expected, meets
from ..records import Codec, Condition, Expectation, FoundItem, ItemWrite
from ..values import entity_key, from_micros, optional_time, to_micros
from .conversations import ensure_entity
from .layout import ITEM, Document
from .rows import Rows, Unit

Place = tuple[tuple[str, ...], str]


def write(
    unit: Unit,
    attribution: Attribution,
    writes: Sequence[ItemWrite],
    codec: Codec,
    *,
    expected: Sequence[Expectation],
    now: datetime,
) -> None:
    """Put and remove, unless an item is not as expected; the last write of a key wins."""
    moment = to_micros(now)
    if expected:
        places = [(one.namespace, one.key) for one in expected]
        check_expected(zip(expected, read(unit, attribution, places, codec, now=now), strict=True))
    ensure_entity(unit, attribution, now=moment)
    last = {_key(attribution, (one.namespace, one.key)): one for one in writes}
    where = {"entity_id": entity_key(attribution), "_id": {"$in": list(last)}}
    there = {row["_id"]: row for row in unit.find(ITEM, where, fields=("created_at", "expires_at"))}
    for key, one in last.items():
        before = there.get(key)
        if one.value is None:
            if before is not None:
                unit.remove(ITEM, key)
            continue
        alive = before is not None and (before["expires_at"] is None or before["expires_at"] > moment)
        unit.put(
            ITEM,
            {
                "_id": key,
                "entity_id": entity_key(attribution),
                "namespace": codec.encode(json.dumps(one.namespace)),
                "scopes": [
                    _scope(attribution, one.namespace[:depth], codec) for depth in range(len(one.namespace) + 1)
                ],
                "item_key": codec.encode(one.key),
                "content": codec.encode(json.dumps(one.value)),
                "space_id": derived_key("space", one.space.key) if one.space else None,
                "vectors": None if one.vectors is None else np.ascontiguousarray(one.vectors, dtype="<f4").tobytes(),
                "created_at": before["created_at"] if before is not None and alive else moment,
                "updated_at": moment,
                "expires_at": None if one.ttl is None else moment + int(one.ttl * 1e6),
            },
        )


def read(
    rows: Rows, attribution: Attribution, places: Sequence[Place], codec: Codec, *, now: datetime
) -> list[Item | None]:
    """Items in the order asked for."""
    keys = [_key(attribution, place) for place in places]
    where = {"$and": [{"_id": {"$in": keys}}, _alive(attribution, now)]}
    found = {row["_id"]: _item(row, codec) for row in rows.find(ITEM, where)}
    return [found.get(key) for key in keys]


def touch(rows: Rows, attribution: Attribution, places: Sequence[Place], *, ttl: float, now: datetime) -> None:
    """Move the expiry of items that have one."""
    moment = to_micros(now)
    keys = [_key(attribution, place) for place in places]
    where = {"entity_id": entity_key(attribution), "_id": {"$in": keys}, "expires_at": {"$gt": moment}}
    rows.database[ITEM].update_many(where, {"$set": {"expires_at": moment + int(ttl * 1e6)}})


def search(
    rows: Rows,
    attribution: Attribution,
    prefix: tuple[str, ...],
    codec: Codec,
    *,
    conditions: Sequence[Condition],
    space: Space | None,
    limit: int | None,
    offset: int,
    now: datetime,
) -> list[FoundItem]:
    """Items under a prefix that meet the conditions, latest update first."""
    wanted = None if space is None else derived_key("space", space.key)
    found: list[FoundItem] = []
    end = None if limit is None else offset + limit
    where = _under(attribution, prefix, codec, now)
    for row in rows.find(ITEM, where, sort=_NEWEST, fields=_FULL if space is None else None):
        one = _item(row, codec)
        if one.namespace[: len(prefix)] == prefix and all(meets(one.value, condition) for condition in conditions):
            found.append(FoundItem(one, _vectors(row, space) if space and row["space_id"] == wanted else None))
            if end is not None and len(found) >= end:
                break
    return found[offset:end]


def vectors(
    rows: Rows,
    attribution: Attribution,
    prefix: tuple[str, ...],
    codec: Codec,
    *,
    conditions: Sequence[Condition],
    space: Space,
    now: datetime,
) -> list[tuple[Place, NDArray[np.float32] | None]]:
    """The places of what `search` finds and its vectors; values are read where there are conditions."""
    wanted = derived_key("space", space.key)
    found: list[tuple[Place, NDArray[np.float32] | None]] = []
    fields = ("namespace", "item_key", "space_id", "vectors", *(["content"] if conditions else []))
    for row in rows.find(ITEM, _under(attribution, prefix, codec, now), sort=_NEWEST, fields=fields):
        namespace = tuple(json.loads(codec.decode(row["namespace"])))
        value = json.loads(codec.decode(row["content"])) if conditions else None
        if namespace[: len(prefix)] == prefix and all(meets(value, condition) for condition in conditions):
            place = namespace, codec.decode(row["item_key"])
            found.append((place, _vectors(row, space) if row["space_id"] == wanted else None))
    return found


def namespaces(
    rows: Rows, attribution: Attribution, prefix: tuple[str, ...], codec: Codec, *, now: datetime
) -> list[tuple[str, ...]]:
    """Namespaces in use."""
    found = rows.find(ITEM, _alive(attribution, now), fields=("namespace",))
    every = {tuple(json.loads(codec.decode(row["namespace"]))) for row in found}
    return sorted(one for one in every if one[: len(prefix)] == prefix)


def sweep(rows: Rows, *, now: datetime) -> int:
    """Delete what has expired."""
    return rows.database[ITEM].delete_many({"expires_at": {"$lte": to_micros(now)}}).deleted_count


_NEWEST = (("updated_at", -1), ("_id", 1))
_FULL = ("namespace", "item_key", "content", "created_at", "updated_at", "expires_at")


def _under(attribution: Attribution, prefix: tuple[str, ...], codec: Codec, now: datetime) -> Document:
    """Items that may be under the prefix: what an older version wrote has no scopes."""
    alive = _alive(attribution, now)
    if not prefix:
        return alive
    scope = _scope(attribution, prefix, codec)
    return {"$and": [alive, {"$or": [{"scopes": scope}, {"scopes": None}]}]}


def _scopes(attribution: Attribution, namespace: tuple[str, ...], codec: Codec) -> list[str]:
    return [_scope(attribution, namespace[:depth], codec) for depth in range(1, len(namespace) + 1)]


def _scope(attribution: Attribution, labels: tuple[str, ...], codec: Codec) -> str:
    return codec.fingerprint(json.dumps(["scope", entity_key(attribution), *labels]))


def _key(attribution: Attribution, place: Place) -> str:
    namespace, key = place
    return derived_key("item", entity_key(attribution), len(namespace), *namespace, key)


def _alive(attribution: Attribution, now: datetime) -> Document:
    unexpired = [{"expires_at": None}, {"expires_at": {"$gt": to_micros(now)}}]
    return {"entity_id": entity_key(attribution), "$or": unexpired}


def _item(row: Document, codec: Codec) -> Item:
    return Item(
        namespace=tuple(json.loads(codec.decode(row["namespace"]))),
        key=codec.decode(row["item_key"]),
        value=json.loads(codec.decode(row["content"])),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        expires_at=optional_time(row["expires_at"]),
    )


def _vectors(row: Document, space: Space) -> NDArray[np.float32] | None:
    stored = row["vectors"]
    if stored is None or len(stored) % (4 * space.dimension):
        return None
    return np.frombuffer(stored, dtype="<f4").reshape(-1, space.dimension)
