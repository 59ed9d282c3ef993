"""Open somebody else's SQL database to read it, and find out what its tables are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ..errors import MissingDependencyError, SchemaError, StorageUnavailableError, UnknownConnectionError
from .layout import ENTITY, Layout, recognise

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_MADE_BY_US = "generation"


class Database:
    """A database that is only read. `display` is its URL without the password."""

    def __init__(self, url: str) -> None:
        self._engine, self.display = _open(url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run one transaction that may not write. Raises `StorageUnavailableError`."""
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name != "sqlite":
                    # Some databases that speak MySQL's protocol cannot promise this; we write nothing either way.
                    with suppress(DBAPIError):
                        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                yield connection
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__
            raise StorageUnavailableError(
                f"{self.display}: {reason}. Check that the database exists, is running and can be read."
            ) from error
        except SQLAlchemyError as error:
            raise StorageUnavailableError(f"{self.display}: {error}") from error


def layout_of(connection: Connection, display: str) -> Layout:
    """Match its tables. Raises `SchemaError` when it is not a Memori 3 database."""
    inspected = inspect(connection)
    names = inspected.get_table_names()
    present = {
        name: tuple(str(found["name"]) for found in inspected.get_columns(name))
        for name in names
        if name.startswith("memori_")
    }
    if ENTITY not in present:
        there = ", ".join(sorted(names)[:10]) or "none at all"
        raise SchemaError(f"{display} is no Memori 3 database: it has no table {ENTITY}. Its tables are: {there}.")
    if _MADE_BY_US in present[ENTITY]:
        raise SchemaError(
            f"{display} was made by this Memori, not by Memori 3: there is nothing to bring over. "
            "Use it as it is, with --database."
        )
    layout = recognise(present)
    if not layout.has(ENTITY):
        raise SchemaError(f"{display} cannot be read as a Memori 3 database. {' '.join(layout.missing)}")
    return layout


def _open(url: str) -> tuple[Engine, str]:
    try:
        named = make_url(url)
    except ArgumentError:
        raise UnknownConnectionError(
            "The URL of the Memori 3 database cannot be read. It looks like sqlite:///memori.db or "
            "postgresql://user:password@host/name."
        ) from None
    if named.get_backend_name() == "sqlite":
        return _open_sqlite(named), str(named)
    driver = _DRIVERS.get(named.drivername, named.drivername)
    try:
        engine = sqlalchemy.create_engine(named.set(drivername=driver), poolclass=NullPool, hide_parameters=True)
    except NoSuchModuleError:
        raise UnknownConnectionError(
            f"{named.drivername!r} is no SQL database that can be read. A Memori 3 database in SQLite, PostgreSQL, "
            "MySQL or MariaDB can be brought over."
        ) from None
    except ImportError as error:
        raise MissingDependencyError(
            f"No driver for {driver!r} is installed ({error}). Install it with: "
            f"pip install 'memori-core[{named.get_backend_name().replace('mariadb', 'mysql')}]'"
        ) from error
    return engine, named.render_as_string(hide_password=True)


def _open_sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    if not path.is_file():
        raise StorageUnavailableError(
            f"There is no database at {url.database or ':memory:'}. Name the file of Memori 3."
        )
    uri = f"{path.resolve().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=20)
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        return connection

    return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=NullPool)
