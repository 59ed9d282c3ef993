"""Small reads from SQLite: there, SQLAlchemy takes longer over ten rows than the database does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError


def rows(
    connection: Connection, statement: Select[Any] | CompoundSelect[Any], given: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """The rows of a statement that was made once, by place; on SQLite as the driver gives them.

    So its columns are of types that SQLite's driver needs no help with, and it has no expanding parameter. Who listens
    to SQLAlchemy, or has it write a log, is told of these reads too.
    """
    dialect = connection.dialect
    if dialect.name != "sqlite" or _overheard(connection):
        return connection.execute(statement, given).all()
    text, names, constant = _written(statement)
    driver: Any = dialect.loaded_dbapi
    values = {**constant, **given}
    cursor = connection.connection.cursor()
    try:
        found: list[Sequence[Any]] = cursor.execute(text, [values[name] for name in names]).fetchall()
        return found
    except driver.Error as error:
        raise DBAPIError.instance(text, None, error, driver.Error, hide_parameters=True, dialect=dialect) from error
    finally:
        cursor.close()


def records(
    connection: Connection, statement: Select[Any] | CompoundSelect[Any], given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The same rows by the names of their columns."""
    names = statement.selected_columns.keys()
    return [dict(zip(names, row, strict=True)) for row in rows(connection, statement, given)]


def _overheard(connection: Connection) -> bool:
    seen: Any = connection
    return bool(seen._has_events or seen.engine._has_events or seen._echo)


@lru_cache(maxsize=256)
def _written(statement: Select[Any] | CompoundSelect[Any]) -> tuple[str, list[str], dict[str, Any]]:
    compiled: Any = statement.compile(dialect=sqlite.dialect())
    return str(compiled), compiled.positiontup, compiled.params
