"""Find the session that a turn belongs to, or make it, and lock it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, select

from ...keys import new_key
from ...model import Attribution, Message
from ..alignment import overlap
from ..records import StorageOptions, Turn
from ..values import entity_key, process_key, session_key, to_micros
from . import schema as t
from .dialects import insert_missing
from .direct import records, rows
from .failures import RowVanishedError
from .planning import among, bound

_CANDIDATES = 20

# Made once: making a statement takes as long as running it. A row's key does not change, so rows that refer to it may
# be written while it is locked (FOR NO KEY UPDATE on PostgreSQL).
_LOCK_ENTITY = select(t.entity.c.id).where(t.entity.c.id == bindparam("entity")).with_for_update(key_share=True)
_LOCK_SESSION = select(t.session).where(t.session.c.id == bindparam("session_key")).with_for_update(key_share=True)
_TAIL = (
    select(t.message.c.digest, t.message.c.native_id)
    .where(t.message.c.session_id == bindparam("session_key"))
    .order_by(t.message.c.position.desc())
    .limit(bindparam("resent", type_=Integer))
)


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
    entity = {"entity": entity_key(attribution)}
    if not rows(connection, _LOCK_ENTITY, entity):
        ensure_entity(connection, attribution, now=to_micros(turn.now))
        connection.execute(_LOCK_ENTITY, entity)
    found = _continued_session(connection, attribution, turn, digests)
    if found is None and turn.join_recent:
        since = said_at(turn.messages[0], turn) - int(options.conversation_gap * 1e6)
        recent = records(connection, _recent(attribution.process_id is None), {**_owner(attribution), "since": since})
        found = next(iter(recent), None)
    if found is None:
        return named_session(connection, attribution, turn, new_key(), implicit=True)
    return named_session(connection, attribution, turn, found["external_id"], implicit=bool(found["implicit"]))


def _owner(attribution: Attribution) -> dict[str, str | None]:
    return {"entity": entity_key(attribution), "process": process_key(attribution)}


@cache
def _sessions(alone: bool) -> Select[Any]:
    """Sessions of an entity and a process, or `alone` those without one, the last first."""
    s = t.session
    return (
        select(s)
        .where(s.c.entity_id == bindparam("entity"))
        .where(s.c.process_id.is_(None) if alone else s.c.process_id == bindparam("process"))
        .order_by(s.c.last_at.desc(), s.c.id.desc())
    )


@cache
def _recent(alone: bool) -> Select[Any]:
    return _sessions(alone).where(t.session.c.implicit == 1, t.session.c.last_at >= bindparam("since")).limit(1)


@cache
def _ending_with(alone: bool, dialect: str) -> Select[Any]:
    return _sessions(alone).where(among(dialect, t.session.c.last_digest)).limit(_CANDIDATES)


def _continued_session(
    connection: Connection, attribution: Attribution, turn: Turn, digests: list[str]
) -> dict[str, Any] | None:
    """The session whose end the resent messages repeat at greatest length: its last message must be among them."""
    resent = sorted(set(digests[: turn.resent]))[:500]
    if not resent:
        return None
    dialect = connection.dialect.name
    given = {**_owner(attribution), "among": bound(dialect, resent)}
    best: tuple[int, dict[str, Any]] | None = None
    for candidate in records(connection, _ending_with(attribution.process_id is None, dialect), given):
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
    return next(iter(records(connection, _LOCK_SESSION, {"session_key": key})), None)


def stored_overlap(connection: Connection, session: str, turn: Turn, digests: list[str]) -> int:
    """Length of the longest suffix of the session's messages that is a prefix of the resent ones."""
    if not turn.resent:
        return 0
    tail = rows(connection, _TAIL, {"session_key": session, "resent": turn.resent})[::-1]
    sent = [(digest, message.id) for digest, message in zip(digests, turn.messages, strict=True)]
    return overlap([(held, native_id) for held, native_id in tail], sent[: turn.resent])


def said_at(message: Message, turn: Turn) -> int:
    """When it was said, else when the turn came."""
    return to_micros(message.created_at or turn.now)
