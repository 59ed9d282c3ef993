"""Append messages once, however often an application resends them, and read them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...keys import derived_key, new_key
from ...model import Attribution, Conversation, Message, Receipt, StoredMessage
from ..alignment import already_stored, overlap
from ..records import Codec, StorageOptions, Turn
from ..values import (
    STORED_MESSAGE,
    digest,
    entity_key,
    from_micros,
    message_values,
    parsed,
    process_key,
    session_key,
    to_micros,
    to_stored_messages,
)
from .layout import CONVERSATION, ENTITY, JOB, MESSAGE, SESSION, Document
from .rows import Rows, Unit

_CANDIDATES = 20
_DIGESTS = 500


def append(unit: Unit, attribution: Attribution, turn: Turn, options: StorageOptions, codec: Codec) -> Receipt:
    """Store what is new of a turn, and a job for it."""
    digests = [digest(message, codec) for message in turn.messages]
    session = _find_session(unit, attribution, turn, digests, options)
    known = _already_stored(unit, session, turn, digests)
    fresh = [index for index in range(len(turn.messages)) if index not in known]
    if not fresh:
        return Receipt(session["external_id"], None, stored=0, repeated=len(known), job_id=None)
    conversation = _conversation(unit, session, turn, turn.messages[fresh[0]], options)
    first = session["message_count"]
    rows = add(unit, attribution, session, conversation, [turn.messages[index] for index in fresh], turn, codec)
    job_id = _enqueue(unit, attribution, session, first, first + len(rows) - 1, turn) if turn.augment else None
    public_id = conversation["external_id"] or conversation["_id"]
    return Receipt(session["external_id"], public_id, stored=len(rows), repeated=len(known), job_id=job_id)


def add(
    unit: Unit,
    attribution: Attribution,
    session: Document,
    conversation: Document,
    messages: list[Message],
    turn: Turn,
    codec: Codec,
) -> list[Document]:
    """Write messages at the end of a session and count them in it."""
    ensure_entity(unit, attribution, now=to_micros(turn.now))
    first = session["message_count"]
    rows = [
        {
            "_id": new_key(),
            "entity_id": session["entity_id"],
            "process_id": session["process_id"],
            "session_id": session["_id"],
            "session": session["external_id"],
            "conversation_id": conversation["_id"],
            "conversation": conversation["external_id"],
            "position": first + offset,
            **message_values(message, codec, now=turn.now),
        }
        for offset, message in enumerate(messages)
    ]
    for row in rows:
        unit.put(MESSAGE, row)
    last_said = max(row["said_at"] for row in rows)
    session |= {
        "message_count": first + len(rows),
        "version": session["version"] + 1,
        "last_at": last_said,
        "last_digest": rows[-1]["digest"],
    }
    unit.put(SESSION, session)
    unit.put(CONVERSATION, {**conversation, "last_at": last_said})
    return rows


def messages(
    rows: Rows,
    attribution: Attribution,
    codec: Codec,
    *,
    conversation_id: str | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[StoredMessage]:
    """Read messages of the session, or of the whole entity, oldest first."""
    where: dict[str, Any] = {"entity_id": entity_key(attribution), "archived": 0, **in_scope(attribution)}
    if conversation_id is not None:
        where["$or"] = [{"conversation_id": conversation_id}, {"conversation": conversation_id}]
    if before is not None:
        where["position"] = {"$lt": before}
    found = list(rows.find(MESSAGE, where, sort=_newest(attribution), limit=limit))
    return stored_messages(reversed(found), codec)


def payloads(
    rows: Rows, attribution: Attribution, codec: Codec, *, limit: int | None
) -> Sequence[Mapping[str, Any] | None]:
    """Read the native messages alone, oldest first."""
    where = {"entity_id": entity_key(attribution), "archived": 0, **in_scope(attribution)}
    found = list(rows.find(MESSAGE, where, sort=_newest(attribution), limit=limit, fields=("payload",)))
    return parsed(codec.decode(row["payload"]) if row["payload"] else "null" for row in reversed(found))


def _newest(attribution: Attribution) -> list[tuple[str, int]]:
    order = ("position",) if attribution.session_id is not None else ("said_at", "session_id", "position")
    return [(name, -1) for name in order]


def stored_messages(rows: Iterable[Document], codec: Codec) -> list[StoredMessage]:
    """The messages of documents, with the public ids of their conversations."""
    return to_stored_messages(([row[name] for name in _STORED] for row in rows), codec)


_STORED = ("_id", *STORED_MESSAGE[1:])


def conversations(rows: Rows, attribution: Attribution, codec: Codec, *, limit: int, offset: int) -> list[Conversation]:
    """Read conversations, newest first."""
    where = {"entity_id": entity_key(attribution), **in_scope(attribution)}
    page = list(rows.find(CONVERSATION, where, sort=[("last_at", -1), ("_id", -1)], limit=limit, skip=offset))
    counts = {
        row["_id"]: row["messages"]
        for row in rows.aggregate(
            MESSAGE,
            {"$match": {"conversation_id": {"$in": [row["_id"] for row in page]}}},
            {"$group": {"_id": "$conversation_id", "messages": {"$sum": 1}}},
        )
    }
    return [
        Conversation(
            id=row["external_id"] or row["_id"],
            session_id=row["session"],
            started_at=from_micros(row["started_at"]),
            last_at=from_micros(row["last_at"]),
            message_count=counts.get(row["_id"], 0),
            summary=codec.decode(row["summary"]) if row["summary"] else None,
        )
        for row in page
    ]


def ensure_entity(unit: Unit, attribution: Attribution, *, now: int) -> Document:
    """The entity's document, made if it is missing."""
    key = entity_key(attribution)
    found = unit.first(ENTITY, {"_id": key, "gone_at": {"$exists": False}})
    if found is None:
        found = {
            "_id": key,
            "namespace": attribution.namespace,
            "external_id": attribution.entity_id,
            "revision": 0,
            "generation": new_key(),
            "active_space": None,
            "created_at": now,
        }
        unit.put(ENTITY, found)
    return found


def in_scope(attribution: Attribution) -> Document:
    """Narrow a query to what the attribution names.

    A session belongs to its process, so naming one means that of the attribution's process, or the process-less one.
    """
    if attribution.session_id is not None:
        return {"session_id": session_key(attribution, attribution.session_id)}
    if attribution.process_id is not None:
        return {"process_id": process_key(attribution)}
    return {}


def named_session(
    unit: Unit, attribution: Attribution, external_id: str, *, now: int, implicit: bool = False
) -> Document:
    """The session of that id, or a new one, which is written with its first message."""
    key, entity = session_key(attribution, external_id), entity_key(attribution)
    return unit.first(SESSION, {"_id": key, "entity_id": entity}) or {
        "_id": key,
        "entity_id": entity,
        "process_id": process_key(attribution),
        "external_id": external_id,
        "implicit": int(implicit),
        "message_count": 0,
        "version": 0,
        "created_at": now,
        "last_at": now,
        "last_digest": None,
    }


def open_conversation(unit: Unit, session: Document, said_at: int, options: StorageOptions) -> Document:
    """The session's conversation if it goes on at that time, or a new one."""
    where = {"session_id": session["_id"], "entity_id": session["entity_id"]}
    latest = unit.first(CONVERSATION, where, sort=[("last_at", -1), ("_id", -1)])
    if latest is not None and said_at - latest["last_at"] <= options.conversation_gap * 1e6:
        return latest
    return _new_conversation(session, new_key(), None, said_at)


def _find_session(
    unit: Unit, attribution: Attribution, turn: Turn, digests: list[str], options: StorageOptions
) -> Document:
    now = to_micros(turn.now)
    if attribution.session_id is not None:
        return named_session(unit, attribution, attribution.session_id, now=now)
    found = _continued_session(unit, attribution, turn, digests)
    if found is None and turn.join_recent:
        since = said_at(turn.messages[0], turn) - int(options.conversation_gap * 1e6)
        where = {**_of_process(attribution), "implicit": 1, "last_at": {"$gte": since}}
        found = unit.first(SESSION, where, sort=_LATEST)
    return found or named_session(unit, attribution, new_key(), now=now, implicit=True)


_LATEST = [("last_at", -1), ("_id", -1)]


def _of_process(attribution: Attribution) -> Document:
    return {"entity_id": entity_key(attribution), "process_id": process_key(attribution)}


def _continued_session(unit: Unit, attribution: Attribution, turn: Turn, digests: list[str]) -> Document | None:
    """The session whose end the resent messages repeat at greatest length: its last message must be among them."""
    resent = sorted(set(digests[: turn.resent]))[:_DIGESTS]
    if not resent:
        return None
    where = {**_of_process(attribution), "last_digest": {"$in": resent}}
    best: tuple[int, Document] | None = None
    for candidate in list(unit.find(SESSION, where, sort=_LATEST, limit=_CANDIDATES)):
        length = _overlap(unit, candidate, turn, digests)
        if length and (best is None or length > best[0]):
            best = length, candidate
    return best[1] if best else None


def _overlap(unit: Unit, session: Document, turn: Turn, digests: list[str]) -> int:
    where = {"session_id": session["_id"], "entity_id": session["entity_id"]}
    fields = ("digest", "native_id")
    tail = list(unit.find(MESSAGE, where, sort=[("position", -1)], limit=turn.resent, fields=fields))[::-1]
    sent = [(digest, message.id) for digest, message in zip(digests, turn.messages, strict=True)]
    return overlap([(row["digest"], row["native_id"]) for row in tail], sent[: turn.resent])


def _already_stored(unit: Unit, session: Document, turn: Turn, digests: list[str]) -> set[int]:
    if not session["message_count"]:
        return already_stored(turn.messages, 0, lambda _: ())

    def stored_among(ids: list[str]) -> list[str]:
        where = {"session_id": session["_id"], "entity_id": session["entity_id"], "native_id": {"$in": ids}}
        return [row["native_id"] for row in unit.find(MESSAGE, where, fields=("native_id",))]

    return already_stored(turn.messages, _overlap(unit, session, turn, digests), stored_among)


def _conversation(unit: Unit, session: Document, turn: Turn, first: Message, options: StorageOptions) -> Document:
    """The conversation to append to: the named one, the open one, or a new one."""
    if turn.conversation_id is None:
        return open_conversation(unit, session, said_at(first, turn), options)
    key = derived_key("conversation", session["_id"], turn.conversation_id)
    found = unit.first(CONVERSATION, {"_id": key, "entity_id": session["entity_id"]})
    return found or _new_conversation(session, key, turn.conversation_id, said_at(first, turn))


def _new_conversation(session: Document, key: str, external_id: str | None, at: int) -> Document:
    return {
        "_id": key,
        "entity_id": session["entity_id"],
        "process_id": session["process_id"],
        "session_id": session["_id"],
        "session": session["external_id"],
        "external_id": external_id,
        "summary": None,
        "started_at": at,
        "last_at": at,
    }


def said_at(message: Message, turn: Turn) -> int:
    """When a message was said, in microseconds."""
    return to_micros(message.created_at or turn.now)


def _enqueue(unit: Unit, attribution: Attribution, session: Document, first: int, last: int, turn: Turn) -> str:
    now, key = to_micros(turn.now), new_key()
    unit.put(
        JOB,
        {
            "_id": key,
            "entity_id": session["entity_id"],
            "process_id": session["process_id"],
            "session_id": session["_id"],
            "namespace": attribution.namespace,
            "entity": attribution.entity_id,
            "process": attribution.process_id,
            "session": session["external_id"],
            "first_position": first,
            "last_position": last,
            "state": "pending",
            "attempts": 0,
            "lease_token": None,  # nosec B105 - no lease yet
            "lease_until": None,
            "next_attempt_at": 0,  # at once, also for a worker whose clock is behind
            "last_error": None,
            "created_at": now,
            "finished_at": None,
        },
    )
    return key
