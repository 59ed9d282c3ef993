"""Find the session that a turn belongs to, or make it, and lock it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.engine import RowMapping

from ...keys import new_key
from ...model import Attribution, Message
from ..alignment import overlap
from ..records import StorageOptions, Turn
from ..values import entity_key, process_key, session_key, to_micros
from . import schema as t
from .dialects import insert_missing
from .failures import RowVanishedError

_CANDIDATES = 20


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


def find_session(
    connection: Connection, attribution: Attribution, turn: Turn, digests: list[str], options: StorageOptions
) -> dict[str, Any]:
    """The session a turn goes to, locked: the named one, the one it continues, the last one, or a new one."""
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
                .where(t.session.c.last_at >= said_at(turn.messages[0], turn) - int(options.conversation_gap * 1e6))
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
        length = stored_overlap(connection, candidate["id"], turn, digests)
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
        raise RowVanishedError(f"Session {external_id!r} was erased while it was being made; try again.")
    return made


def _lock_session(connection: Connection, key: str) -> dict[str, Any] | None:
    # Its key does not change, so rows that refer to it may be written meanwhile (FOR NO KEY UPDATE on PostgreSQL).
    query = select(t.session).where(t.session.c.id == key).with_for_update(key_share=True)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def stored_overlap(connection: Connection, session: str, turn: Turn, digests: list[str]) -> int:
    """Length of the longest suffix of the session's messages that is a prefix of the resent ones."""
    tail = connection.execute(
        select(t.message.c.digest, t.message.c.native_id)
        .where(t.message.c.session_id == session)
        .order_by(t.message.c.position.desc())
        .limit(turn.resent)
    ).all()[::-1]
    sent = [(digest, message.id) for digest, message in zip(digests, turn.messages, strict=True)]
    return overlap([(row.digest, row.native_id) for row in tail], sent[: turn.resent])


def said_at(message: Message, turn: Turn) -> int:
    """When it was said, else when the turn came."""
    return to_micros(message.created_at or turn.now)
