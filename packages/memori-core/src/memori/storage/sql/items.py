"""Items: an application's documents, by namespace and key, within one entity."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    and_,
    bindparam,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)

from ...embedding.base import Space
from ...keys import derived_key
from ...model import Attribution, Item
from ..conditions import check_expected, meets
from ..records import Codec, Condition, Expectation, FoundItem, ItemWrite
from ..values import entity_key, from_micros, optional_time, parsed, to_micros
from . import schema as t
from .dialects import traits_of
from .direct import rows

_BATCH = 500

Place = tuple[tuple[str, ...], str]
"""A namespace and a key in it."""


def write(
    connection: Connection, attribution: Attribution, writes: Sequence[ItemWrite], codec: Codec, *, now: datetime
) -> None:
    """Put and delete; the last write of a key wins."""
    i, entity, moment = t.item, entity_key(attribution), to_micros(now)
    last = dict(zip(_ids(entity, [(one.namespace, one.key) for one in writes]), writes, strict=True))
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
        connection.execute(i.delete().where(i.c.id.in_(batch), i.c.entity_id == entity))
    rows = [
        {
            "id": key,
            "entity_id": entity,
            "namespace": codec.encode(json.dumps(one.namespace)),
            "item_key": codec.encode(one.key),
            "content": codec.encode(json.dumps(one.value)),
            "space_id": derived_key("space", one.space.key) if one.space else None,
            "vectors": None if one.vectors is None else np.ascontiguousarray(one.vectors, dtype="<f4").tobytes(),
            "created_at": born.get(key, moment),
            "updated_at": moment,
            "expires_at": None if one.ttl is None else moment + int(one.ttl * 1e6),
            **_scopes(entity, one.namespace, codec),
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
    keys: Sequence[Place],
    codec: Codec,
    *,
    now: datetime,
) -> list[Item | None]:
    """Items in the order asked for."""
    entity = entity_key(attribution)
    ids = _ids(entity, keys)
    wanted = dict(zip(ids, keys, strict=True))
    given = {"entity": entity, "moment": to_micros(now)}
    stored: list[Sequence[Any]] = []
    for batch in _batches(list(wanted)):
        size = 1 << (len(batch) - 1).bit_length()
        named = dict(enumerate(batch + batch[-1:] * (size - len(batch))))
        stored += rows(connection, _named(size), given | {f"id_{n}": key for n, key in named.items()})
    values = parsed(codec.decode(text) for _, text, *_ in stored)
    found = {
        key: _item(*wanted[key], value, created, updated, expires)
        for (key, _, created, updated, expires), value in zip(stored, values, strict=True)
    }
    return [found.get(one) for one in ids]


def touch(
    connection: Connection,
    attribution: Attribution,
    keys: Sequence[Place],
    *,
    ttl: float,
    now: datetime,
) -> None:
    """Move the expiry of items that have one."""
    i, moment = t.item, to_micros(now)
    for batch in _batches(_ids(entity_key(attribution), keys)):
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
    end = None if limit is None else offset + limit
    if end is not None and end <= offset:
        return []
    found: list[FoundItem] = []
    namespaces = _Namespaces(prefix, codec)
    passed = 0
    reading = _FULL if space is None else (*_FULL, *_VECTORS)
    space_key = "" if space is None else derived_key("space", space.key)
    for page in _newest(connection, attribution, prefix, codec, now=now, reading=reading, page=end):
        values = parsed(codec.decode(row[_CONTENT]) for row in page)
        for (updated, _, stored, key, _, created, expires, *embedded), value in zip(page, values, strict=True):
            namespace = namespaces[stored]
            if namespace is None or (conditions and not all(meets(value, one) for one in conditions)):
                continue
            passed += 1
            if passed > offset:
                item = _item(namespace, codec.decode(key), value, created, updated, expires)
                found.append(FoundItem(item, None if space is None else _vectors(embedded, space, space_key)))
            if passed == end:
                return found
    return found


def vectors(
    connection: Connection,
    attribution: Attribution,
    prefix: tuple[str, ...],
    codec: Codec,
    *,
    conditions: Sequence[Condition],
    space: Space,
    now: datetime,
) -> list[tuple[Place, NDArray[np.float32] | None]]:
    """The places of what `search` finds and its vectors; values are read where there are conditions."""
    found: list[tuple[Place, NDArray[np.float32] | None]] = []
    namespaces = _Namespaces(prefix, codec)
    space_key = derived_key("space", space.key)
    reading = ("namespace", "item_key", *_VECTORS, *(["content"] if conditions else []))
    for page in _newest(connection, attribution, prefix, codec, now=now, reading=reading, page=None):
        values = parsed(codec.decode(row[-1]) for row in page) if conditions else repeat(None, len(page))
        for (_, _, stored, key, *embedded), value in zip(page, values, strict=True):
            namespace = namespaces[stored]
            if namespace is not None and all(meets(value, one) for one in conditions):
                found.append(((namespace, codec.decode(key)), _vectors(embedded, space, space_key)))
    return found


def _newest(
    connection: Connection,
    attribution: Attribution,
    prefix: tuple[str, ...],
    codec: Codec,
    *,
    now: datetime,
    reading: tuple[str, ...],
    page: int | None,
) -> Iterator[Sequence[Any]]:
    """Rows of the entity that may be under the prefix, latest update first: `page` of them, then more at a time.

    Each holds when it was updated, its id, and what is read.
    Namespaces deeper than the scopes reach, and those that older versions wrote, are told apart by who reads them.
    """
    entity = entity_key(attribution)
    depth = min(len(prefix), len(t.ITEM_SCOPES))
    given: dict[str, Any] = {"entity": entity, "moment": to_micros(now), "most": page}
    if depth:
        given |= {"scope": _scope(entity, prefix[:depth], codec), "begins": _begins(prefix, codec)}
    while True:
        query = _page(depth, reading, page is not None, "before" in given, traits_of(connection).merges)
        found = rows(connection, query, given)
        yield found
        if page is None or len(found) < page:
            return
        page *= 4
        given |= {"before": found[-1][0], "id": found[-1][1], "most": page}


@lru_cache(maxsize=64)
def _page(depth: int, reading: tuple[str, ...], limited: bool, again: bool, merges: bool) -> Any:
    """The statement for a page of rows; the same object each time, so that it is compiled once."""
    i = t.item
    query = select(*_columns("updated_at", "id", *reading)).where(_ALIVE)
    if again:
        before = bindparam("before", type_=BigInteger)
        query = query.where(
            or_(i.c.updated_at < before, and_(i.c.updated_at == before, i.c.id < bindparam("id", type_=String)))
        )
    if not depth:
        return _ordered(query, i.c, limited)
    scoped = query.where(i.c[t.ITEM_SCOPES[depth - 1]] == bindparam("scope", type_=String))
    # What an older version wrote has no scope.
    former = query.where(
        i.c[t.ITEM_SCOPES[0]].is_(None), i.c.namespace.startswith(bindparam("begins", type_=String), escape="/")
    )
    if limited and not merges:
        scoped, former = (select(_ordered(one, i.c, limited).subquery()) for one in (scoped, former))
    both = union_all(scoped, former)
    return _ordered(both, both.selected_columns, limited)


def _ordered(query: Any, columns: Any, limited: bool) -> Any:
    ordered = query.order_by(columns.updated_at.desc(), columns.id.desc())
    return ordered.limit(bindparam("most", type_=Integer)) if limited else ordered


def namespaces(
    connection: Connection, attribution: Attribution, prefix: tuple[str, ...], codec: Codec, *, now: datetime
) -> list[tuple[str, ...]]:
    """Namespaces in use."""
    given = {"entity": entity_key(attribution), "moment": to_micros(now)}
    stored = connection.execute(select(t.item.c.namespace).where(_ALIVE), given).scalars()
    every = {_namespace(one, codec) for one in set(stored)}
    return sorted(one for one in every if one[: len(prefix)] == prefix)


def sweep(connection: Connection, *, now: datetime) -> int:
    """Delete what has expired."""
    return connection.execute(t.item.delete().where(t.item.c.expires_at <= to_micros(now))).rowcount


_FULL = ("namespace", "item_key", "content", "created_at", "expires_at")
_CONTENT = 2 + _FULL.index("content")
_VECTORS = ("space_id", "vectors")
_TEXTS = ("item_key", "content")
_LITERALLY = str.maketrans({sign: f"/{sign}" for sign in "/%_"})
_ALIVE = and_(
    t.item.c.entity_id == bindparam("entity", type_=String),
    or_(t.item.c.expires_at.is_(None), t.item.c.expires_at > bindparam("moment", type_=BigInteger)),
)


def _columns(*names: str) -> list[ColumnElement[Any]]:
    """An empty text may come as NULL, which is read as such without a look at every value here."""
    columns = t.item.c
    return [type_coerce(columns[name], t.LONG_TEXT).label(name) if name in _TEXTS else columns[name] for name in names]


@lru_cache(maxsize=16)
def _named(size: int) -> Any:
    """The statement for so many items by id."""
    ids = [bindparam(f"id_{n}", type_=String) for n in range(size)]
    columns = _columns("id", "content", "created_at", "updated_at", "expires_at")
    return select(*columns).where(_ALIVE, t.item.c.id.in_(ids))


class _Namespaces(dict[str, tuple[str, ...] | None]):
    """The namespace of each that is stored, read once; None for one that is not under the prefix."""

    def __init__(self, prefix: tuple[str, ...], codec: Codec) -> None:
        self._prefix = prefix
        self._codec = codec

    def __missing__(self, stored: str) -> tuple[str, ...] | None:
        namespace = _namespace(stored, self._codec)
        self[stored] = found = namespace if namespace[: len(self._prefix)] == self._prefix else None
        return found


def _item(namespace: tuple[str, ...], key: str, value: Any, created: int, updated: int, expires: int | None) -> Item:
    made = from_micros(created)
    # Most were never replaced.
    return Item(
        namespace, key, value, made, made if updated == created else from_micros(updated), optional_time(expires)
    )


def _ids(entity: str, keys: Sequence[Place]) -> list[str]:
    return [derived_key("item", entity, len(namespace), *namespace, key) for namespace, key in keys]


def _scopes(entity: str, namespace: tuple[str, ...], codec: Codec) -> dict[str, str | None]:
    """One for each beginning of the namespace; the first is never missing, which tells it from what is older."""
    return {
        name: _scope(entity, namespace[:depth], codec) if depth <= max(1, len(namespace)) else None
        for depth, name in enumerate(t.ITEM_SCOPES, 1)
    }


def _scope(entity: str, labels: tuple[str, ...], codec: Codec) -> str:
    return codec.fingerprint(json.dumps(["scope", entity, *labels]))


def _namespace(stored: str, codec: Codec) -> tuple[str, ...]:
    return tuple(json.loads(codec.decode(stored)))


def _begins(prefix: tuple[str, ...], codec: Codec) -> str:
    """How the text of such a namespace begins, as a pattern; anything, where it is stored encrypted."""
    text = json.dumps(prefix)
    return text[:-1].translate(_LITERALLY) if codec.encode(text) == text else ""


def _vectors(embedded: Sequence[Any], space: Space, key: str) -> NDArray[np.float32] | None:
    space_id, stored, size = embedded[0], embedded[1], space.dimension
    if stored is None or space_id != key or len(stored) % (4 * size):
        return None
    return np.frombuffer(stored, dtype="<f4").reshape(-1, size)


def _batches(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
