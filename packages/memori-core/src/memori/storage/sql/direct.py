"""Small reads from SQLite, and small writes: there, SQLAlchemy takes longer over ten rows than the database does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

_Statement = Select[Any] | CompoundSelect[Any] | Insert | Update


def rows(
    connection: Connection, statement: Select[Any] | CompoundSelect[Any], given: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """The rows of a statement that was made once, by place; on SQLite as the driver gives them.

    So its columns are of types that SQLite's driver needs no help with, and it has no expanding parameter. Who listens
    to SQLAlchemy, or has it write a log, is told of these reads too.
    """
    if not _goes_straight(connection):
        return connection.execute(statement, given).all()
    text, names, constant = _written(statement)
    values = {**constant, **given}
    with _driven(connection, text) as cursor:
        found: list[Sequence[Any]] = cursor.execute(text, [values[name] for name in names]).fetchall()
        return found


def records(
    connection: Connection, statement: Select[Any] | CompoundSelect[Any], given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The same rows by the names of their columns."""
    names = statement.selected_columns.keys()
    return [dict(zip(names, row, strict=True)) for row in rows(connection, statement, given)]


def write(connection: Connection, statement: Insert | Update, given: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement that was made once for each of the values, which name the same columns; as `rows` does."""
    if not _goes_straight(connection):
        connection.execute(statement, given)
        return
    if not connection.in_transaction():
        connection.begin()
    text, names, constant = _written(statement, tuple(sorted(given[0].keys() & statement.table.columns.keys())))
    with _driven(connection, text) as cursor:
        cursor.executemany(text, [[(one if name in one else constant)[name] for name in names] for one in given])


def _goes_straight(connection: Connection) -> bool:
    seen: Any = connection
    overheard = seen._has_events or seen.engine._has_events or seen._echo
    return connection.dialect.name == "sqlite" and not overheard


@contextmanager
def _driven(connection: Connection, text: str) -> Iterator[Any]:
    """A cursor of the driver, whose errors are told as SQLAlchemy tells them."""
    driver: Any = connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except driver.Error as error:
        raise DBAPIError.instance(
            text, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


@lru_cache(maxsize=256)
def _written(statement: _Statement, columns: tuple[str, ...] | None = None) -> tuple[str, list[str], dict[str, Any]]:
    compiled: Any = statement.compile(dialect=sqlite.dialect(), column_keys=columns)
    return str(compiled), compiled.positiontup, compiled.params
