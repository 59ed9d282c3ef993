"""Bring the tables to the version this code knows: forward only, one after the other, one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Index, MetaData, Table, func, inspect, select
from sqlalchemy.engine import Inspector
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable, DropIndex, ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from ...errors import SchemaError, StorageLockedError
from ..records import Migrate
from ..values import to_micros
from . import fulltext, locks
from .dialects import Traits, insert_missing, traits_of
from .engine import Database
from .schema import ITEM_SCOPES, fact, item, mention, metadata, process_attribute, schema_version, search


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: a generator of what is still to be done of it.

    Some databases commit each statement that changes a schema, so a step may be interrupted anywhere and is begun
    again: it looks at what is there before each statement.
    """

    version: int
    title: str
    statements: Callable[[Inspector, Traits], Iterator[ExecutableDDLElement]]


def _create_tables(inspector: Inspector, traits: Traits) -> Iterator[ExecutableDDLElement]:
    for one in metadata.sorted_tables:
        if one is schema_version:
            continue
        present: set[str] = set()
        if inspector.has_table(one.name):
            present = {str(index["name"]) for index in inspector.get_indexes(one.name)}
        else:
            yield CreateTable(one)
        for index in sorted(one.indexes, key=lambda index: str(index.name)):
            if index.name not in present:
                yield CreateIndex(index)
        if one is search:
            yield from fulltext.structure(traits.full_text, indexes=present)


def _order_facts(inspector: Inspector, traits: Traits) -> Iterator[ExecutableDDLElement]:
    """An index by status and kind becomes one that also knows which fact is the newest."""
    yield from _index(inspector, "ix_memori_fact_newest")
    former = "ix_memori_fact_status"
    if inspector.has_table(fact.name) and former in {str(one["name"]) for one in inspector.get_indexes(fact.name)}:
        # A table of another MetaData: the index is none of the schema's any more.
        yield DropIndex(Index(former, Table(fact.name, MetaData(), Column("kind")).c.kind))


class _AddColumn(ExecutableDDLElement):
    """ALTER TABLE ... ADD, as every database understands it."""

    inherit_cache = False

    def __init__(self, column: Column[Any]) -> None:
        self.column = column


@compiles(_AddColumn)
def _add_column(element: _AddColumn, compiler: DDLCompiler, **_: Any) -> str:
    of = compiler.preparer.format_table(element.column.table)
    return f"ALTER TABLE {of} ADD {compiler.get_column_specification(element.column)}"


def _trace_facts(inspector: Inspector, traits: Traits) -> Iterator[ExecutableDDLElement]:
    """What a message said, what took a fact's place, and where an attribute of a process comes from."""
    wanted = {
        fact: ("ix_memori_fact_successor",),
        mention: ("ix_memori_mention_message",),
        process_attribute: ("ix_memori_attribute_entity",),
    }
    for one, names in wanted.items():
        if not inspector.has_table(one.name):
            return  # a plan for an empty database
        present = {str(index["name"]) for index in inspector.get_indexes(one.name)}
        yield from (CreateIndex(index) for index in one.indexes if index.name in names and index.name not in present)
        former = "ix_memori_mention_entity"
        if one is mention and former in present:
            yield DropIndex(Index(former, Table(one.name, MetaData(), Column("entity_id")).c.entity_id))
    columns = {column["name"] for column in inspector.get_columns(process_attribute.name)}
    yield from (_AddColumn(column) for column in process_attribute.columns if column.name not in columns)


def _find_tiers(inspector: Inspector, traits: Traits) -> Iterator[ExecutableDDLElement]:
    """An index by tier: the short one holds few facts of many."""
    yield from _index(inspector, "ix_memori_fact_tier")


def _scope_items(inspector: Inspector, traits: Traits) -> Iterator[ExecutableDDLElement]:
    """Indexes of items by the beginning of their namespace; what is stored already gets a scope when it is replaced."""
    if not inspector.has_table(item.name):
        return  # a plan for an empty database
    columns = {column["name"] for column in inspector.get_columns(item.name)}
    yield from (_AddColumn(column) for column in item.columns if column.name not in columns)
    for name in ("ix_memori_item_newest", *(f"ix_memori_item_{scope}" for scope in ITEM_SCOPES)):
        yield from _index(inspector, name, item)
    former = "ix_memori_item_entity"
    if former in {str(index["name"]) for index in inspector.get_indexes(item.name)}:
        yield DropIndex(Index(former, Table(item.name, MetaData(), Column("entity_id")).c.entity_id))


def _index(inspector: Inspector, name: str, of: Table = fact) -> Iterator[ExecutableDDLElement]:
    if not inspector.has_table(of.name):
        return  # a plan for an empty database: the first step makes the table with its indexes
    if name not in {str(index["name"]) for index in inspector.get_indexes(of.name)}:
        yield from (CreateIndex(index) for index in of.indexes if index.name == name)


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "create the tables", _create_tables),
    Migration(2, "find the newest facts of a kind by an index", _order_facts),
    Migration(3, "find what a message said and what took a fact's place", _trace_facts),
    Migration(4, "find the facts of a tier by an index", _find_tiers),
    Migration(5, "find the items of a namespace by an index", _scope_items),
)
NEWEST = MIGRATIONS[-1].version
BEGUN = 0
"""The version of a database whose first migration was interrupted."""


def build(database: Database, migrate: Migrate) -> None:
    """Create or migrate the tables. Raises `SchemaError` when they are newer, or old and `migrate` forbids a change."""
    if migrate == "off":
        return
    try:
        with database.read() as connection:
            version = _version(connection, database.display)
    except StorageLockedError:
        if migrate == "check":
            raise
        version = None  # somebody is making the tables at this moment: look again under the lock
    if version == NEWEST and migrate == "auto":
        return
    if migrate == "check":
        _check(database, version)
        return
    database.run(lambda connection: _migrate(database, connection))


def _migrate(database: Database, connection: Connection) -> None:
    with locks.alone(database, connection):
        version = _version(connection, database.display)
        if version == NEWEST:
            return
        if not inspect(connection).has_table(schema_version.name):
            connection.execute(CreateTable(schema_version))
        _record(connection, BEGUN)
        for step in _after(version):
            for statement in step.statements(inspect(connection), traits_of(connection)):
                connection.execute(statement)
            _record(connection, step.version)
        connection.execute(schema_version.delete().where(schema_version.c.version == BEGUN))


def plan(database: Database) -> str:
    """What `build` would run, as SQL; an empty text when there is nothing to do. Changes nothing."""
    with database.read() as connection:
        version = _version(connection, database.display)
        dialect, traits, inspector = connection.dialect, traits_of(connection), inspect(connection)
        lines = []
        if version is None:
            lines += [
                "-- version 0: remember which migrations were applied",
                _sql(CreateTable(schema_version), dialect),
            ]
        for step in _after(version):
            lines.append(f"-- version {step.version}: {step.title}")
            lines += [_sql(statement, dialect) for statement in step.statements(inspector, traits)]
            row = schema_version.insert().values(version=step.version, applied_at=to_micros(datetime.now(UTC)))
            lines.append(f"{row.compile(dialect=dialect, compile_kwargs={'literal_binds': True})};")
    return "\n".join(lines)


def _sql(statement: ExecutableDDLElement, dialect: Dialect) -> str:
    written = "\n".join(line.rstrip() for line in str(statement.compile(dialect=dialect)).strip().splitlines())
    return written.replace("\t", "    ") + ";"


def _after(version: int | None) -> list[Migration]:
    return [step for step in MIGRATIONS if step.version > (version or BEGUN)]


def _record(connection: Connection, version: int) -> None:
    row = {"version": version, "applied_at": to_micros(datetime.now(UTC))}
    insert_missing(connection, schema_version, [row])


def _version(connection: Connection, display: str) -> int | None:
    """The newest migration applied, None where there is none. Refuses what a newer Memori or something else made."""
    version = _recorded(connection, display)
    if version is None:
        inspector = inspect(connection)
        tables = (one.name for one in metadata.sorted_tables if one is not schema_version)
        present = [name for name in tables if inspector.has_table(name)]
        # Another process may have committed between the two looks; what it makes first is the version.
        version = _recorded(connection, display) if present else None
        if present and version is None:
            raise _foreign(display, present)
    return version


def _recorded(connection: Connection, display: str) -> int | None:
    inspector = inspect(connection)
    if not inspector.has_table(schema_version.name):
        return None
    columns = {one["name"] for one in inspector.get_columns(schema_version.name)}
    if not columns >= set(schema_version.columns.keys()):
        raise _foreign(display, [schema_version.name])
    version: int | None = connection.execute(select(func.max(schema_version.c.version))).scalar()
    if version is not None:
        _refuse_newer(version, display)
    return version


def _check(database: Database, version: int | None) -> None:
    if version != NEWEST:
        raise SchemaError(
            f"{database.display}: the tables are at version {version or 0} and this Memori needs {NEWEST}. "
            f"{database.how_to_migrate}"
        )
    with database.read() as connection:
        inspector = inspect(connection)
        for one in metadata.sorted_tables:
            columns = {c["name"] for c in inspector.get_columns(one.name)} if inspector.has_table(one.name) else set()
            if missing := set(one.columns.keys()) - columns:
                what = f"table {one.name}" if not columns else f"{one.name}: column {', '.join(sorted(missing))}"
                raise SchemaError(
                    f"{database.display}: the tables call themselves version {version}, but there is no {what}. "
                    "Restore them from a backup, or open an empty database."
                )


def _refuse_newer(version: int, display: str) -> None:
    if version > NEWEST:
        raise SchemaError(
            f"{display}: the tables are at version {version}, made by a newer Memori; this one knows {NEWEST}. "
            "Upgrade with: pip install --upgrade memori-core"
        )


def _foreign(display: str, present: list[str]) -> SchemaError:
    """Writing into tables that something else made would mix two schemas."""
    return SchemaError(
        f"{display}: tables named like Memori's exist but were not made by this Memori: "
        f"{', '.join(sorted(present))}. Use another database or schema, or rename them."
    )
