"""Turn rows into values and values into rows, for any database that keeps them as names and values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ..keys import derived_key
from ..model import Attribution, Fact, Message, ProcessAttribute, QueuedJob, StoredMessage, ToolCall
from .records import Codec, Job

Row = Mapping[Any, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def entity_key(attribution: Attribution) -> str:
    """The entity's row id, known without asking the database."""
    return derived_key("entity", attribution.namespace, attribution.entity_id)


def process_key(attribution: Attribution) -> str | None:
    """The process's row id, or None when there is no process."""
    if attribution.process_id is None:
        return None
    return derived_key("process", attribution.namespace, attribution.process_id)


def session_key(attribution: Attribution, session_id: str) -> str:
    """A session's row id: unique within (namespace, entity, process)."""
    return derived_key("session", attribution.namespace, attribution.entity_id, attribution.process_id, session_id)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970. A naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware time, in UTC; the nearest that there is for one which only another time zone has."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if micros < 0 else datetime.max.replace(tzinfo=UTC)


def optional_time(micros: int | None) -> datetime | None:
    """The aware time, or None."""
    return None if micros is None else from_micros(micros)


def optional_micros(moment: datetime | None) -> int | None:
    """Microseconds since 1970, or None."""
    return None if moment is None else to_micros(moment)


def digest(message: Message, codec: Codec) -> str:
    """What tells a message without a native id from another: role, exact content and tool ids."""
    return codec.fingerprint(json.dumps(message.identity))


def message_values(message: Message, codec: Codec, *, now: datetime) -> dict[str, Any]:
    """The columns of a message that do not depend on its place."""
    tools = None
    if message.tool_calls or message.tool_call_id is not None:
        calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
        tools = codec.encode(json.dumps({"calls": calls, "answers": message.tool_call_id}))
    payload = None if message.payload is None else codec.encode(json.dumps(message.payload))
    return {
        "role": message.role,
        "name": None if message.name is None else codec.encode(message.name),
        "content": codec.encode(message.content),
        "native_id": message.id,
        "digest": digest(message, codec),
        "tools": tools,
        "payload": payload,
        "source": message.source_class,
        "partial": int(message.partial),
        "archived": 0,
        "said_at": to_micros(message.created_at or now),
        "created_at": to_micros(now),
    }


def parsed(texts: Iterable[str]) -> list[Any]:
    """The values of JSON texts. Joined, they are parsed twice as fast as one by one."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]")
    return values


STORED_MESSAGE = (
    *("id", "session", "conversation", "conversation_id", "position", "archived", "role", "name", "content"),
    *("native_id", "tools", "payload", "source", "partial", "said_at"),
)
"""What a stored message is read from, in this order. `session` and `conversation` are the ids an application uses."""


def to_stored_messages(rows: Iterable[Sequence[Any]], codec: Codec) -> list[StoredMessage]:
    """The messages of rows that hold what `STORED_MESSAGE` names.

    A history is read whole and often, so rows are plain sequences, and their native messages are parsed in one go.
    """
    rows, decode = list(rows), codec.decode
    native = iter(parsed(decode(row[_PAYLOAD]) for row in rows if row[_PAYLOAD]))
    found = []
    for row in rows:
        key, session, named, own, at, archived, role, name, text, native_id, tools, payload, source, partial, said = row
        calls, answers = _tools(decode(tools)) if tools else _NO_TOOLS
        speaker = decode(name) if name else None
        data = next(native) if payload else None
        # In the order of their fields: by name they take half as long again to make.
        message = Message(
            role, decode(text or ""), speaker, from_micros(said), native_id, calls, answers, source, data, bool(partial)
        )
        found.append(StoredMessage(key, message, session, named or own, at, bool(archived)))
    return found


_PAYLOAD = STORED_MESSAGE.index("payload")
_NO_TOOLS: tuple[tuple[ToolCall, ...], str | None] = ((), None)


def _tools(stored: str) -> tuple[tuple[ToolCall, ...], str | None]:
    tools = json.loads(stored)
    return tuple(ToolCall(*call) for call in tools["calls"]), tools["answers"]


def fact_values(fact: Fact, codec: Codec) -> dict[str, Any]:
    """The columns of a fact that follow from its value alone."""
    return {
        "id": fact.id,
        "position": fact.position,
        "message_id": fact.message_key,
        "kind": fact.kind,
        "status": fact.status,
        "content": codec.encode(fact.text),
        "slot": None if fact.slot is None else fact.slot[:255],
        "speaker": None if fact.speaker is None else codec.encode(fact.speaker),
        "source": fact.source,
        "importance": fact.importance,
        "mentions": fact.mentions,
        "tier": fact.tier,
        "extractor": fact.extractor[:64],
        "said_at": optional_micros(fact.said_at),
        "valid_from": optional_micros(fact.valid_from),
        "valid_to": optional_micros(fact.valid_to),
        "expires_at": optional_micros(fact.expires_at),
        "superseded_by": fact.superseded_by,
    }


def to_fact(row: Row, codec: Codec) -> Fact:
    """The fact of a row; the row carries the session's external id as `session`."""
    return Fact(
        id=row["id"],
        text=codec.decode(row["content"]),
        kind=row["kind"],
        status=row["status"],
        speaker=codec.decode(row["speaker"]) if row["speaker"] else None,
        source=row["source"],
        said_at=optional_time(row["said_at"]),
        created_at=optional_time(row["created_at"]),
        valid_from=optional_time(row["valid_from"]),
        valid_to=optional_time(row["valid_to"]),
        retired_at=optional_time(row["retired_at"]),
        expires_at=optional_time(row["expires_at"]),
        superseded_by=row["superseded_by"],
        slot=row["slot"],
        importance=row["importance"],
        mentions=row["mentions"],
        tier=row["tier"],
        message_key=row["message_id"],
        session_id=row["session"],
        position=row["position"],
        extractor=row["extractor"] or "",
        revision=row["revision"],
    )


def leased(row: Row, key: str, read: Callable[[], Sequence[StoredMessage]]) -> Job:
    """The job of a row that was just leased, with the messages that `read` gives: what it raises stays with the job.

    What nobody can decode holds up no other job.
    """
    stored: Sequence[StoredMessage] = ()
    unreadable: Exception | None = None
    try:
        stored = read()
    except Exception as error:  # noqa: BLE001 - a codec of anybody's may raise anything; the worker fails this job
        unreadable = error
    return Job(
        id=key,
        token=row["lease_token"],
        attempt=row["attempts"],
        attribution=Attribution(row["entity"], row["process"], row["session"], row["namespace"]),
        messages=tuple(one for one in stored if one.position >= row["first_position"]),
        context=tuple(one for one in stored if one.position < row["first_position"]),
        unreadable=unreadable,
    )


def to_queued_job(row: Row) -> QueuedJob:
    """A job as it stands, from its row and its owner's."""
    return QueuedJob(
        id=row["id"],
        state=row["state"],
        attempts=row["attempts"],
        attribution=Attribution(row["entity"], row["process"], row["session"], row["namespace"]),
        first=row["first_position"],
        last=row["last_position"],
        created_at=from_micros(row["created_at"]),
        due_at=optional_time(row["next_attempt_at"] or None) if row["state"] == "pending" else None,
        leased_until=optional_time(row["lease_until"]),
        finished_at=optional_time(row["finished_at"]),
        error=row["last_error"],
    )


def to_attribute(row: Row, codec: Codec) -> ProcessAttribute:
    """The attribute of a row."""
    return ProcessAttribute(
        id=row["id"],
        text=codec.decode(row["content"]),
        mentions=row["mentions"],
        created_at=from_micros(row["created_at"]),
        source=row["source"],
        message_key=row["message_id"],
        extractor=row["extractor"] or "",
    )
