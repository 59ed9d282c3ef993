"""Vectors in a Qdrant server that all processes share, whichever database the memories are in.

A collection for each embedding space holds every tenant's points. A point is a passage of a fact as one delta had it:
its id is made of both, so the same delta twice writes the same points, and a slow process can't put old ones in the
place of new ones. What a delta replaces is deleted after it is written. One more point for each entity, which no search
finds, notes what the collection is current to.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from ...embedding.base import Space
from ...errors import ConfigurationError, MemoriError, StorageError
from ...keys import derived_key
from ...model import Attribution, Kind
from ...process import on_fork
from ...storage.base import Storage
from ...storage.records import Delta, EntityState, IndexRow
from ...storage.values import entity_key, to_micros
from .base import IndexServer, SharedIndex

TIMEOUT = 5
"""Seconds that a request may take."""
MEMORY = ":memory:"
_BATCH = 200
_ALWAYS, _FOREVER = -(2**62), 2**62


class QdrantIndex(SharedIndex):
    """Points in Qdrant, found with their tenant, kinds and times inside the query.

    `server.url`: of a server, or for a first try `:memory:`, or a folder that this process has to itself.
    """

    def __init__(self, storage: Storage, server: IndexServer = IndexServer(MEMORY)) -> None:  # noqa: B008 - it is frozen
        super().__init__(storage)
        self._server = server
        self._local = server.url == MEMORY or "://" not in server.url
        self._client: QdrantClient | None = None
        self._inherited: QdrantClient | None = None
        self._made: set[str] = set()
        self._lock = threading.RLock()
        on_fork(self._after_fork)

    @classmethod
    def connected(cls, storage: Storage, server: IndexServer) -> Self:
        """On the server of the settings. Raises `ConfigurationError` where none is named."""
        if not server.url:
            raise ConfigurationError(
                'vector_index="qdrant" needs the address of a Qdrant server: set MEMORI_INDEX_URL='
                "http://localhost:6333, for example, and MEMORI_INDEX_API_KEY where it wants a key."
            )
        return cls(storage, server)

    def state(self, attribution: Attribution, space: Space) -> EntityState:
        """What it is current to."""
        with self._asked() as client:
            return self._state(client, self._collection(space), entity_key(attribution))

    def update(self, attribution: Attribution, space: Space, delta: Delta) -> None:
        """Write the delta's points, then delete what they replace, then note the state."""
        entity, name, now = entity_key(attribution), self._collection(space), delta.state
        if self.storage.state(attribution).generation != now.generation:
            return
        with self._asked() as client:
            self._make(client, name, space)
            known = self._state(client, name, entity)
            if known.generation == now.generation and known.revision >= now.revision:
                return
            points = list(_points(entity, delta))
            for some in _chunks(points):
                client.upsert(name, some)
            if known.generation != now.generation:
                for one in self._collections(client):
                    _delete(client, one, _owned(entity), unless=_is("generation", now.generation))
            newest = max(now.revision, self._state(client, name, entity).revision)
            for rows in _chunks(list(delta.rows)):
                changed = models.FieldCondition(key="fact", match=models.MatchAny(any=[row.fact_id for row in rows]))
                older = models.FieldCondition(key="revision", range=models.Range(lt=newest))
                _delete(client, name, [_is("entity", entity), changed, older])
            if newest == now.revision and now != EntityState():
                client.upsert(name, [_mark(entity, now, space.dimension)])
        if self.storage.state(attribution).generation != now.generation:
            self.erase(attribution)  # meanwhile, and perhaps before the last of these points was written

    def search(
        self,
        attribution: Attribution,
        space: Space,
        query: NDArray[np.float32],
        limit: int,
        *,
        kinds: Collection[Kind] | None = None,
        as_of: datetime | None = None,
        within: tuple[datetime, datetime] | None = None,
    ) -> list[str]:
        """The nearest facts. So many passages are read that there are enough facts."""
        name = self._collection(space)
        which = models.Filter(must=[_is("entity", entity_key(attribution)), *_conditions(kinds, as_of, within)])
        with self._asked() as client:
            if limit < 1 or (kinds is not None and not kinds) or not self._exists(client, name):
                return []
            asked = 2 * limit
            while True:
                found = client.query_points(
                    name, query=query.tolist(), query_filter=which, limit=asked, with_payload=["fact"]
                ).points
                facts = list(dict.fromkeys(str((point.payload or {})["fact"]) for point in found))[:limit]
                if len(facts) >= limit or len(found) < asked:
                    return facts
                asked *= 2

    def erase(self, attribution: Attribution) -> None:
        """Delete the entity's points in every collection."""
        with self._asked() as client:
            for name in self._collections(client):
                _delete(client, name, _owned(entity_key(attribution)))

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    @contextmanager
    def _asked(self) -> Iterator[QdrantClient]:
        """The client, for calls whose errors are told without the SDK's words: they may quote a key or an address."""
        try:
            # Collections in this process may not be changed by two threads at once.
            with self._lock if self._local else _nothing():
                yield self._connect()
        except MemoriError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK raises its own errors, of HTTP and of parsing
            status = getattr(error, "status_code", None)
            told = f"{type(error).__name__}, status {status}" if status else type(error).__name__
            raise StorageError(
                f"Qdrant at {self._display} failed ({told}). Check that it runs, and MEMORI_INDEX_URL and "
                "MEMORI_INDEX_API_KEY."
            ) from None

    def _connect(self) -> QdrantClient:
        with self._lock:
            if self._client is None:
                url, key = self._server.url, self._server.api_key
                if url == MEMORY:
                    self._client = QdrantClient(url, force_disable_check_same_thread=True)
                elif self._local:
                    self._client = QdrantClient(path=url, force_disable_check_same_thread=True)
                else:
                    # As a header: given as a key, it makes the SDK warn where the address is not https.
                    headers = {"api-key": key} if key else None
                    self._client = QdrantClient(url=url, headers=headers, timeout=TIMEOUT, check_compatibility=False)
            return self._client

    @property
    def _display(self) -> str:
        if self._local:
            return self._server.url
        parts = urlsplit(self._server.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def _collection(self, space: Space) -> str:
        return f"{self._server.prefix}_{derived_key('space', space.key)[:16]}"

    def _collections(self, client: QdrantClient) -> list[str]:
        names = (one.name for one in client.get_collections().collections)
        return [name for name in names if name.rpartition("_")[0] == self._server.prefix]

    def _exists(self, client: QdrantClient, name: str) -> bool:
        if name not in self._made and client.collection_exists(name):
            self._made.add(name)
        return name in self._made

    def _make(self, client: QdrantClient, name: str, space: Space) -> None:
        if self._exists(client, name):
            return
        # Points of a tenant lie together, and its part of the graph is searched alone.
        tenants = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        keyword, integer = models.PayloadSchemaType.KEYWORD, models.PayloadSchemaType.INTEGER
        fields: dict[str, Any] = {"entity": tenants, "active": models.PayloadSchemaType.BOOL}
        fields |= dict.fromkeys(("owner", "fact", "kind", "generation"), keyword)
        fields |= dict.fromkeys(("began", "ended", "revision"), integer)
        try:
            client.create_collection(
                name, vectors_config=models.VectorParams(size=space.dimension, distance=models.Distance.DOT)
            )
        except Exception:
            # Another process may have made it between the look and the call.
            if not client.collection_exists(name):
                raise
        if not self._local:
            for field, schema in fields.items():
                client.create_payload_index(name, field, field_schema=schema)
        self._made.add(name)

    def _state(self, client: QdrantClient, name: str, entity: str) -> EntityState:
        if not self._exists(client, name):
            return EntityState()
        for point in client.retrieve(name, [_mark_id(entity)]):
            noted = point.payload or {}
            return EntityState(int(noted["revision"]), str(noted["generation"]))
        return EntityState()

    def _after_fork(self) -> None:
        # Kept, so that the child doesn't close the parent's connections by freeing them.
        self._inherited, self._client = self._client, self._client if self._local else None
        self._lock = threading.RLock()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _points(entity: str, delta: Delta) -> Iterator[models.PointStruct]:
    """A point for each passage. A fact that was retired or has lost its vectors has none."""
    for row in delta.rows:
        if row.status in ("active", "superseded") and row.vectors is not None:
            for passage, vector in enumerate(row.vectors):
                key = derived_key(entity, row.fact_id, passage, delta.state.generation, delta.state.revision)
                yield models.PointStruct(
                    id=_id(key), vector=vector.tolist(), payload=_payload(entity, row, delta.state)
                )


def _payload(entity: str, row: IndexRow, state: EntityState) -> dict[str, Any]:
    began = row.valid_from or row.said_at
    return {
        "entity": entity,
        "fact": row.fact_id,
        "kind": row.kind,
        "active": row.status == "active",
        "began": _ALWAYS if began is None else to_micros(began),
        "ended": _FOREVER if row.valid_to is None else to_micros(row.valid_to),
        "revision": state.revision,
        "generation": state.generation,
    }


def _mark(entity: str, state: EntityState, dimension: int) -> models.PointStruct:
    """What a collection is current to. It has an owner and no entity: a search, which names one, never finds it."""
    payload = {"owner": entity, "revision": state.revision, "generation": state.generation}
    return models.PointStruct(id=_mark_id(entity), vector=[1.0, *[0.0] * (dimension - 1)], payload=payload)


def _mark_id(entity: str) -> str:
    return _id(derived_key("state", entity))


def _id(key: str) -> str:
    return str(UUID(hex=key))


def _is(field: str, value: str | bool) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _owned(entity: str) -> list[models.Condition]:
    """An entity's points and the mark of its state."""
    return [models.Filter(should=[_is("entity", entity), _is("owner", entity)])]


def _conditions(
    kinds: Collection[Kind] | None, as_of: datetime | None, within: tuple[datetime, datetime] | None
) -> Iterator[models.Condition]:
    """What may be returned. Microseconds of our time are exact in the floats of a range."""
    moment = to_micros(as_of or datetime.now(UTC))
    yield models.FieldCondition(key="ended", range=models.Range(gt=moment))
    if as_of is None:
        yield _is("active", True)
    else:
        yield models.FieldCondition(key="began", range=models.Range(lte=moment))
    if kinds is not None:
        yield models.FieldCondition(key="kind", match=models.MatchAny(any=list(kinds)))
    if within is not None:
        yield models.FieldCondition(key="began", range=models.Range(gte=to_micros(within[0]), lt=to_micros(within[1])))


def _delete(client: QdrantClient, name: str, which: list[Any], *, unless: models.FieldCondition | None = None) -> None:
    given = models.Filter(must=which, must_not=None if unless is None else [unless])
    client.delete(name, models.FilterSelector(filter=given))


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield list(items[start : start + _BATCH])
