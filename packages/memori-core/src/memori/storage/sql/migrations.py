"""Bring the tables to the version this code knows: forward only, one after the other, under the write lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, inspect, select

from ...errors import SchemaError
from ..base import Migrate
from .engine import Database
from .schema import metadata, schema_version
from .values import to_micros


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `apply` runs inside the transaction that records `version`."""

    version: int
    title: str
    apply: Callable[[Connection], None]


MIGRATIONS: tuple[Migration, ...] = (Migration(1, "create the tables", metadata.create_all),)
NEWEST = MIGRATIONS[-1].version


def build(database: Database, migrate: Migrate) -> None:
    """Create or migrate the tables. Raises `SchemaError` when they are newer, or old and `migrate` forbids a change."""
    if migrate == "off":
        return
    with database.read() as connection:
        version = _version(connection)
    _refuse_newer(version, database.display)
    if version == NEWEST:
        return
    if migrate == "check":
        raise SchemaError(
            f"{database.display}: the tables are at version {version} and this Memori needs {NEWEST}. "
            "Run memori.config.storage.build() with migrate='auto' once."
        )
    with database.write() as connection:
        version = _version(connection)
        _refuse_newer(version, database.display)
        _refuse_foreign(connection, version, database.display)
        for step in MIGRATIONS:
            if step.version > version:
                step.apply(connection)
                connection.execute(
                    schema_version.insert().values(version=step.version, applied_at=to_micros(datetime.now(UTC)))
                )


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return connection.execute(select(func.max(schema_version.c.version))).scalar() or 0


def _refuse_newer(version: int, display: str) -> None:
    if version > NEWEST:
        raise SchemaError(
            f"{display}: the tables are at version {version}, made by a newer Memori; this one knows {NEWEST}. "
            "Upgrade with: pip install --upgrade memori-core"
        )


def _refuse_foreign(connection: Connection, version: int, display: str) -> None:
    """A table of ours without a version row was made by something else: writing into it would mix two schemas."""
    if version:
        return
    present = set(inspect(connection).get_table_names()) & (set(metadata.tables) - {schema_version.name})
    if present:
        raise SchemaError(
            f"{display}: tables named like Memori's exist but were not made by this Memori: "
            f"{', '.join(sorted(present))}. Use another database or schema, or rename them."
        )
