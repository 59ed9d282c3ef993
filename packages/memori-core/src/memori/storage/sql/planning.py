"""Tell query planners what they cannot know: which of two indexes finds few rows, and what is done in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, String, any_, bindparam, cast, func
from sqlalchemy.dialects import postgresql


def without_index(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column as an expression that no index serves: compared with, but never searched by.

    For what stands beside a primary key. Without statistics (SQLite never has any, PostgreSQL has none of a table that
    has just been filled) twenty rows would be found by their ids among all of the entity's.
    """
    return func.coalesce(column, column)


def without_workers() -> ColumnElement[bool]:
    """A condition that always holds and lets PostgreSQL answer a query in one process only.

    Once it knows that a table is large, it starts workers for what takes a millisecond, and starting them takes twenty.
    One call of a function that it calls unsafe in parallel rules them out.
    """
    return func.coalesce(func.current_schema(), "").is_not(None)


def among(dialect: str, column: ColumnElement[str], values: Sequence[str] | None = None) -> ColumnElement[bool]:
    """That a column has one of the values; without them, of those that are bound as `among` when it is executed.

    PostgreSQL gets them as one parameter, and the same statement however many there are.
    """
    listed = dialect != "postgresql"
    bound: BindParameter[Any] = bindparam("among", values, unique=values is not None, expanding=listed)
    return column.in_(bound) if listed else column == any_(cast(bound, postgresql.ARRAY(String)))
