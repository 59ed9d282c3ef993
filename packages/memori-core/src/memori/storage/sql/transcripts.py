"""Transcripts: the history of one named session, as the application edits it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, literal, null, select, update

from ...errors import MissingAttributionError, VersionConflictError
from ...model import Attribution, Message, Transcript
from ..alignment import common_prefix
from ..records import Codec, StorageOptions, Turn
from ..values import entity_key, session_key, to_stored_messages
from . import schema as t
from .conversations import append, stored_columns
from .sessions import named_session

_BATCH = 500


def read(connection: Connection, attribution: Attribution, codec: Codec, *, archived: bool | None) -> Transcript:
    """The session's version and messages."""
    key = _key(attribution)
    version = connection.execute(select(t.session.c.version).where(t.session.c.id == key)).scalar() or 0
    m = t.message
    columns = stored_columns(literal(attribution.session_id), null())
    query = (
        select(*columns).where(m.c.session_id == key, m.c.entity_id == entity_key(attribution)).order_by(m.c.position)
    )
    if archived is not None:
        query = query.where(m.c.archived == int(archived))
    found = connection.execute(query.order_by(m.c.position))
    return Transcript(version, tuple(to_stored_messages(found, codec)))


def replace(
    connection: Connection,
    attribution: Attribution,
    messages: Sequence[Message],
    codec: Codec,
    options: StorageOptions,
    *,
    expected: int | None,
    now: datetime,
) -> None:
    """Make the session's active messages exactly these; the longest common prefix keeps its rows."""
    session = _locked(connection, attribution, now=now)
    if expected is not None and session["version"] != expected:
        raise VersionConflictError(
            f"Session {attribution.session_id!r} is at version {session['version']}, not {expected}: "
            "somebody else wrote to it. Read it again, and retry."
        )
    m = t.message
    stored = (
        connection.execute(
            select(m.c.id, m.c.digest, m.c.native_id, m.c.payload)
            .where(m.c.session_id == session["id"], m.c.archived == 0)
            .order_by(m.c.position)
        )
        .mappings()
        .all()
    )
    kept = common_prefix(stored, messages, codec)
    _delete(connection, session, [row["id"] for row in stored[kept:]])
    if messages[kept:]:
        rest = Turn(tuple(messages[kept:]), resent=0, now=now, augment=False)
        append(connection, attribution, rest, options, codec)


def delete(connection: Connection, attribution: Attribution, keys: Collection[str], *, now: datetime) -> int:
    """Delete messages of the session."""
    session = _locked(connection, attribution, now=now)
    return _delete(connection, session, sorted(keys))


def archive(
    connection: Connection, attribution: Attribution, keys: Collection[str], *, archived: bool, now: datetime
) -> int:
    """Mark messages of the session."""
    session = _locked(connection, attribution, now=now)
    wanted = sorted(keys)
    changed = 0
    for start in range(0, len(wanted), _BATCH):
        changed += connection.execute(
            update(t.message)
            .where(t.message.c.session_id == session["id"], t.message.c.id.in_(wanted[start : start + _BATCH]))
            .where(t.message.c.archived == int(not archived))
            .values(archived=int(archived))
        ).rowcount
    _written(connection, session)
    return changed


def _key(attribution: Attribution) -> str:
    if attribution.session_id is None:
        raise MissingAttributionError("A transcript belongs to a session: pass Attribution(..., session_id=...).")
    return session_key(attribution, attribution.session_id)


def _locked(connection: Connection, attribution: Attribution, *, now: datetime) -> dict[str, Any]:
    _key(attribution)
    return named_session(connection, attribution, Turn((), 0, now), str(attribution.session_id))


def _delete(connection: Connection, session: dict[str, Any], keys: Sequence[str]) -> int:
    m = t.message
    gone = 0
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        gone += connection.execute(m.delete().where(m.c.session_id == session["id"], m.c.id.in_(batch))).rowcount
    _written(connection, session)
    return gone


def _written(connection: Connection, session: dict[str, Any]) -> None:
    """Raise the version and remember what is last. The message counter never goes back: a position is used once."""
    m = t.message
    last = connection.execute(
        select(m.c.digest).where(m.c.session_id == session["id"]).order_by(m.c.position.desc()).limit(1)
    ).scalar()
    connection.execute(
        update(t.session)
        .where(t.session.c.id == session["id"])
        .values(version=t.session.c.version + 1, last_digest=last)
    )
