"""Where SQL databases differ, and nothing else: one table of strategies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

Rows = Sequence[Mapping[str, Any]]


def _on_conflict(insert: Any) -> Callable[[Connection, Table, Rows], None]:
    statement = cache(lambda table: insert(table).on_conflict_do_nothing())

    def run(connection: Connection, table: Table, rows: Rows) -> None:
        connection.execute(statement(table), rows)

    return run


def _on_duplicate(connection: Connection, table: Table, rows: Rows) -> None:
    """INSERT IGNORE would also swallow values that are too long and parents that are missing."""
    key = next(iter(table.primary_key.columns)).name
    statement = mysql.insert(table)
    connection.execute(statement.on_duplicate_key_update({key: table.c[key]}), rows)


def _look_first(connection: Connection, table: Table, rows: Rows) -> None:
    """A rival who inserts in between makes this fail with a duplicate key, and the operation is run again."""
    columns = list(table.primary_key.columns)
    query = select(*columns).where(columns[0].in_({row[columns[0].name] for row in rows}))
    present = {tuple(found) for found in connection.execute(query)}
    missing = {key: row for row in rows if (key := tuple(row[column.name] for column in columns)) not in present}
    if missing:
        connection.execute(table.insert(), list(missing.values()))


@dataclass(frozen=True, slots=True)
class Traits:
    """How one database does what each does in its own way.

    `insert_missing` skips rows whose key is there. `migration_lock`: how one process at a time migrates. `full_text`
    names a strategy of `fulltext`. `isolation` is what the design is proven under. `merges`: whether the parts of a
    UNION ALL are read in order, and no more of them than are wanted; others are told in each how many that can be.
    """

    product: str
    insert_missing: Callable[[Connection, Table, Rows], None] = _look_first
    skip_locked: bool = True
    migration_lock: Literal["transaction", "advisory", "named", "row"] = "row"
    full_text: Literal["fts5", "tsvector", "fulltext", "portable"] = "portable"
    isolation: str | None = "READ COMMITTED"
    merges: bool = False


PRODUCTS: dict[str, Traits] = {
    traits.product: traits
    for traits in (
        Traits(
            "sqlite",
            _on_conflict(sqlite.insert),
            migration_lock="transaction",
            full_text="fts5",
            isolation=None,
            merges=True,
        ),
        Traits("postgresql", _on_conflict(postgresql.insert), migration_lock="advisory", full_text="tsvector"),
        # Its advisory locks do nothing, and it is at its best under SERIALIZABLE.
        Traits("cockroachdb", _on_conflict(postgresql.insert), isolation="SERIALIZABLE"),
        Traits("mysql", _on_duplicate, migration_lock="named", full_text="fulltext"),
        Traits("mariadb", _on_duplicate, migration_lock="named", full_text="fulltext"),
        Traits("tidb", _on_duplicate, skip_locked=False, migration_lock="named"),
        Traits("oceanbase", _on_duplicate, skip_locked=False),
        Traits("oracle"),
    )
}
_SKIP_LOCKED_SINCE = {"mysql": (8, 0, 1), "mariadb": (10, 6)}
_VERSION = re.compile(r"(?:^|-)(\d+)\.(\d+)(?:\.(\d+))?")


def recognise(dialect: str, version: str = "") -> Traits:
    """The traits of a database. MySQL's relatives share its protocol; what VERSION() says tells them apart."""
    name = dialect
    if dialect in ("mysql", "mariadb"):
        low = version.lower()
        name = next((relative for relative in ("tidb", "oceanbase", "mariadb") if relative in low), dialect)
    traits = PRODUCTS.get(name) or Traits(dialect, isolation=None)
    since = _SKIP_LOCKED_SINCE.get(name)
    if since is None or not version:
        return traits
    # A MariaDB may call itself 5.5.5-10.11.2-MariaDB.
    numbers = [tuple(int(part or 0) for part in found.groups()) for found in _VERSION.finditer(version)]
    return replace(traits, skip_locked=max(numbers, default=(0,)) >= since)


def traits_of(connection: Connection) -> Traits:
    """The traits that `Database` found for this connection."""
    traits: Traits = connection.get_execution_options()["memori_traits"]
    return traits


def insert_missing(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows, skipping those whose key is there already."""
    if rows:
        traits_of(connection).insert_missing(connection, table, list(rows))
