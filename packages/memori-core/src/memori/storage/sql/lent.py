"""An Engine over connections that belong to somebody else: borrowed for one operation, given back as they were."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool


def lent_engine(
    driver: str, borrow: Callable[[], Any], give_back: Callable[[Any], None], *, transactions: bool
) -> Engine:
    """An Engine of a driver ("postgresql+psycopg") that borrows a DB-API connection for each of its own.

    `transactions`: whether it may commit and roll back; otherwise they are the lender's business.
    """
    name = driver.replace("+", "_")
    registry.register(f"lent.{name}", __name__, name)
    arguments = {"use_native_hstore": False} if driver == "postgresql+psycopg" else {}
    return create_engine(
        URL.create(f"lent+{name}"),
        creator=borrow,
        poolclass=NullPool,
        hide_parameters=True,
        give_back=give_back,
        transactions=transactions,
        **arguments,
    )


class _Lent:
    """What a dialect does to connections it takes for its own, left undone."""

    # Not keyword-only: create_engine finds out what a dialect takes by looking at the plain arguments.
    def __init__(self, give_back: Callable[[Any], None], transactions: bool, **options: Any) -> None:
        super().__init__(**options)
        self._give_back = give_back
        self._transactions = transactions

    def on_connect(self) -> None:
        """Install no function, handler or converter: the lender has its own, and they would add up."""

    def do_close(self, connection: Any) -> None:
        self._give_back(connection)

    def do_terminate(self, connection: Any) -> None:
        self._give_back(connection)

    def do_commit(self, connection: Any) -> None:
        if self._transactions:
            connection.commit()

    def do_rollback(self, connection: Any) -> None:
        if self._transactions:
            connection.rollback()

    def set_isolation_level(self, connection: Any, level: Any) -> None:
        if self._transactions:
            super().set_isolation_level(connection, level)  # type: ignore[misc]


@cache
def _dialect(name: str) -> type[Any]:
    base = URL.create(name.replace("_", "+", 1)).get_dialect()
    return type(f"Lent{base.__name__}", (_Lent, base), {"supports_statement_cache": True})


def __getattr__(name: str) -> type[Any]:
    """The dialect of a driver, by the name under which SQLAlchemy's registry looks it up here."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _dialect(name)
