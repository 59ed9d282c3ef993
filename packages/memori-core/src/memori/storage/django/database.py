"""Run transactions on the connection that Django keeps for the current thread, inside its own where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import django.db
from django.db import transaction
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ...errors import UnknownConnectionError
from ..records import StorageOptions
from ..sql.engine import Database
from ..sql.failures import translate
from ..sql.lent import lent_engine

T = TypeVar("T")


class DjangoDatabase(Database):
    """One of the project's databases. `wrapper` gives Django's connection of the current thread.

    Inside an `atomic` block each operation is a savepoint, and the block decides what becomes of it. Elsewhere it is
    a transaction of its own; on SQLite one that begins with BEGIN IMMEDIATE.
    """

    def __init__(self, wrapper: Callable[[], Any], options: StorageOptions) -> None:
        self._wrapper = wrapper
        engine = lent_engine(_driver(wrapper()), lambda: wrapper().connection, _leave_open, transactions=False)
        super().__init__(engine, options)
        here = wrapper()
        self.how_to_migrate = f"Run: python manage.py migrate memori --database={here.alias}"
        self.display = f"Django's database {here.alias!r} ({here.vendor}: {here.settings_dict['NAME']})"

    @property
    def joined(self) -> bool:
        """Whether this thread is inside a transaction that the project began and will end."""
        wrapper = self._wrapper()
        return bool(wrapper.in_atomic_block) or (wrapper.connection is not None and not wrapper.autocommit)

    @property
    def in_memory(self) -> bool:
        """Whether this is an SQLite database that other threads cannot share, or only by getting in the way."""
        wrapper = self._wrapper()
        return wrapper.vendor == "sqlite" and bool(wrapper.is_in_memory_db())

    def run(self, operation: Callable[[Connection], T]) -> T:
        """Run an operation in a transaction. Inside the project's it is not run again: what came before is gone too."""
        if not self.joined:
            return super().run(operation)
        with self.write() as connection:
            return operation(connection)

    def close(self) -> None:
        """Nothing was opened here."""

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._gate, self._unit(writing=False), super()._connected() as connection:
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._gate, self._unit(writing=True), super()._connected() as connection:
            yield connection

    @contextmanager
    def _unit(self, *, writing: bool) -> Iterator[None]:
        wrapper = self._wrapper()
        wrapper.validate_no_broken_transaction()
        wrapper.close_if_health_check_failed()
        wrapper.ensure_connection()
        sqlite = wrapper.vendor == "sqlite"
        if self.joined or (writing and not sqlite):
            if sqlite and writing:
                _lock(wrapper)
            with transaction.atomic(using=wrapper.alias):
                yield
        elif writing:
            with _immediate(wrapper):
                yield
        else:
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with super()._translated():
                yield
        except django.db.Error as error:
            self._wrapper().errors_occurred = True
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise translate(DBAPIError.instance(None, None, cause, Exception), self.display) from error
        except BaseException as error:
            if isinstance(error.__cause__, DBAPIError):
                # Django then checks the connection before it is used for the next request.
                self._wrapper().errors_occurred = True
            raise


def _driver(wrapper: Any) -> str:
    if wrapper.vendor == "sqlite":
        return "sqlite+pysqlite"
    if wrapper.vendor == "mysql":
        return "mysql+mysqldb"
    if wrapper.vendor == "postgresql":
        from django.db.backends.postgresql.psycopg_any import is_psycopg3

        return "postgresql+psycopg" if is_psycopg3 else "postgresql+psycopg2"
    raise UnknownConnectionError(
        f"Memori shares Django's connection to SQLite, PostgreSQL, MySQL and MariaDB; the database {wrapper.alias!r} "
        f"is {wrapper.vendor}. Pass Memori the URL of a database instead."
    )


def _leave_open(_: Any) -> None:
    """The connection stays with Django."""


def _lock(wrapper: Any) -> None:
    """Take SQLite's write lock before anything is read: who has read already is refused rather than made to wait."""
    with wrapper.cursor() as cursor:
        if not wrapper.connection.in_transaction:
            # Transactions are managed by hand, and releasing a savepoint would end the one it began.
            cursor.execute("BEGIN IMMEDIATE")
            return
        try:
            cursor.execute("DELETE FROM memori_schema_version WHERE version < 0")
        except django.db.OperationalError as error:
            if "no such table" not in str(error):
                raise


@contextmanager
def _immediate(wrapper: Any) -> Iterator[None]:
    """A transaction that waits for SQLite's write lock at its beginning. Django's would wait, and fail, in the middle.

    Django need not know of it: none of its code runs inside.
    """
    with wrapper.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield
            cursor.execute("COMMIT")
        except BaseException:
            if wrapper.connection is not None and wrapper.connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise
