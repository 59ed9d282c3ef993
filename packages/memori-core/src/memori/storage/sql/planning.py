"""Tell query planners what they cannot know: which of two indexes finds few rows, and what is done in a moment."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, String, any_, bindparam, cast, func, or_, select
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
    """That a column has one of the values; without them, of those bound as `among`, which `bound` makes of a list.

    PostgreSQL gets them as one parameter, and the same statement however many there are; SQLite does where the
    statement is made once.
    """
    if dialect == "postgresql":
        return column == any_(cast(bindparam("among", values, unique=values is not None), postgresql.ARRAY(String)))
    if dialect == "sqlite" and values is None:
        return column.in_(select(func.json_each(bindparam("among", type_=String)).table_valued("value").c.value))
    return column.in_(bindparam("among", values, unique=values is not None, expanding=True))


def one_of(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """That a column has one of a few values, which are part of the statement."""
    return or_(*(column == value for value in values))


def bound(dialect: str, values: Sequence[str]) -> Sequence[str] | str:
    """What is bound as `among` to mean the values."""
    return json.dumps(values) if dialect == "sqlite" else values
