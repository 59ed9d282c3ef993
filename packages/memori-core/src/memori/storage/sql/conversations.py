"""Append messages once, however often an application resends them, and read them back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.engine import RowMapping

from ...errors import StorageLockedError
from ...keys import derived_key, new_key
from ...model import Attribution, Conversation, Message, Receipt, StoredMessage
from ..alignment import already_stored, overlap
from ..base import Codec, StorageOptions, Turn
from . import schema as t
from .dialects import insert_missing
from .values import (
    digest,
    entity_key,
    from_micros,
    message_values,
    process_key,
    session_key,
    to_micros,
    to_stored_message,
)

_CANDIDATES = 20


def append(
    connection: Connection, attribution: Attribution, turn: Turn, options: StorageOptions, codec: Codec
) -> Receipt:
    """Store what is new of a turn, and a job for it. Runs inside the caller's write transaction."""
    digests = [digest(message, codec) for message in turn.messages]
    session = _find_session(connection, attribution, turn, digests, options)
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
    connection.execute(t.message.insert(), rows)
    last_said = max(row["said_at"] for row in rows)
    connection.execute(
        update(t.session)
        .where(t.session.c.id == session["id"])
        .values(
            message_count=first + len(rows),
            version=session["version"] + 1,
            last_at=last_said,
            last_digest=rows[-1]["digest"],
        )
    )
    connection.execute(update(t.conversation).where(t.conversation.c.id == conversation_id).values(last_at=last_said))
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
    query = (
        select(m, s.c.external_id.label("session"), c.c.external_id.label("conversation"))
        .join(s, s.c.id == m.c.session_id)
        .join(c, c.c.id == m.c.conversation_id)
        .where(m.c.entity_id == entity_key(attribution), m.c.archived == 0)
        .where(*in_scope(attribution))
    )
    if conversation_id is not None:
        query = query.where(m.c.conversation_id.in_(_conversations_named(connection, attribution, conversation_id)))
    if before is not None:
        query = query.where(m.c.position < before)
    order = (m.c.position,) if attribution.session_id is not None else (m.c.said_at, m.c.session_id, m.c.position)
    query = query.order_by(*(column.desc() for column in order))
    if limit is not None:
        query = query.limit(limit)
    rows = connection.execute(query).mappings().all()
    return [
        to_stored_message({**row, "conversation_id": row["conversation"] or row["conversation_id"]}, codec)
        for row in reversed(rows)
    ]


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


def ensure_entity(connection: Connection, attribution: Attribution, *, now: int) -> None:
    """Make sure the rows of the entity and the process exist."""
    insert_missing(
        connection,
        t.entity,
        [
            {
                "id": entity_key(attribution),
                "namespace": attribution.namespace,
                "external_id": attribution.entity_id,
                "revision": 0,
                "generation": new_key(),
                "created_at": now,
            }
        ],
    )
    if attribution.process_id is not None:
        insert_missing(
            connection,
            t.process,
            [
                {
                    "id": process_key(attribution),
                    "namespace": attribution.namespace,
                    "external_id": attribution.process_id,
                    "created_at": now,
                }
            ],
        )


def in_scope(attribution: Attribution) -> list[ColumnElement[bool]]:
    """Narrow a query that joins the session to what the attribution names.

    A session belongs to its process, so naming one means that of the attribution's process, or the process-less one.
    """
    if attribution.session_id is not None:
        return [t.session.c.id == session_key(attribution, attribution.session_id)]
    if attribution.process_id is not None:
        return [t.session.c.process_id == process_key(attribution)]
    return []


def _find_session(
    connection: Connection, attribution: Attribution, turn: Turn, digests: list[str], options: StorageOptions
) -> dict[str, Any]:
    if attribution.session_id is not None:
        return named_session(connection, attribution, turn, attribution.session_id)
    # The entity's lock orders turns that would each find no session and begin one.
    lock = select(t.entity.c.id).where(t.entity.c.id == entity_key(attribution)).with_for_update(key_share=True)
    if connection.execute(lock).first() is None:
        ensure_entity(connection, attribution, now=to_micros(turn.now))
        connection.execute(lock)
    found = _continued_session(connection, attribution, turn, digests)
    if found is None and turn.join_recent:
        found = (
            connection.execute(
                _sessions(attribution)
                .where(t.session.c.implicit == 1)
                .where(t.session.c.last_at >= _said_at(turn.messages[0], turn) - int(options.conversation_gap * 1e6))
                .limit(1)
            )
            .mappings()
            .first()
        )
    if found is None:
        return named_session(connection, attribution, turn, new_key(), implicit=True)
    return named_session(connection, attribution, turn, found["external_id"], implicit=bool(found["implicit"]))


def _sessions(attribution: Attribution) -> Any:
    process = process_key(attribution)
    return (
        select(t.session)
        .where(t.session.c.entity_id == entity_key(attribution))
        .where(t.session.c.process_id.is_(None) if process is None else t.session.c.process_id == process)
        .order_by(t.session.c.last_at.desc(), t.session.c.id.desc())
    )


def _continued_session(
    connection: Connection, attribution: Attribution, turn: Turn, digests: list[str]
) -> RowMapping | None:
    """The session whose end the resent messages repeat at greatest length: its last message must be among them."""
    resent = sorted(set(digests[: turn.resent]))[:500]
    if not resent:
        return None
    candidates = connection.execute(
        _sessions(attribution).where(t.session.c.last_digest.in_(resent)).limit(_CANDIDATES)
    ).mappings()
    best: tuple[int, RowMapping] | None = None
    for candidate in candidates.all():
        length = _overlap(connection, candidate["id"], turn, digests)
        if length and (best is None or length > best[0]):
            best = length, candidate
    return best[1] if best else None


def named_session(
    connection: Connection, attribution: Attribution, turn: Turn, external_id: str, *, implicit: bool = False
) -> dict[str, Any]:
    """The session of that id, made if it is missing, under its row lock."""
    key = session_key(attribution, external_id)
    if (found := _lock_session(connection, key)) is not None:
        return found
    now = to_micros(turn.now)
    ensure_entity(connection, attribution, now=now)
    row = {
        "id": key,
        "entity_id": entity_key(attribution),
        "process_id": process_key(attribution),
        "external_id": external_id,
        "implicit": int(implicit),
        "message_count": 0,
        "version": 0,
        "created_at": now,
        "last_at": now,
    }
    insert_missing(connection, t.session, [row])
    made = _lock_session(connection, key)
    if made is None:
        raise StorageLockedError(f"Session {external_id!r} was erased while it was being made; try again.")
    return made


def _lock_session(connection: Connection, key: str) -> dict[str, Any] | None:
    # Its key does not change, so rows that refer to it may be written meanwhile (FOR NO KEY UPDATE on PostgreSQL).
    query = select(t.session).where(t.session.c.id == key).with_for_update(key_share=True)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _overlap(connection: Connection, session: str, turn: Turn, digests: list[str]) -> int:
    """Length of the longest suffix of the session's messages that is a prefix of the resent ones."""
    tail = connection.execute(
        select(t.message.c.digest, t.message.c.native_id)
        .where(t.message.c.session_id == session)
        .order_by(t.message.c.position.desc())
        .limit(turn.resent)
    ).all()[::-1]
    sent = [(digest, message.id) for digest, message in zip(digests, turn.messages, strict=True)]
    return overlap([(row.digest, row.native_id) for row in tail], sent[: turn.resent])


def _already_stored(connection: Connection, session: dict[str, Any], turn: Turn, digests: list[str]) -> set[int]:
    def stored_among(ids: list[str]) -> list[str]:
        m = t.message
        return [
            native_id
            for start in range(0, len(ids), 500)
            for native_id in connection.execute(
                select(m.c.native_id)
                .where(m.c.session_id == session["id"])
                .where(m.c.native_id.in_(ids[start : start + 500]))
            ).scalars()
        ]

    overlapping = _overlap(connection, session["id"], turn, digests) if session["message_count"] else 0
    return already_stored(turn.messages, overlapping, stored_among)


def _conversation(
    connection: Connection, session: dict[str, Any], turn: Turn, first: Message, options: StorageOptions
) -> tuple[str, str]:
    """The conversation to append to, as (row id, public id): the named one, the open one, or a new one."""
    said_at = _said_at(first, turn)
    row = {
        "id": new_key(),
        "entity_id": session["entity_id"],
        "session_id": session["id"],
        "external_id": turn.conversation_id,
        "started_at": said_at,
        "last_at": said_at,
    }
    if turn.conversation_id is not None:
        row["id"] = derived_key("conversation", session["id"], turn.conversation_id)
        insert_missing(connection, t.conversation, [row])
        return row["id"], turn.conversation_id
    latest = (
        connection.execute(
            select(t.conversation)
            .where(t.conversation.c.session_id == session["id"])
            .order_by(t.conversation.c.last_at.desc(), t.conversation.c.id.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    if latest is not None and said_at - latest["last_at"] <= options.conversation_gap * 1e6:
        return latest["id"], latest["external_id"] or latest["id"]
    connection.execute(t.conversation.insert(), row)
    return row["id"], row["id"]


def _said_at(message: Message, turn: Turn) -> int:
    return to_micros(message.created_at or turn.now)


def _enqueue(connection: Connection, session: dict[str, Any], first: int, last: int, turn: Turn) -> str:
    now = to_micros(turn.now)
    key = new_key()
    connection.execute(
        t.job.insert(),
        {
            "id": key,
            "entity_id": session["entity_id"],
            "session_id": session["id"],
            "first_position": first,
            "last_position": last,
            "state": "pending",
            "attempts": 0,
            "next_attempt_at": now,
            "created_at": now,
        },
    )
    return key
