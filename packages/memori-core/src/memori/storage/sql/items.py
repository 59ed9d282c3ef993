"""Items: an application's documents, by namespace and key, within one entity."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, or_, select, update
from sqlalchemy.engine import RowMapping

from ...embedding.base import Space
from ...keys import derived_key
from ...model import Attribution, Item
from ..base import Codec, Condition, Expectation, FoundItem, ItemWrite
from ..conditions import check_expected, meets
from ..values import entity_key, from_micros, optional_time, to_micros
from . import schema as t

_BATCH = 500


def write(
    connection: Connection, attribution: Attribution, writes: Sequence[ItemWrite], codec: Codec, *, now: datetime
) -> None:
    """Put and delete; the last write of a key wins."""
    last = {_id(attribution, one.namespace, one.key): one for one in writes}
    i, moment = t.item, to_micros(now)
    born = {
        row.id: row.created_at
        for batch in _batches(list(last))
        for row in connection.execute(
            select(i.c.id, i.c.created_at).where(
                i.c.id.in_(batch), or_(i.c.expires_at.is_(None), i.c.expires_at > moment)
            )
        )
    }
    for batch in _batches(list(last)):
        connection.execute(i.delete().where(i.c.id.in_(batch), i.c.entity_id == entity_key(attribution)))
    rows = [
        {
            "id": key,
            "entity_id": entity_key(attribution),
            "namespace": codec.encode(json.dumps(one.namespace)),
            "item_key": codec.encode(one.key),
            "content": codec.encode(json.dumps(one.value)),
            "space_id": derived_key("space", one.space.key) if one.space else None,
            "vectors": None if one.vectors is None else np.ascontiguousarray(one.vectors, dtype="<f4").tobytes(),
            "created_at": born.get(key, moment),
            "updated_at": moment,
            "expires_at": None if one.ttl is None else moment + int(one.ttl * 1e6),
        }
        for key, one in last.items()
        if one.value is not None
    ]
    if rows:
        connection.execute(i.insert(), rows)


def check(
    connection: Connection, attribution: Attribution, expected: Sequence[Expectation], codec: Codec, *, now: datetime
) -> None:
    """Raise unless the items are as expected, and let nobody else change them before this transaction ends."""
    connection.execute(
        select(t.entity.c.id).where(t.entity.c.id == entity_key(attribution)).with_for_update(key_share=True)
    )
    found = read(connection, attribution, [(one.namespace, one.key) for one in expected], codec, now=now)
    check_expected(zip(expected, found, strict=True))


def read(
    connection: Connection,
    attribution: Attribution,
    keys: Sequence[tuple[tuple[str, ...], str]],
    codec: Codec,
    *,
    now: datetime,
) -> list[Item | None]:
    """Items in the order asked for."""
    ids = [_id(attribution, namespace, key) for namespace, key in keys]
    found = {
        row["id"]: _item(row, codec, _namespace(row["namespace"], codec))
        for batch in _batches(list(dict.fromkeys(ids)))
        for row in connection.execute(_alive(attribution, now).where(t.item.c.id.in_(batch))).mappings()
    }
    return [found.get(one) for one in ids]


def touch(
    connection: Connection,
    attribution: Attribution,
    keys: Sequence[tuple[tuple[str, ...], str]],
    *,
    ttl: float,
    now: datetime,
) -> None:
    """Move the expiry of items that have one."""
    i, moment = t.item, to_micros(now)
    for batch in _batches([_id(attribution, namespace, key) for namespace, key in keys]):
        connection.execute(
            update(i)
            .where(i.c.entity_id == entity_key(attribution), i.c.id.in_(batch), i.c.expires_at > moment)
            .values(expires_at=moment + int(ttl * 1e6))
        )


def search(
    connection: Connection,
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
    """Items under a prefix that meet the conditions, latest update first.

    Values may be encrypted, and every dialect compares JSON differently: conditions are met here, over the entity's
    own items.
    """
    query = _alive(attribution, now).order_by(t.item.c.updated_at.desc(), t.item.c.id)
    if prefix and (begins := _begins(prefix, codec)) is not None:
        query = query.where(t.item.c.namespace.startswith(begins, autoescape=True))
    wanted = None if space is None else derived_key("space", space.key)
    found: list[FoundItem] = []
    end = None if limit is None else offset + limit
    if end == 0:
        return []
    read: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(query).mappings():
        stored = row["namespace"]
        namespace = read.get(stored) or read.setdefault(stored, _namespace(stored, codec))
        if namespace[: len(prefix)] != prefix:
            continue
        one = _item(row, codec, namespace)
        if all(meets(one.value, condition) for condition in conditions):
            found.append(FoundItem(one, _vectors(row, space) if space and row["space_id"] == wanted else None))
            if len(found) == end:
                break
    return found[offset:end]


def namespaces(
    connection: Connection, attribution: Attribution, prefix: tuple[str, ...], codec: Codec, *, now: datetime
) -> list[tuple[str, ...]]:
    """Namespaces in use."""
    moment = to_micros(now)
    i = t.item
    query = select(i.c.namespace).where(
        i.c.entity_id == entity_key(attribution), or_(i.c.expires_at.is_(None), i.c.expires_at > moment)
    )
    every = {tuple(json.loads(codec.decode(stored))) for stored in connection.execute(query).scalars()}
    return sorted(one for one in every if one[: len(prefix)] == prefix)


def sweep(connection: Connection, *, now: datetime) -> int:
    """Delete what has expired."""
    return connection.execute(t.item.delete().where(t.item.c.expires_at <= to_micros(now))).rowcount


def _id(attribution: Attribution, namespace: tuple[str, ...], key: str) -> str:
    return derived_key("item", entity_key(attribution), len(namespace), *namespace, key)


def _alive(attribution: Attribution, now: datetime) -> Any:
    i = t.item
    unexpired = or_(i.c.expires_at.is_(None), i.c.expires_at > to_micros(now))
    return select(i).where(i.c.entity_id == entity_key(attribution), unexpired)


def _item(row: RowMapping, codec: Codec, namespace: tuple[str, ...]) -> Item:
    return Item(
        namespace=namespace,
        key=codec.decode(row["item_key"]),
        value=json.loads(codec.decode(row["content"])),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        expires_at=optional_time(row["expires_at"]),
    )


def _namespace(stored: str, codec: Codec) -> tuple[str, ...]:
    return tuple(json.loads(codec.decode(stored)))


def _begins(prefix: tuple[str, ...], codec: Codec) -> str | None:
    """How the text of such a namespace begins; None where it is stored encrypted. Rows are checked all the same."""
    text = json.dumps(prefix)
    return text[:-1] if codec.encode(text) == text else None


def _vectors(row: RowMapping, space: Space) -> NDArray[np.float32] | None:
    stored = row["vectors"]
    if stored is None or len(stored) % (4 * space.dimension):
        return None
    return np.frombuffer(stored, dtype="<f4").reshape(-1, space.dimension)


def _batches(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
