"""Run transactions on one database: read, write, and write again when the database asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ...errors import StorageError
from ...process import fork_gate
from ..records import StorageOptions
from . import fulltext, writing
from .dialects import Traits, recognise
from .failures import run_again, translate
from .opening import open_engine

T = TypeVar("T")


class Database:
    """One database and how to run a transaction on it.

    SQLite allows one writer: write transactions begin with BEGIN IMMEDIATE, so that they wait for each other instead
    of failing half-way. A database in memory has a single connection, which threads take in turn. Elsewhere rows are
    locked, and transactions run under READ COMMITTED.
    """

    attempts: ClassVar[int] = 10
    """How often a victim of deadlocks is run. Inside a transaction of somebody else's: once."""

    how_to_migrate: str = "See what is to be done with `memori migrate --plan`, do it with `memori migrate`."
    """What a user is told whose tables are old."""

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        self._engine, self._owned = open_engine(connection, options)
        self.display = self._engine.url.render_as_string(hide_password=True)
        self.dialect = self._engine.dialect.name
        isolation = recognise(self.dialect).isolation
        if isolation is not None and not self._owned:
            # An Engine may come with another level, or with autocommit, under which half a turn could be stored.
            self._engine = self._engine.execution_options(isolation_level=isolation)
        self._sqlite = self.dialect == "sqlite"
        self._gate: AbstractContextManager[None] = fork_gate if self._sqlite else nullcontext()
        alone = self._sqlite and isinstance(self._engine.pool, StaticPool)
        self._turn: AbstractContextManager[Any] = threading.RLock() if alone else nullcontext()
        self._line = str(self._engine.url.database) if self._sqlite and not alone else None
        self._patience = options.busy_timeout
        self._held = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run reads. Raises the `StorageError` that fits."""
        held: Connection | None = getattr(self._held, "connection", None)
        with self._translated():
            if held is None:
                with self._connected() as connection:
                    yield connection
                return
            try:
                yield held
            except BaseException:
                held.rollback()  # or PostgreSQL would refuse the reads that follow
                raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let this thread's reads in the block share a connection. Getting one and giving it back takes three trips."""
        with self.read() as connection:
            self._held.connection = connection
            try:
                yield
            finally:
                del self._held.connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one transaction: committed at the end of the block, rolled back when it raises."""
        with self._translated(), self._begun() as connection:
            yield connection

    def run(self, operation: Callable[[Connection], T]) -> T:
        """Run an operation in a transaction of its own; all of it again when the database had to roll it back."""

        def attempt() -> T:
            with self._begun() as connection:
                return operation(connection)

        again = Retrying(
            retry=retry_if_exception(run_again),
            stop=stop_after_attempt(self.attempts),
            wait=wait_random_exponential(multiplier=0.01, max=1),
            reraise=True,
        )
        with self._translated():
            return again(attempt)

    def close(self) -> None:
        """Close what was opened here; an Engine of the user's stays open."""
        if self._owned:
            self._engine.dispose()

    def after_fork(self) -> None:
        """Forget inherited connections without closing the parent's sockets."""
        self._engine.dispose(close=False)
        self._held = threading.local()
        if not isinstance(self._turn, nullcontext):
            self._turn = threading.RLock()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._connected() as connection:
            if not self._sqlite or connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                yield connection
                connection.commit()
                return
            with writing.in_line(self._line, self._patience):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._turn, self._gate, self._engine.connect() as connection:
            if "memori_traits" not in connection.get_execution_options():
                traits = self._recognise(connection)
                self._engine = self._engine.execution_options(memori_traits=traits)
                connection = connection.execution_options(memori_traits=traits)
            yield connection

    def _recognise(self, connection: Connection) -> Traits:
        if self._sqlite:
            return replace(recognise(self.dialect), full_text=fulltext.of_sqlite(connection))
        if self.dialect not in ("mysql", "mariadb"):
            return recognise(self.dialect)
        version = connection.exec_driver_sql("SELECT VERSION()").scalar()
        connection.rollback()
        return recognise(self.dialect, str(version))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except (SQLAlchemyError, UnicodeEncodeError) as error:
            raise translate(error, self.display) from error
