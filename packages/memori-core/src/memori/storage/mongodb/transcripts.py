"""Transcripts: the history of one named session, as the application edits it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ...errors import MissingAttributionError, VersionConflictError
from ...model import Attribution, Message, Transcript
from ..alignment import common_prefix
from ..records import Codec, StorageOptions, Turn
from ..values import entity_key, session_key, to_micros
from .conversations import add, named_session, open_conversation, said_at, stored_messages
from .layout import MESSAGE, SESSION, Document
from .rows import Rows, Unit


def check(attribution: Attribution) -> str:
    """The session's key. Raises `MissingAttributionError` when none is named."""
    if attribution.session_id is None:
        raise MissingAttributionError("A transcript belongs to a session: pass Attribution(..., session_id=...).")
    return session_key(attribution, attribution.session_id)


def read(rows: Rows, attribution: Attribution, codec: Codec, *, archived: bool | None) -> Transcript:
    """The session's version and messages."""
    key, entity = check(attribution), entity_key(attribution)
    session = rows.first(SESSION, {"_id": key, "entity_id": entity})
    where: Document = {"session_id": key, "entity_id": entity}
    if archived is not None:
        where["archived"] = int(archived)
    found = rows.find(MESSAGE, where, sort=[("position", 1)])
    return Transcript(session["version"] if session else 0, tuple(stored_messages(found, codec)))


def replace(
    unit: Unit,
    attribution: Attribution,
    messages: Sequence[Message],
    codec: Codec,
    options: StorageOptions,
    *,
    expected: int | None,
    now: datetime,
) -> None:
    """Make the session's active messages exactly these; the longest common prefix keeps its documents."""
    check(attribution)
    session = named_session(unit, attribution, str(attribution.session_id), now=to_micros(now))
    if expected is not None and session["version"] != expected:
        raise VersionConflictError(
            f"Session {attribution.session_id!r} is at version {session['version']}, not {expected}: "
            "somebody else wrote to it. Read it again, and retry."
        )
    fields = ("digest", "native_id", "payload")
    where = {**_in(session), "archived": 0}
    stored = list(unit.find(MESSAGE, where, sort=[("position", 1)], fields=fields))
    kept = common_prefix(stored, messages, codec)
    for row in stored[kept:]:
        unit.remove(MESSAGE, row["_id"])
    _written(unit, session)
    rest = Turn(_once(unit, session, messages[kept:]), resent=0, now=now, augment=False)
    if rest.messages:
        conversation = open_conversation(unit, session, said_at(rest.messages[0], rest), options)
        add(unit, attribution, session, conversation, list(rest.messages), rest, codec)


def delete(unit: Unit, attribution: Attribution, keys: Collection[str]) -> int:
    """Delete messages of the session."""
    return _change(unit, attribution, {"_id": {"$in": sorted(keys)}}, None)


def archive(unit: Unit, attribution: Attribution, keys: Collection[str], *, archived: bool) -> int:
    """Mark messages of the session."""
    where = {"_id": {"$in": sorted(keys)}, "archived": int(not archived)}
    return _change(unit, attribution, where, {"archived": int(archived)})


def _change(unit: Unit, attribution: Attribution, where: Document, fields: Document | None) -> int:
    session = unit.first(SESSION, {"_id": check(attribution), "entity_id": entity_key(attribution)})
    if session is None:
        return 0
    found = list(unit.find(MESSAGE, {**where, **_in(session)}, fields=("_id",)))
    for row in found:
        if fields is None:
            unit.remove(MESSAGE, row["_id"])
        else:
            unit.set(MESSAGE, row["_id"], fields)
    _written(unit, session)
    return len(found)


def _once(unit: Unit, session: Document, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Without those whose native id is in the session still, or among the messages before."""
    ids = [message.id for message in messages if message.id]
    where = {**_in(session), "native_id": {"$in": ids}}
    seen = {row["native_id"] for row in unit.find(MESSAGE, where, fields=("native_id",))} if ids else set()
    once = []
    for message in messages:
        if message.id is None or message.id not in seen:
            once.append(message)
            seen.add(message.id)
    return tuple(once)


def _in(session: Document) -> Document:
    return {"session_id": session["_id"], "entity_id": session["entity_id"]}


def _written(unit: Unit, session: Document) -> None:
    """Raise the version and remember what is last. The message counter never goes back: a position is used once."""
    last = unit.first(MESSAGE, _in(session), sort=[("position", -1)])
    session |= {"version": session["version"] + 1, "last_digest": last["digest"] if last else None}
    unit.put(SESSION, session)
