"""Where SQL databases differ, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from ...errors import (
    SchemaError,
    StorageError,
    StorageLockedError,
    StorageReadOnlyError,
    StorageUnavailableError,
)

_ON_CONFLICT: dict[str, Any] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "cockroachdb": postgresql.insert,
}


def insert_ignore(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, skipping those whose key is there already."""
    if not rows:
        return
    name = connection.dialect.name
    if name in _ON_CONFLICT:
        connection.execute(_ON_CONFLICT[name](table).on_conflict_do_nothing(), list(rows))
    elif name in ("mysql", "mariadb"):
        connection.execute(mysql.insert(table).prefix_with("IGNORE"), list(rows))
    else:
        for row in rows:
            try:
                with connection.begin_nested():
                    connection.execute(table.insert(), dict(row))
            except IntegrityError:
                continue


_SIGNS: tuple[tuple[tuple[str, ...], type[StorageError], str], ...] = (
    (
        ("database is locked", "database table is locked", "lock wait timeout", "deadlock", "could not serialize"),
        StorageLockedError,
        "Another program holds the database's lock; try again, or end the transaction that holds it.",
    ),
    (
        ("readonly database", "read-only", "read only", "permission denied", "command denied"),
        StorageReadOnlyError,
        "Memori needs to write; give this user or this file write permission.",
    ),
    (
        ("no such table", "no such column", "does not exist", "doesn't exist", "undefined table"),
        SchemaError,
        "Create or migrate the tables with memori.config.storage.build(), or open with migrate='auto'.",
    ),
)


def translate(error: BaseException, display: str, *, disconnected: bool) -> StorageError:
    """The error of the design that a driver's error stands for. `display` names the database, without a password."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    for signs, kind, advice in () if disconnected else _SIGNS:
        if any(sign in text.lower() for sign in signs):
            return kind(f"{display}: {text}. {advice}")
    return StorageUnavailableError(f"{display}: {text}. Check that the database exists, is running and can be reached.")
