"""Storage through a function that opens DB-API 2.0 connections: `Memori(lambda: psycopg.connect(...))`."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, cast

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import NullPool, StaticPool

from ..errors import MissingDependencyError, UnknownConnectionError
from .deferred import ForeignConnectionError
from .factories import Factory, Loan
from .records import StorageOptions
from .sql.engine import Database
from .sql.lent import lent_engine
from .sql.storage import SQLStorage


class DBAPIStorage(SQLStorage):
    """Any SQL database whose DB-API connections a function of the user's opens.

    The function returns a new connection each time, which becomes ours and is pooled; or a context manager around
    one, or a pair of one and the function that takes it back, and then each operation borrows one.
    """

    def _open(self, connection: Any, options: StorageOptions) -> Database:
        return cast(Database, _Unopened(Factory(connection), options))


class _Unopened:
    """Stands for a `Database` until something is asked of it: the first connection shows which database it is."""

    def __init__(self, factory: Factory, options: StorageOptions) -> None:
        self._factory = factory
        self._options = options
        self._database: Database | None = None
        self._opening = threading.Lock()

    @property
    def display(self) -> str:
        """Where memory lives; before it is opened, who knows."""
        return self._factory.name if self._database is None else self._database.display

    def close(self) -> None:
        """Close what was opened."""
        if self._database is not None:
            self._database.close()

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._opening = threading.Lock()
        self._factory.after_fork()
        if self._database is not None:
            self._database.after_fork()

    def __getattr__(self, name: str) -> Any:
        with self._opening:
            if self._database is None:
                self._database = _open(self._factory, self._options)
        return getattr(self._database, name)


class _FactoryDatabase(Database):
    """A database on an Engine made here, over the connections of a factory."""

    def __init__(self, engine: Engine, display: str, options: StorageOptions) -> None:
        super().__init__(engine, options)
        self._owned = True
        self.display = display


def _open(factory: Factory, options: StorageOptions) -> Database:
    """Find out with one connection which database it is, and make an Engine for it."""
    made = factory.call()
    if type(made).__module__.startswith("sqlalchemy."):
        if hasattr(made, "close"):
            made.close()
        return Database(factory.function, options)
    if type(made).__module__.startswith("pymongo."):
        raise ForeignConnectionError(
            made, f"{factory.name} returned a {type(made).__qualname__}, no DB-API connection."
        )
    loan = factory.take(made)
    kept = False
    try:
        display = _address(loan).render_as_string(hide_password=True)
        kept = _in_memory(loan.connection)
        if kept:
            _check_shareable(loan, factory.name)
    except BaseException:
        kept = False
        raise
    finally:
        if not kept:
            factory.forget(loan.connection)
            loan.end()
    try:
        engine = _engine(factory, loan, options, kept=kept)
    except (NoSuchModuleError, ImportError) as error:
        raise MissingDependencyError(f"SQLAlchemy cannot use the driver {loan.driver!r}: {error}.") from error
    return _FactoryDatabase(engine, display, options)


def _engine(factory: Factory, first: Loan, options: StorageOptions, *, kept: bool) -> Engine:
    def borrow() -> Any:
        return factory.take().connection

    def give_back(connection: Any) -> None:
        loan = factory.forget(connection)
        if loan is not None:
            loan.end()

    if first.give_back is not None:
        return lent_engine(first.driver, borrow, give_back, transactions=True)
    arguments: dict[str, Any] = {"creator": borrow, "hide_parameters": True}
    if kept:
        waiting = [first.connection]
        arguments |= {"creator": lambda: waiting.pop() if waiting else borrow(), "poolclass": StaticPool}
    elif first.driver.startswith("sqlite"):
        # Such a connection may be used only by the thread that opened it, unless the factory says otherwise.
        arguments |= {"poolclass": NullPool}
    else:
        arguments |= {"pool_pre_ping": True, "pool_size": options.pool_size or 20}
    engine = create_engine(URL.create(first.driver), **arguments)
    event.listen(engine, "close", lambda connection, _: factory.forget(connection))
    return engine


def _address(loan: Loan) -> URL:
    """Where the connection leads, as far as its driver tells; never with a password."""
    if isinstance(loan.connection, sqlite3.Connection):
        return URL.create(loan.driver, database=_file(loan.connection) or ":memory:")
    told = getattr(loan.connection, "info", loan.connection)

    def first(*names: str) -> Any:
        found = next((value for name in names if (value := getattr(told, name, None))), None)
        return found.decode() if isinstance(found, bytes) else found

    port = first("port")
    return URL.create(
        loan.driver,
        username=first("user", "username"),
        host=first("host", "server_host"),
        port=port if isinstance(port, int) else None,
        database=first("dbname", "db", "database", "service_name"),
    )


def _file(connection: sqlite3.Connection) -> str:
    """The path of the database; "" when it is in memory."""
    rows = connection.execute("PRAGMA database_list").fetchall()
    return next((str(row[2]) for row in rows if row[1] == "main"), "")


def _in_memory(connection: Any) -> bool:
    return isinstance(connection, sqlite3.Connection) and not _file(connection)


def _check_shareable(loan: Loan, name: str) -> None:
    """A database in memory lives in one connection, which our threads take in turn."""
    refused: list[Exception] = []

    def use() -> None:
        try:
            loan.connection.execute("SELECT 1").close()
        except sqlite3.ProgrammingError as error:
            refused.append(error)

    if loan.give_back is None:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        if not refused:
            return
    raise UnknownConnectionError(
        f"{name} opens an SQLite database in memory, which lives in that one connection, and only the thread that "
        "opened it may use it; Memori works in several. Pass 'sqlite://' to Memori for a database in memory, "
        "connect with check_same_thread=False, or name a file."
    )
