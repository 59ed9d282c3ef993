"""Open a database: from a URL, an Engine or a sessionmaker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from ...errors import StorageError, StorageUnavailableError, UnknownConnectionError
from ...process import fork_gate
from ..base import StorageOptions
from .dialects import translate


class Database:
    """One database and how to run a transaction on it.

    SQLite allows one writer: write transactions begin with BEGIN IMMEDIATE, so that they wait for each other instead
    of failing half-way. A database in memory has a single connection, which threads take in turn.
    """

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        self._engine, self._owned = _open(connection, options)
        self.display = self._engine.url.render_as_string(hide_password=True)
        self.dialect = self._engine.dialect.name
        self._sqlite = self.dialect == "sqlite"
        self._gate: AbstractContextManager[None] = fork_gate if self._sqlite else nullcontext()
        alone = self._sqlite and isinstance(self._engine.pool, StaticPool)
        self._turn: AbstractContextManager[Any] = threading.RLock() if alone else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run reads. Raises the `StorageError` that fits."""
        with self._translated(), self._turn, self._gate, self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one transaction: committed at the end of the block, rolled back when it raises."""
        with self._translated(), self._turn, self._gate, self._engine.connect() as connection:
            if self._sqlite and not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def close(self) -> None:
        """Close what was opened here; an Engine of the user's stays open."""
        if self._owned:
            self._engine.dispose()

    def after_fork(self) -> None:
        """Forget inherited connections without closing the parent's sockets."""
        self._engine.dispose(close=False)
        if not isinstance(self._turn, nullcontext):
            self._turn = threading.RLock()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise StorageError(f"{self.display}: {error.orig}") from error
        except DBAPIError as error:
            raise translate(error.orig or error, self.display, disconnected=error.connection_invalidated) from error
        except SQLAlchemyError as error:
            raise StorageError(f"{self.display}: {error}") from error


def _open(connection: Any, options: StorageOptions) -> tuple[Engine, bool]:
    if isinstance(connection, Engine):
        return connection, False
    if isinstance(connection, sessionmaker):
        connection = connection()
    if isinstance(connection, Session):
        bind = connection.get_bind()
        connection.close()
        return (bind.engine if isinstance(bind, Connection) else bind), False
    if isinstance(connection, Connection):
        return connection.engine, False
    if isinstance(connection, str | URL):
        return _from_url(connection, options), True
    raise UnknownConnectionError(
        f"{type(connection).__module__}.{type(connection).__qualname__} is not something SQLAlchemy storage can open. "
        "Pass a database URL, a synchronous Engine (instead of an AsyncEngine: its URL with a synchronous driver), "
        "or a sessionmaker."
    )


def _from_url(given: str | URL, options: StorageOptions) -> Engine:
    try:
        url = make_url(given)
    except ArgumentError:
        raise UnknownConnectionError(
            "The database URL cannot be read. It looks like sqlite:///memory.db or postgresql://user:password@host/name."
        ) from None
    arguments: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        arguments["connect_args"] = {"timeout": options.busy_timeout, "check_same_thread": False}
        if url.database in (None, "", ":memory:") or "mode=memory" in (url.database or ""):
            arguments["poolclass"] = StaticPool
    else:
        arguments["pool_pre_ping"] = True
        arguments["pool_size"] = options.pool_size or 20
    try:
        engine = sqlalchemy.create_engine(url, **arguments)
    except ArgumentError as error:
        raise UnknownConnectionError(f"The database URL cannot be used: {error}") from None
    except (NoSuchModuleError, ImportError) as error:
        raise StorageUnavailableError(
            f"No driver for {url.drivername!r} is installed: {error}. Install it, or name another driver in the URL."
        ) from error
    if url.get_backend_name() == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Let readers go on while somebody writes. A read-only file cannot change its mode; it says so when written to."""
    cursor = connection.cursor()
    try:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        if mode not in ("wal", "memory"):
            cursor.execute("PRAGMA journal_mode = WAL")
    except connection.OperationalError as error:
        if "readonly" not in str(error) and "locked" not in str(error):
            raise
    finally:
        cursor.close()
