"""Let one process at a time migrate a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateTable

from ...errors import StorageLockedError
from .dialects import insert_missing, traits_of
from .engine import Database

_PATIENCE = 600
"""Seconds to wait for another process that is migrating."""
_ADVISORY_KEY = 0x6D656D6F7269
_NAME = "CONCAT('memori ', LEFT(SHA1(DATABASE()), 32))"

lock_row = Table("memori_schema_lock", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))


@contextmanager
def alone(database: Database, connection: Connection) -> Iterator[None]:
    """Hold the database's migration lock for the block. Raises `StorageLockedError` when another holds it for long.

    SQLite's write transaction is a lock already. PostgreSQL and MySQL have locks made for this; elsewhere a second
    connection locks a row, for statements that change a schema end the transaction they run in.
    """
    kind = traits_of(connection).migration_lock
    if kind == "advisory":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        yield
    elif kind == "named":
        if not connection.execute(text(f"SELECT GET_LOCK({_NAME}, :seconds)"), {"seconds": _PATIENCE}).scalar():
            raise StorageLockedError(f"{database.display}: another process has been migrating for {_PATIENCE} seconds.")
        try:
            yield
            connection.commit()
        finally:
            # A connection that is gone has released it.
            if not connection.invalidated:
                connection.execute(text(f"SELECT RELEASE_LOCK({_NAME})"))
    elif kind == "row":
        database.run(_make_row)
        with database.write() as holder:
            holder.execute(select(lock_row).with_for_update())
            yield
            connection.commit()
    else:
        yield


def _make_row(connection: Connection) -> None:
    if not inspect(connection).has_table(lock_row.name):
        try:
            connection.execute(CreateTable(lock_row))
        except DatabaseError:
            # Another process was faster; if that is not why, what follows says so.
            connection.rollback()
    insert_missing(connection, lock_row, [{"id": 1}])
