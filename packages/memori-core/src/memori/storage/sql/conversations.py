"""Append messages once, however often an application resends them, and read them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select, type_coerce, update

from ...keys import derived_key, new_key
from ...model import Attribution, Conversation, Message, Receipt, StoredMessage
from ..alignment import already_stored
from ..records import Codec, StorageOptions, Turn
from ..values import (
    STORED_MESSAGE,
    digest,
    entity_key,
    from_micros,
    message_values,
    parsed,
    to_micros,
    to_stored_messages,
)
from . import direct
from . import schema as t
from .dialects import insert_missing
from .sessions import find_session, in_scope, said_at, stored_overlap

# Made once: making a statement takes as long as running it.
_NEW_MESSAGE, _NEW_JOB = t.message.insert(), t.job.insert()
_MOVE_SESSION = update(t.session).where(t.session.c.id == bindparam("key"))
_MOVE_CONVERSATION = update(t.conversation).where(t.conversation.c.id == bindparam("key"))
_NATIVE_IDS = select(t.message.c.native_id).where(
    t.message.c.session_id == bindparam("session_key"), t.message.c.native_id.in_(bindparam("ids", expanding=True))
)
_LATEST = (
    select(t.conversation.c.id, t.conversation.c.external_id, t.conversation.c.last_at)
    .where(t.conversation.c.session_id == bindparam("session_key"))
    .order_by(t.conversation.c.last_at.desc(), t.conversation.c.id.desc())
    .limit(1)
)


def append(
    connection: Connection, attribution: Attribution, turn: Turn, options: StorageOptions, codec: Codec
) -> Receipt:
    """Store what is new of a turn, and a job for it. Runs inside the caller's write transaction."""
    digests = [digest(message, codec) for message in turn.messages]
    session = find_session(connection, attribution, turn, digests, options)
    known = _already_stored(connection, session, turn, digests)
    fresh = [index for index in range(len(turn.messages)) if index not in known]
    if not fresh:
        return Receipt(session["external_id"], None, stored=0, repeated=len(known), job_id=None)

    conversation_id, public_id = _conversation(connection, session, turn, turn.messages[fresh[0]], options)
    first = session["message_count"]
    rows = [
        {
            "id": new_key(),
            "entity_id": session["entity_id"],
            "session_id": session["id"],
            "conversation_id": conversation_id,
            "position": first + offset,
            **message_values(turn.messages[index], codec, now=turn.now),
        }
        for offset, index in enumerate(fresh)
    ]
    direct.write(connection, _NEW_MESSAGE, rows)
    last_said = max(row["said_at"] for row in rows)
    moved = {
        "key": session["id"],
        "message_count": first + len(rows),
        "version": session["version"] + 1,
        "last_at": last_said,
        "last_digest": rows[-1]["digest"],
    }
    direct.write(connection, _MOVE_SESSION, [moved])
    direct.write(connection, _MOVE_CONVERSATION, [{"key": conversation_id, "last_at": last_said}])
    job_id = _enqueue(connection, session, first, first + len(rows) - 1, turn) if turn.augment else None
    return Receipt(session["external_id"], public_id, stored=len(rows), repeated=len(known), job_id=job_id)


def messages(
    connection: Connection,
    attribution: Attribution,
    codec: Codec,
    *,
    conversation_id: str | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[StoredMessage]:
    """Read messages of the session, or of the whole entity, oldest first."""
    m, s, c = t.message, t.session, t.conversation
    query = _active(attribution, stored_columns(s.c.external_id, c.c.external_id), limit)
    query = query.join(c, c.c.id == m.c.conversation_id)
    if conversation_id is not None:
        query = query.where(m.c.conversation_id.in_(_conversations_named(connection, attribution, conversation_id)))
    if before is not None:
        query = query.where(m.c.position < before)
    return to_stored_messages(reversed(connection.execute(query).all()), codec)


def payloads(
    connection: Connection, attribution: Attribution, codec: Codec, *, limit: int | None
) -> Sequence[Mapping[str, Any] | None]:
    """Read the native messages alone, oldest first."""
    stored = connection.execute(_active(attribution, [t.message.c.payload], limit)).scalars().all()
    return parsed(codec.decode(one) if one else "null" for one in reversed(stored))


def _active(attribution: Attribution, columns: Sequence[ColumnElement[Any]], limit: int | None) -> Select[Any]:
    """Newest first."""
    m = t.message
    order = (m.c.position,) if attribution.session_id is not None else (m.c.said_at, m.c.session_id, m.c.position)
    return (
        select(*columns)
        .join_from(m, t.session, t.session.c.id == m.c.session_id)
        .where(m.c.entity_id == entity_key(attribution), m.c.archived == 0)
        .where(*in_scope(attribution))
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )


def stored_columns(session: ColumnElement[str], conversation: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """What a stored message is read from; the ids of its session and conversation come from elsewhere."""
    known = {
        "session": session.label("session"),
        "conversation": conversation.label("conversation"),
        # An empty text may come as NULL, which is read as such without a look at every value here.
        "content": type_coerce(t.message.c.content, t.LONG_TEXT).label("content"),
    }
    return [known[name] if name in known else t.message.c[name] for name in STORED_MESSAGE]


def conversations(
    connection: Connection, attribution: Attribution, codec: Codec, *, limit: int, offset: int
) -> list[Conversation]:
    """Read conversations, newest first."""
    c, s, m = t.conversation, t.session, t.message
    count = select(func.count()).where(m.c.conversation_id == c.c.id).scalar_subquery()
    query = (
        select(c, s.c.external_id.label("session"), count.label("message_count"))
        .join(s, s.c.id == c.c.session_id)
        .where(c.c.entity_id == entity_key(attribution))
        .where(*in_scope(attribution))
        .order_by(c.c.last_at.desc(), c.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [
        Conversation(
            id=row["external_id"] or row["id"],
            session_id=row["session"],
            started_at=from_micros(row["started_at"]),
            last_at=from_micros(row["last_at"]),
            message_count=row["message_count"],
            summary=codec.decode(row["summary"]) if row["summary"] else None,
        )
        for row in connection.execute(query).mappings()
    ]


def _conversations_named(connection: Connection, attribution: Attribution, name: str) -> list[str]:
    """Row ids of the entity's conversations of that public id, compared here: some databases fold names."""
    c = t.conversation
    query = select(c.c.id, c.c.external_id).where(
        c.c.entity_id == entity_key(attribution), or_(c.c.id == name, c.c.external_id == name)
    )
    return [row.id for row in connection.execute(query) if name in (row.id, row.external_id)]


def _already_stored(connection: Connection, session: dict[str, Any], turn: Turn, digests: list[str]) -> set[int]:
    def stored_among(ids: list[str]) -> list[str]:
        batches = (ids[start : start + 500] for start in range(0, len(ids), 500))
        return [
            native_id
            for batch in batches
            for native_id in connection.execute(_NATIVE_IDS, {"session_key": session["id"], "ids": batch}).scalars()
        ]

    overlapping = stored_overlap(connection, session["id"], turn, digests) if session["message_count"] else 0
    return already_stored(turn.messages, overlapping, stored_among)


def _conversation(
    connection: Connection, session: dict[str, Any], turn: Turn, first: Message, options: StorageOptions
) -> tuple[str, str]:
    """The conversation to append to, as (row id, public id): the named one, the open one, or a new one."""
    moment = said_at(first, turn)
    row = {
        "id": new_key(),
        "entity_id": session["entity_id"],
        "session_id": session["id"],
        "external_id": turn.conversation_id,
        "started_at": moment,
        "last_at": moment,
    }
    if turn.conversation_id is not None:
        row["id"] = derived_key("conversation", session["id"], turn.conversation_id)
        insert_missing(connection, t.conversation, [row])
        return row["id"], turn.conversation_id
    for key, external_id, last_at in direct.rows(connection, _LATEST, {"session_key": session["id"]}):
        if moment - last_at <= options.conversation_gap * 1e6:
            return key, external_id or key
    connection.execute(t.conversation.insert(), row)
    return row["id"], row["id"]


def _enqueue(connection: Connection, session: dict[str, Any], first: int, last: int, turn: Turn) -> str:
    now = to_micros(turn.now)
    key = new_key()
    job = {
        "id": key,
        "entity_id": session["entity_id"],
        "session_id": session["id"],
        "first_position": first,
        "last_position": last,
        "state": "pending",
        "attempts": 0,
        "next_attempt_at": 0,  # at once, also for a worker whose clock is behind
        "created_at": now,
    }
    direct.write(connection, _NEW_JOB, [job])
    return key
