"""Get an Engine from what a user has: a URL, an Engine, a sessionmaker, or a factory of sessions or connections."""

from __future__ import annotations

import inspect
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from ...errors import MissingDependencyError, UnknownConnectionError
from ..records import StorageOptions
from .dialects import recognise

_BACKENDS = {
    "postgres": "postgresql",
    "cockroach": "cockroachdb",
    "tidb": "mysql",
    "oceanbase": "mysql",
}
_DRIVERS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "cockroachdb": "psycopg",
    "oracle": "oracledb",
}
_EXTRAS = {"mariadb": "mysql"}


def open_engine(given: Any, options: StorageOptions) -> tuple[Engine, bool]:
    """An Engine, and whether it was made here. Raises `UnknownConnectionError` saying what to pass."""
    if isinstance(given, str | URL):
        return _from_url(given, options), True
    found = _engine_of(given)
    if found is None and callable(given):
        found = _engine_of(_call(given))
    if found is None:
        raise UnknownConnectionError(
            f"{_name(given)} is not something SQLAlchemy storage can open. Pass a database URL, an Engine, "
            "a sessionmaker, or a function that returns a Session or a Connection."
        )
    if found.dialect.is_async:
        raise _asynchronous(_name(given), found.url)
    return found, False


def _engine_of(given: Any) -> Engine | None:
    """The Engine behind an object, which stays usable: what we are given to look at is closed only if we made it."""
    if isinstance(given, Engine):
        return given
    if isinstance(given, Connection):
        return given.engine
    if isinstance(given, Session):
        try:
            bind = given.get_bind()
        except sqlalchemy.exc.UnboundExecutionError:
            raise UnknownConnectionError(
                "The Session is not bound to a database. Bind it, sessionmaker(engine), or pass the Engine."
            ) from None
        return bind.engine
    if type(given).__module__.startswith("sqlalchemy.ext.asyncio"):
        raise _asynchronous(_name(given), getattr(given, "url", None))
    return None


def _call(factory: Any) -> Any:
    made = factory()
    if inspect.iscoroutine(made):
        made.close()
        raise _asynchronous(f"An asynchronous function ({_name(factory)})", None)
    if isinstance(made, Session | Connection):
        engine = _engine_of(made)
        made.close()
        return engine
    return made


def _asynchronous(what: str, url: URL | None) -> UnknownConnectionError:
    instead = "postgresql://user:***@host/name"
    if url is not None:
        backend = url.get_backend_name()
        driver = _DRIVERS.get(backend)
        instead = url.set(drivername=f"{backend}+{driver}" if driver else backend).render_as_string(hide_password=True)
    return UnknownConnectionError(
        f"{what} is asynchronous. Memori calls the database from its own threads, also for arecall() and arecord(), "
        f"so pass the same URL with a synchronous driver, or a synchronous Engine on it: {instead}"
    )


def _name(given: Any) -> str:
    return f"{type(given).__module__}.{type(given).__qualname__}"


def rewrite(url: URL) -> URL:
    """The URL with the backend SQLAlchemy knows and, where none is named, the driver Memori installs."""
    backend, _, driver = url.drivername.partition("+")
    backend = _BACKENDS.get(backend.lower(), backend)
    driver = driver or _DRIVERS.get(backend, "")
    return url.set(drivername=f"{backend}+{driver}" if driver else backend)


def _from_url(given: str | URL, options: StorageOptions) -> Engine:
    try:
        url = rewrite(make_url(given))
    except (ArgumentError, ValueError):
        raise UnknownConnectionError(
            "The database URL cannot be read. It looks like sqlite:///memory.db or "
            "postgresql://user:password@host/name. Special characters in a password are written in percent form: "
            "@ as %40, / as %2F."
        ) from None
    backend = url.get_backend_name()
    arguments: dict[str, Any] = {"hide_parameters": True}
    if backend == "sqlite":
        arguments["connect_args"] = {"timeout": options.busy_timeout, "check_same_thread": False}
        if url.database in (None, "", ":memory:") or "mode=memory" in (url.database or ""):
            arguments["poolclass"] = StaticPool
    else:
        arguments["pool_pre_ping"] = True
        arguments["pool_size"] = options.pool_size or 20
        if (isolation := recognise(backend).isolation) is not None:
            arguments["isolation_level"] = isolation
    try:
        engine = sqlalchemy.create_engine(url, **arguments)
    except (NoSuchModuleError, ImportError) as error:
        extra = _EXTRAS.get(backend, backend)
        install = f"pip install 'memori-core[{extra}]'" if backend in _DRIVERS else "the driver that the URL names"
        raise MissingDependencyError(
            f"No driver for {url.drivername!r} is installed ({error}). Install: {install}"
        ) from error
    except ArgumentError as error:
        raise UnknownConnectionError(f"The database URL cannot be used: {error}") from None
    if engine.dialect.is_async:
        raise _asynchronous(f"The driver {url.drivername!r}", url)
    prepare = _PREPARE.get(engine.dialect.name)
    if prepare is not None:
        sqlalchemy.event.listen(engine, "connect", prepare(options))
    return engine


def _prepare_sqlite(_: StorageOptions) -> Any:
    """Let readers go on while somebody writes. A read-only file cannot change its mode; it says so when written to."""

    def prepare(connection: Any, _: Any) -> None:
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

    return prepare


def _prepare_postgresql(options: StorageOptions) -> Any:
    """Nobody waits for a lock without end."""

    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {max(1, int(options.busy_timeout * 1000))}")
        cursor.close()
        connection.commit()

    return prepare


def _prepare_mysql(options: StorageOptions) -> Any:
    """Nobody waits for a lock without end, and no server cuts a text to fit its column."""

    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')")
        try:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {max(1, int(options.busy_timeout))}")
        except connection.Error as error:
            if error.args[0] != _UNKNOWN_VARIABLE:
                raise
        cursor.close()
        connection.commit()

    return prepare


_UNKNOWN_VARIABLE = 1193
"""Some relatives of MySQL have another storage engine."""


_PREPARE = {
    "sqlite": _prepare_sqlite,
    "postgresql": _prepare_postgresql,
    "mysql": _prepare_mysql,
    "mariadb": _prepare_mysql,
}
