"""What a driver's error means: which error of ours it is, what to do about it, and whether to run the whole again."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...errors import (
    SchemaError,
    StorageError,
    StorageLockedError,
    StorageReadOnlyError,
    StorageUnavailableError,
)


class _Meaning(NamedTuple):
    """`codes`: SQLSTATEs of PostgreSQL, numbers of MySQL and Oracle; `signs`: what the message says, in lower case."""

    codes: frozenset[str | int]
    signs: tuple[str, ...]
    kind: type[StorageError]
    advice: str


# The first that fits: "database ... does not exist" comes before "relation ... does not exist".
_MEANINGS = (
    _Meaning(
        frozenset({"28P01", "28000", 1045, 1017, 1005}),
        ("password authentication failed", "access denied for user", "no password supplied", "ora-01017"),
        StorageUnavailableError,
        "The user name or the password is wrong, or this user may not connect from here: check the database URL.",
    ),
    _Meaning(
        frozenset({"3D000", 1049, 1044}),
        ('database "', "unknown database", "unable to open database file"),
        StorageUnavailableError,
        "Check that the database exists (Memori makes tables, not databases) and that its name in the URL is right.",
    ),
    _Meaning(
        frozenset({"08003"}),
        ("connection is closed", "closed database", "connection already closed", "already closed"),
        StorageUnavailableError,
        "The connection was closed by somebody else: pass a URL, an Engine, or a factory that opens a new one.",
    ),
    _Meaning(
        frozenset({"53300", 1040, 1203}),
        ("too many connections", "too many clients"),
        StorageUnavailableError,
        "The server has no connection left: lower pool_size, run fewer processes, or raise the server's limit.",
    ),
    _Meaning(
        frozenset({"53100", 1021, 1114, 1653}),
        ("disk is full", "no space left", "disk full", "table is full"),
        StorageError,
        "The database has no room left; free some and try again. Nothing was half-written.",
    ),
    _Meaning(
        frozenset({1153, 1301}),
        ("max_allowed_packet",),
        StorageError,
        "A text is larger than the server takes in one piece: raise max_allowed_packet on the server, to 64M say.",
    ),
    _Meaning(
        frozenset({"55P03", "40P01", "40001", 1205, 1213, 1684, 54, 60, 8177}),
        ("database is locked", "database table is locked", "lock wait timeout", "deadlock", "could not serialize"),
        StorageLockedError,
        "Another program holds the database's lock; try again, or end the transaction that holds it.",
    ),
    _Meaning(
        frozenset({"42501", "25006", 1142, 1143, 1290, 1792, 1836, 1227, 1031}),
        ("readonly database", "read-only", "read only", "permission denied", "command denied", "insufficient privil"),
        StorageReadOnlyError,
        "Memori needs to write, and to create its tables the first time; give this user or this file that permission.",
    ),
    _Meaning(
        frozenset(),
        ("no such module: fts5",),
        SchemaError,
        "The file was made with full-text search (FTS5), which this SQLite lacks: open it with an SQLite that has it.",
    ),
    _Meaning(
        frozenset({"42P01", "42703", "3F000", 1146, 1054, 942, 904}),
        ("no such table", "no such column", "has no column named", "no such module", "does not exist", "doesn't exist"),
        SchemaError,
        "Create or migrate the tables with memori.config.storage.build(), or open with migrate='auto'.",
    ),
)

# The database chose this transaction as the victim and rolled it back, or a parent row was erased, or a rival inserted
# the same row: run as a whole again, the operation finds things as they are now.
_AGAIN: frozenset[str | int] = frozenset(
    {"40001", "40P01", "23503", "23505", 1213, 1684, 1020, 1452, 1062, 8002, 8022, 8028, 9007, 60, 8177, 1, 2291}
)
_LARGE = 1_000_000


class RowVanishedError(StorageLockedError):
    """A row was erased between making or reading it and locking it."""


def run_again(error: BaseException) -> bool:
    """Whether the transaction is known to be rolled back, and may succeed when it is run again as a whole."""
    if isinstance(error, DBAPIError):
        return not error.connection_invalidated and _code(error) in _AGAIN
    return isinstance(error, RowVanishedError)


def translate(error: Exception, display: str) -> StorageError:
    """The error of the design that SQLAlchemy's stands for. `display` names the database, without a password."""
    if isinstance(error, PoolTimeout):
        return StorageUnavailableError(
            f"{display}: every connection of the pool was busy for too long. Raise pool_size, or look for what holds "
            "connections: a slow server, or a transaction left open."
        )
    if isinstance(error, UnicodeError):
        return StorageError(f"{display}: a text holds a lone surrogate, which no database can store.")
    if not isinstance(error, DBAPIError):
        return StorageError(f"{display}: {_first_line(error)}")
    error = _before_rollback(error)
    text, code = _first_line(error.orig or error), _code(error)
    low = text.lower()
    for meaning in _MEANINGS:
        if code in meaning.codes or (code not in _KNOWN and any(sign in low for sign in meaning.signs)):
            return meaning.kind(f"{display}: {text}. {meaning.advice}")
    if isinstance(error, IntegrityError | DataError):
        return StorageError(f"{display}: {text}")
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return StorageUnavailableError(f"{display}: {text}. {_unreachable(error)}")
    return StorageError(f"{display}: {text}")


_KNOWN = frozenset(code for meaning in _MEANINGS for code in meaning.codes)


def _before_rollback(error: DBAPIError) -> DBAPIError:
    """When a rollback fails too, the error that it was for."""
    earlier: BaseException | None = error
    while earlier is not None and error.statement is None:
        earlier = earlier.__context__
        if isinstance(earlier, DBAPIError) and earlier.statement is not None:
            return earlier
    return error


def _unreachable(error: DBAPIError) -> str:
    if error.connection_invalidated and _size(error.params) > _LARGE:
        return (
            "The connection was cut while a large text was sent: on MySQL and MariaDB raise max_allowed_packet, "
            "to 64M say; else check the server."
        )
    return "Check that the database exists, is running and can be reached."


def _size(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0


def _code(error: DBAPIError) -> str | int | None:
    """The number from MySQL's and Oracle's drivers, SQLSTATE from PostgreSQL's, None from SQLite's."""
    cause = error.orig
    first = cause.args[0] if cause is not None and cause.args else None
    number = getattr(cause, "errno", None) or getattr(first, "code", first)
    if isinstance(number, int):
        return number
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return str(state) if state else None


def _first_line(error: BaseException) -> str:
    """PostgreSQL repeats the row in the lines below, and with it what a person said."""
    arguments = error.args
    # PyMySQL's errors print as a pair.
    numbered = len(arguments) == 2 and isinstance(arguments[0], int) and isinstance(arguments[1], str)
    said = f"{arguments[1]} ({arguments[0]})" if numbered else str(error)
    lines = said.strip().splitlines() or [type(error).__name__]
    return (" ".join(lines[:2]) if lines[0].endswith(":") else lines[0]).rstrip(".")
