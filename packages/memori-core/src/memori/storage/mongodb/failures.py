"""What an error of pymongo's means: which error of ours it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bson.errors import BSONError, InvalidStringData
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    InvalidOperation,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from ...errors import StorageError, StorageLockedError, StorageReadOnlyError, StorageUnavailableError


class _Meaning(NamedTuple):
    codes: frozenset[int]
    kind: type[StorageError]
    advice: str


_TOO_LARGE = (
    "MongoDB keeps at most 16 MB in one document, and a message with its native payload, a fact with its vectors or an "
    "item is one. Store less of it, or put large content elsewhere and keep its address."
)
_MEANINGS = (
    _Meaning(
        frozenset({18, 8000}),
        StorageUnavailableError,
        "The user name or the password is wrong, or the user lives in another database: add ?authSource=admin to the "
        "URL, or what your administrator says.",
    ),
    _Meaning(
        frozenset({13}),
        StorageReadOnlyError,
        "Memori needs to read, to write, and to create collections and indexes: give this user the role readWrite.",
    ),
    _Meaning(
        frozenset({10107, 13435, 13436, 11602, 11600, 189, 91, 211}),
        StorageUnavailableError,
        "The server is not, or no longer, the primary; try again when one was elected.",
    ),
    _Meaning(
        frozenset({112, 24, 46, 225, 251, 50}),
        StorageLockedError,
        "Somebody else was writing the same for too long; try again.",
    ),
    _Meaning(frozenset({14031, 12501}), StorageError, "The server has no room left; free some and try again."),
    _Meaning(frozenset({10334, 17419, 17420, 17280}), StorageError, _TOO_LARGE),
    _Meaning(
        frozenset({20, 263}),
        StorageError,
        "This deployment has no transactions: open it with StorageOptions(extra={'transactions': False}), "
        "or let Memori find out.",
    ),
    _Meaning(
        frozenset({121}), StorageError, "A validator was set on one of Memori's collections; remove it with collMod."
    ),
)

NO_TRANSACTIONS = frozenset({20, 59, 115, 238, 263})
"""Codes of servers that greet like a replica set and refuse transactions."""


@contextmanager
def translated(display: str) -> Iterator[None]:
    """Raise errors of pymongo's as ours. `display` names the database, without a password."""
    try:
        yield
    except (PyMongoError, BSONError, UnicodeError) as error:
        raise translate(error, display) from error


def translate(error: Exception, display: str) -> StorageError:
    """The error of ours that one of pymongo's stands for. No document is in its text."""
    if isinstance(error, DocumentTooLarge):
        return StorageError(f"{display}: a document is too large. {_TOO_LARGE}")
    if isinstance(error, UnicodeError | InvalidStringData):
        return StorageError(f"{display}: a text holds a lone surrogate, which no database can store.")
    if isinstance(error, InvalidOperation) and "close" in str(error):
        return StorageUnavailableError(f"{display}: the MongoClient was closed. Make a new Memori with an open one.")
    if isinstance(error, WTimeoutError):
        return StorageUnavailableError(f"{display}: a majority of the servers did not confirm the write in time.")
    if isinstance(error, ServerSelectionTimeoutError):
        reason = str(error).partition(", Timeout:")[0].partition(" (configured timeouts")[0]
        return StorageUnavailableError(
            f"{display}: no server can be reached: {reason}. Check the host and the port, that the server runs, and "
            "that its replica set has a primary."
        )
    if isinstance(error, NotPrimaryError):
        return StorageUnavailableError(f"{display}: {_MEANINGS[2].advice}")
    if isinstance(error, ConnectionFailure | AutoReconnect):
        reason = str(error).partition(" (configured timeouts")[0]
        return StorageUnavailableError(f"{display}: {reason}. Check that the server runs and can be reached.")
    code, text = _said(error)
    if code == 13 and "requires authentication" in text:
        code = 18
    for meaning in _MEANINGS:
        if code in meaning.codes:
            return meaning.kind(f"{display}: {text}. {meaning.advice}")
    if isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError"):
        return StorageLockedError(f"{display}: {text}. Somebody else was writing the same for too long; try again.")
    return StorageError(f"{display}: {text}")


def _said(error: Exception) -> tuple[int | None, str]:
    """The code and what was said, without the command that was refused: it holds what people wrote."""
    code = error.code if isinstance(error, OperationFailure) else None
    text = str(error)
    if isinstance(error, BulkWriteError):
        (first, *_) = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())] or [{}]
        code, text = first.get("code"), str(first.get("errmsg", "a write failed"))
    text = text.partition(", full error:")[0].partition(" to execute command")[0].partition(" dup key:")[0]
    return code, text.splitlines()[0][:300].rstrip(".") if text else type(error).__name__
