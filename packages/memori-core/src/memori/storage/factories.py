"""Functions of the user's that open DB-API connections: called, and checked each time."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..errors import MemoriError, StorageUnavailableError, UnknownConnectionError

# The module of a connection's class, and the SQLAlchemy driver that speaks to it.
DRIVERS = {
    "sqlite3": "sqlite+pysqlite",
    "psycopg": "postgresql+psycopg",
    "psycopg2": "postgresql+psycopg2",
    "pg8000": "postgresql+pg8000",
    "pymysql": "mysql+pymysql",
    "MySQLdb": "mysql+mysqldb",
    "mysql.connector": "mysql+mysqlconnector",
    "mariadb": "mariadb+mariadbconnector",
    "oracledb": "oracle+oracledb",
}
EXAMPLE = "Memori(lambda: sqlite3.connect('memory.db'))"
_SECRETS = re.compile(r"(?<=://)([^\s:/@]*):[^\s]*@|\b(password|passwd|pwd)(\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Loan:
    """A connection, and how it goes back to whoever lent it; None when it is ours to close.

    `autocommit`: it was on, and is off while the connection is here, for half a turn could be stored under it.
    """

    connection: Any
    driver: str
    give_back: Callable[[], object] | None
    autocommit: bool

    def end(self) -> None:
        """Close the connection, or give it back as it was."""
        if self.give_back is None:
            self.connection.close()
            return
        try:
            if self.autocommit:
                switch_autocommit(self.connection, on=True)
        finally:
            self.give_back()


class Factory:
    """A function that returns a new connection each time, a context manager around one, or one and its release."""

    def __init__(self, function: Callable[[], Any]) -> None:
        _check(function)
        self.function = function
        self.name = f"the connection factory {_name(function)}"
        self._kind: tuple[str, bool] | None = None
        self._out: dict[int, Loan] = {}

    def call(self) -> Any:
        """Whatever the function returns. Raises `StorageUnavailableError` when it fails."""
        try:
            return self.function()
        except MemoriError:
            raise
        except Exception as error:  # noqa: BLE001 - a function of the user's may raise anything
            said = f"{type(error).__name__}: {error}".strip()
            shown = without_secrets(said)
            # A cause that shows the password would show it in the traceback.
            raise StorageUnavailableError(
                f"{self.name} failed: {shown}. Check that the database exists, is running and can be reached."
            ) from (error if shown == said else None)

    def take(self, made: Any = None) -> Loan:
        """A connection that is not in use; from `made` where the function was called already."""
        loan = self._recognised(self.call() if made is None else made)
        kind = loan.driver, loan.give_back is None
        self._kind = self._kind or kind
        if kind != self._kind:
            loan.end()
            raise UnknownConnectionError(
                f"{self.name} returned {_described(*kind)}, and {_described(*self._kind)} before. It must return the "
                "same kind of connection, to the same database, each time."
            )
        if self._out.setdefault(id(loan.connection), loan) is not loan:
            raise UnknownConnectionError(
                f"{self.name} returned a connection that is still in use. Memori works in several threads: "
                f"open a new connection in each call, as in {EXAMPLE}."
            )
        return loan

    def forget(self, connection: Any) -> Loan | None:
        """The connection is in use no more; return its loan."""
        return self._out.pop(id(connection), None)

    def after_fork(self) -> None:
        """Start afresh. The parent's connections stay referenced, so that nothing closes them here."""
        _inherited.append(self._out)
        self._out = {}

    def _recognised(self, made: Any) -> Loan:
        connection, give_back = made, None
        if isinstance(made, tuple) and len(made) == 2 and callable(made[1]):
            connection, give_back = made[0], _release(*made)
        elif driver_of(made) is None and isinstance(made, AbstractContextManager):
            connection, give_back = made.__enter__(), lambda: made.__exit__(None, None, None)
        driver = driver_of(connection)
        problem = _problem(connection, driver)
        if driver is None or problem:
            if give_back is not None:
                give_back()
            raise UnknownConnectionError(f"{self.name} {problem}")
        return Loan(connection, driver, give_back, switch_autocommit(connection, on=False))


_inherited: list[object] = []


def driver_of(connection: Any) -> str | None:
    """The SQLAlchemy driver for a DB-API connection, told by the module of its class; None for anything else."""
    for kind in connection.__class__.__mro__:
        for module, driver in DRIVERS.items():
            if f"{kind.__module__}.".startswith(f"{module}."):
                return driver
    return None


def switch_autocommit(connection: Any, *, on: bool) -> bool:
    """Switch autocommit on or off, and return whether it was on."""
    present = getattr(connection, "autocommit", False)
    if isinstance(connection, sqlite3.Connection):
        return _leave_begin_to_us(connection, present)
    if callable(present):  # MySQLdb and PyMySQL
        was = bool(connection.get_autocommit())
        if was != on:
            present(on)
        return was
    if bool(present) != on:
        connection.autocommit = on
    return bool(present)


def _leave_begin_to_us(connection: sqlite3.Connection, present: object) -> bool:
    # Before Python 3.12 there is no other mode; `isolation_level` only says what sqlite3 begins by itself.
    legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", None)
    if legacy is not None and present != legacy:
        connection.autocommit = True  # type: ignore[attr-defined]
        connection.autocommit = legacy  # type: ignore[attr-defined]
    return False


def without_secrets(text: str) -> str:
    """The text with *** for passwords in URLs and in key=value form."""
    return _SECRETS.sub(lambda found: f"{found[2]}{found[3]}***" if found[2] else f"{found[1]}:***@", text)


def _check(given: Any) -> None:
    if driver_of(given) is not None and not isinstance(given, type):
        raise UnknownConnectionError(
            f"A {_type(given)} serves one thread at a time, and Memori works in several. Pass a function that opens "
            f"one, {EXAMPLE}, or a database URL."
        )
    if not callable(given):
        raise UnknownConnectionError(f"A {_type(given)} is not a function that opens a connection, as in {EXAMPLE}.")
    if inspect.iscoroutinefunction(given):
        raise UnknownConnectionError(
            f"{_name(given)} is asynchronous. Memori calls the database from threads of its own, also for arecall() "
            f"and arecord(): pass a function that opens a synchronous connection, as in {EXAMPLE}."
        )
    try:
        inspect.signature(given).bind()
    except TypeError as error:
        raise UnknownConnectionError(
            f"{_name(given)} cannot be called without arguments ({error}). Put them in: {EXAMPLE}."
        ) from None
    except ValueError:
        return  # written in C, and silent about its arguments


def _problem(connection: Any, driver: str | None) -> str:
    if connection is None:
        return f"returned None. It must return a connection, as in {EXAMPLE}."
    if inspect.isawaitable(connection):
        if inspect.iscoroutine(connection):
            connection.close()
        return f"is asynchronous. Return a synchronous connection, as in {EXAMPLE}; arecall() and arecord() use it too."
    if inspect.isgenerator(connection):
        return "is a generator. Decorate it with @contextlib.contextmanager."
    if driver is None:
        return (
            f"returned a {_type(connection)}, and no DB-API driver known here makes those. Known are "
            f"{', '.join(DRIVERS)}; for another, pass create_engine(url, creator=...) of SQLAlchemy."
        )
    if inspect.iscoroutinefunction(getattr(connection, "commit", None)):
        return f"returned an asynchronous {_type(connection)}. Return a synchronous one, as in {EXAMPLE}."
    if _closed(connection):
        return f"returned a connection that is closed. Open a new one in each call, as in {EXAMPLE}."
    return ""


def _closed(connection: Any) -> bool:
    try:
        # sqlite3 has no flag, and answers nothing once it is closed.
        getattr(connection, "in_transaction", None)
    except Exception:  # noqa: BLE001 - each driver has an error of its own
        return True
    # Flags, not methods, and an integer with some drivers.
    closed, opened = getattr(connection, "closed", 0), getattr(connection, "open", 1)
    return (isinstance(closed, int) and bool(closed)) or (isinstance(opened, int) and not opened)


def _release(connection: Any, release: Callable[..., object]) -> Callable[[], object]:
    """`pool.putconn` wants the connection back; `connection.close` does not."""
    try:
        inspect.signature(release).bind()
    except TypeError:
        return lambda: release(connection)
    except ValueError:
        return release
    return release


def _described(driver: str, ours: bool) -> str:
    return f"a connection for {driver}" + ("" if ours else " to give back")


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}.{name}" if module else name


def _type(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
