"""Vectors beside the facts, in PostgreSQL, found by pgvector's HNSW. Needs the extension `vector`, 0.8 or later.

A table for each embedding space, because a graph is over vectors of one dimension. The tables hang on those of the
facts: whoever deletes a fact or an entity, with this index or without, deletes its vectors in the same statement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.exc import NotSupportedError, OperationalError, ProgrammingError

from ...embedding.base import Space
from ...errors import UnsupportedError
from ...keys import derived_key
from ...model import Attribution, Kind
from ...recall.index.base import SharedIndex
from ..base import Storage
from ..records import Delta, EntityState, IndexRow
from ..values import entity_key, to_micros
from .storage import SQLStorage

_INDEXED = 2000
"""Dimensions that HNSW takes; longer vectors are compared one by one."""
_GRAPH = "m = 24, ef_construction = 128"
"""With the extension's own 16 and 64 the graph finds 0.935 of the nearest ten where it was measured, with these 0.983.

Building it takes twice as long.
"""
_UNINDEXED = "coalesce(entity_id, entity_id)"
_STATE = "memori_pgvector_state"
_ALWAYS, _FOREVER = -(2**62), 2**62
_BUILD_LOCK = 0x6D656D70676776


class PgvectorIndex(SharedIndex):
    """HNSW inside PostgreSQL. An entity's vectors are compared one by one where that is sooner: it misses none then."""

    node: int = 10
    """Looking at a node of the graph takes as long as comparing so many vectors one by one. It decides between them.

    From `benchmarks.pgvector` with 48,000 vectors: 1,000 nodes took 12.4 ms, 12,000 vectors one by one 14.7 ms.
    """
    width: int = 1000
    """So many of a graph's nodes are looked at together (`hnsw.ef_search`): as many as the extension allows."""
    least: tuple[int, int] = (0, 8)
    """The oldest version of the extension that scans on until there are enough of a tenant's."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        if (
            not isinstance(storage, SQLStorage)
            # Connections that are somebody else's (a function's, Django's) have transactions and settings of theirs.
            or type(storage)._open is not SQLStorage._open
            or storage._database.dialect != "postgresql"
        ):
            raise UnsupportedError(
                'vector_index="pgvector" needs memory in PostgreSQL, opened by a postgresql:// URL or an SQLAlchemy '
                f'Engine, and it is in {storage.display}. Pass one of those, or use vector_index="faiss".'
            )
        self._sql: SQLStorage = storage
        self._built: set[str] = set()
        storage.build_with(self._require)

    def state(self, attribution: Attribution, space: Space) -> EntityState:
        """What it is current to."""
        with self._sql._read() as connection:
            if not self._exists(connection, _table(space)):
                return EntityState()
            row = connection.execute(
                text(f"SELECT revision, generation FROM {_STATE} WHERE entity_id = :entity AND space = :space"),  # nosec B608 # noqa: S608
                _owner(attribution, space),
            ).first()
        return EntityState() if row is None else EntityState(row.revision, row.generation)

    def update(self, attribution: Attribution, space: Space, delta: Delta) -> None:
        """Write what changed, under a lock on the entity's state."""

        def write(connection: Connection) -> None:
            self._build(connection, space)
            owner, table = _owner(attribution, space), _table(space)
            connection.execute(
                text(
                    f"INSERT INTO {_STATE} SELECT id, :space, -1, generation FROM memori_entity "  # nosec B608 # noqa: S608
                    "WHERE id = :entity AND generation = :generation ON CONFLICT DO NOTHING"
                ),
                {**owner, "generation": delta.state.generation},
            )
            known = connection.execute(
                text(
                    f"SELECT s.revision, s.generation FROM {_STATE} s JOIN memori_entity e ON e.id = s.entity_id "  # nosec B608 # noqa: S608
                    "WHERE s.entity_id = :entity AND s.space = :space AND e.generation = :generation FOR UPDATE OF s"
                ),
                {**owner, "generation": delta.state.generation},
            ).first()
            if known is None:
                return  # erased meanwhile, or something of it was deleted for good: the delta is of no use any more
            if known.generation != delta.state.generation:
                # What another space has of that generation is void too.
                connection.execute(
                    text(f"UPDATE {_STATE} SET generation = :generation WHERE entity_id = :entity AND space = :space"),  # nosec B608 # noqa: S608
                    {**owner, "generation": delta.state.generation},
                )
                _forget(connection, owner["entity"], unless=delta.state.generation)
                connection.execute(text(f"DELETE FROM {table} WHERE entity_id = :entity"), owner)  # nosec B608 # noqa: S608
            elif known.revision >= delta.state.revision:
                return
            _put(connection, table, owner["entity"], delta.rows)
            connection.execute(
                text(
                    f"UPDATE {_STATE} SET revision = :revision, generation = :generation "  # nosec B608 # noqa: S608
                    "WHERE entity_id = :entity AND space = :space"
                ),
                {**owner, "revision": delta.state.revision, "generation": delta.state.generation},
            )

        self._sql._write(write)
        self._built.add(_table(space))

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
        """The nearest facts, by the graph where the entity has many vectors and one by one where it has few."""
        table = _table(space)
        which, values = _conditions(kinds, as_of, within)
        values |= {"entity": entity_key(attribution), "query": _literal(query)}
        with self._sql._read() as connection:
            if limit < 1 or not self._exists(connection, table):
                return []
            if space.dimension <= _INDEXED and self._many(connection, table, values["entity"], 2 * limit):
                # A host's transaction gets its settings back: they go with the savepoint.
                savepoint = connection.begin_nested()
                # A strict order passes over what is found late, however near it is.
                # Without statistics the planner would read all of the entity's vectors, or of everybody's.
                settings = {"iterative_scan": "relaxed_order", "ef_search": str(self.width), "seqscan": "off"}
                connection.execute(
                    text(
                        "SELECT set_config('hnsw.iterative_scan', :iterative_scan, true), "
                        "set_config('hnsw.ef_search', :ef_search, true), set_config('enable_seqscan', :seqscan, true)"
                    ),
                    settings,
                )
                found = _nearest(
                    connection, table, which, values, limit, "vector <#> CAST(:query AS vector)", owner=_UNINDEXED
                )
                savepoint.rollback()
                if len(found) >= limit:
                    return found
                # The scan gives up after so many vectors of others: what is left is compared one by one.
            return _nearest(connection, table, which, values, limit, "(vector <#> CAST(:query AS vector)) + 0")

    def _many(self, connection: Connection, table: str, entity: str, asked: int) -> bool:
        """Whether the graph answers sooner than comparing all vectors of the entity.

        It looks at `width` nodes or more: of `total` vectors, one in `total / own` is the entity's. So it is sooner
        where both `node * width` and `node * asked * total / own` are less than `own`.
        """
        counted = text(f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE entity_id = :entity LIMIT :most) AS counted")  # nosec B608 # noqa: S608

        def more_than(most: int) -> bool:
            found: int = connection.execute(counted, {"entity": entity, "most": most + 1}).scalar_one()
            return found > most

        least = self.node * self.width
        if not more_than(least):
            return False
        estimated = text("SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = to_regclass(:name)")
        total = connection.execute(estimated, {"name": table}).scalar_one()
        worth = math.isqrt(int(self.node * asked * total))
        return worth <= least or more_than(worth)

    def erase(self, attribution: Attribution) -> None:
        """Delete what is left of an entity. Erasing it from the storage has done so already."""

        def delete(connection: Connection) -> None:
            if not self._exists(connection, _STATE):
                return
            _forget(connection, entity_key(attribution))

        self._sql._write(delete)

    def reading(self) -> AbstractContextManager[None]:
        """One connection for all that a recall reads."""
        return self._sql.together()

    def _exists(self, connection: Connection, table: str) -> bool:
        if table not in self._built:
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": table}).scalar() is None:
                return False
            self._built.add(table)
        return True

    def _build(self, connection: Connection, space: Space) -> None:
        table = _table(space)
        if self._exists(connection, table):
            return
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _BUILD_LOCK})
        self._require(connection)
        for statement in _structure(table, space.dimension):
            connection.execute(text(statement))

    def _require(self, connection: Connection) -> None:
        """Make the extension where it is missing and may be made. Raises `UnsupportedError` saying what to do."""
        found = text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        version = connection.execute(found).scalar()
        problem = "it is not installed in this database"
        if version is None and self._sql.options.migrate == "auto":
            # Two processes that begin at once would both make it.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _BUILD_LOCK})
            try:
                with connection.begin_nested():
                    connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            except (NotSupportedError, OperationalError, ProgrammingError) as error:
                problem = str(error.orig).strip().partition("\n")[0]
            version = connection.execute(found).scalar()
        if version is None or _number(version) < self.least:
            least = ".".join(map(str, self.least))
            raise UnsupportedError(
                f'vector_index="pgvector" needs the extension vector, {least} or later, in {self._sql.display}: '
                f"{f'it is {version} there' if version else problem}. Install pgvector on the server, run CREATE "
                "EXTENSION vector (or ALTER EXTENSION vector UPDATE) in the database as its owner, or use "
                'vector_index="faiss".'
            )


def _structure(table: str, dimension: int) -> list[str]:
    made = [
        f"CREATE TABLE IF NOT EXISTS {_STATE} ("
        "entity_id varchar(64) NOT NULL REFERENCES memori_entity (id) ON DELETE CASCADE, space varchar(64) NOT NULL, "
        "revision bigint NOT NULL, generation varchar(64) NOT NULL, PRIMARY KEY (entity_id, space))",
        f"CREATE TABLE IF NOT EXISTS {table} ("
        "fact_id varchar(64) NOT NULL REFERENCES memori_entity_fact (id) ON DELETE CASCADE, passage integer NOT NULL, "
        "entity_id varchar(64) NOT NULL, kind text NOT NULL, active boolean NOT NULL, began bigint NOT NULL, "
        f"ended bigint NOT NULL, vector vector({dimension}) NOT NULL, PRIMARY KEY (fact_id, passage))",
        f"CREATE INDEX IF NOT EXISTS {table}_entity ON {table} (entity_id)",
    ]
    if dimension <= _INDEXED:
        made.append(
            f"CREATE INDEX IF NOT EXISTS {table}_hnsw ON {table} USING hnsw (vector vector_ip_ops) WITH ({_GRAPH})"
        )
    return made


def _forget(connection: Connection, entity: str, *, unless: str = "") -> None:
    """Delete an entity's vectors and states, except those of a generation."""
    gone = connection.execute(
        text(f"DELETE FROM {_STATE} WHERE entity_id = :entity AND generation <> :unless RETURNING space"),  # nosec B608 # noqa: S608
        {"entity": entity, "unless": unless},
    )
    for space in gone.scalars().all():
        connection.execute(text(f"DELETE FROM {_named(space)} WHERE entity_id = :entity"), {"entity": entity})  # nosec B608 # noqa: S608


def _put(connection: Connection, table: str, entity: str, rows: Sequence[IndexRow]) -> None:
    """Replace the vectors of facts. One that was retired or has lost its vectors keeps none."""
    if rows:
        connection.execute(
            text(f"DELETE FROM {table} WHERE entity_id = :entity AND fact_id = :fact"),  # nosec B608 # noqa: S608
            [{"entity": entity, "fact": row.fact_id} for row in rows],
        )
    new = [
        {
            "fact": row.fact_id,
            "passage": passage,
            "entity": entity,
            "kind": row.kind,
            "active": row.status == "active",
            "began": _ALWAYS if (began := row.valid_from or row.said_at) is None else to_micros(began),
            "ended": _FOREVER if row.valid_to is None else to_micros(row.valid_to),
            "vector": _literal(vector),
        }
        for row in rows
        if row.status in ("active", "superseded") and row.vectors is not None
        for passage, vector in enumerate(row.vectors)
    ]
    if new:
        connection.execute(
            text(
                f"INSERT INTO {table} (fact_id, passage, entity_id, kind, active, began, ended, vector) VALUES "  # nosec B608 # noqa: S608
                "(:fact, :passage, :entity, :kind, :active, :began, :ended, CAST(:vector AS vector))"
            ),
            new,
        )


def _nearest(
    connection: Connection,
    table: str,
    which: str,
    values: dict[str, Any],
    limit: int,
    distance: str,
    *,
    owner: str = "entity_id",
) -> list[str]:
    """Facts in the order of their best passages. So many passages are read that there are enough facts."""
    asked = 2 * limit
    while True:
        # Sorted again: a graph's scan that goes on is not quite in order.
        query = text(
            f"SELECT fact_id FROM (SELECT fact_id, {distance} AS distance FROM {table} "  # nosec B608 # noqa: S608
            f"WHERE {owner} = :entity{which} ORDER BY {distance} LIMIT :asked) AS near ORDER BY distance + 0"
        )
        passages = connection.execute(query, {**values, "asked": asked}).scalars().all()
        facts = list(dict.fromkeys(passages))[:limit]
        if len(facts) >= limit or len(passages) < asked:
            return facts
        asked *= 2


def _conditions(
    kinds: Collection[Kind] | None, as_of: datetime | None, within: tuple[datetime, datetime] | None
) -> tuple[str, dict[str, Any]]:
    """What may be returned, as conditions with bound values."""
    which, values = " AND ended > :moment", dict[str, Any](moment=to_micros(as_of or datetime.now(UTC)))
    which += " AND active" if as_of is None else " AND began <= :moment"
    if kinds is not None:
        which += " AND kind = ANY(:kinds)"
        values["kinds"] = list(kinds)
    if within is not None:
        which += " AND began >= :start AND began < :before"
        values |= {"start": to_micros(within[0]), "before": to_micros(within[1])}
    return which, values


def _owner(attribution: Attribution, space: Space) -> dict[str, str]:
    return {"entity": entity_key(attribution), "space": derived_key("space", space.key)}


def _table(space: Space) -> str:
    return _named(derived_key("space", space.key))


def _named(space: str) -> str:
    return f"memori_pgvector_{space[:16]}"


def _literal(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join(map(repr, vector.astype(np.float32).tolist())) + "]"


def _number(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version or ""))[:2]
