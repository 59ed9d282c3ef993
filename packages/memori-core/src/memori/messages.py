"""Accept messages in the shapes people have them: values, OpenAI-style mappings, (role, content) pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .model import MAX_ID_LENGTH, ROLES, Message, Role, ToolCall
from .text import storable

MessageLike = Message | Mapping[str, Any] | tuple[str, str]
ROLE_ALIASES: dict[str, Role] = {"developer": "system", "human": "user", "ai": "assistant", "function": "tool"}
"""Names of roles that others use, and ours."""


def to_messages(given: MessageLike | Iterable[MessageLike]) -> tuple[Message, ...]:
    """Return values that any database can store. Raises `TypeError` or `ValueError` saying which message and why."""
    if isinstance(given, Message | Mapping | str) or (
        isinstance(given, tuple) and given[:1] and isinstance(given[0], str)
    ):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"messages must be a list of messages, got {type(given).__name__}.")
    return tuple(_clean(_convert(one, place), place) for place, one in enumerate(given))


def _convert(one: Any, place: int) -> Message:
    if isinstance(one, Message):
        return one
    if isinstance(one, tuple) and len(one) == 2:
        one = {"role": one[0], "content": one[1]}
    if not isinstance(one, Mapping):
        raise TypeError(
            f"message {place} is a {type(one).__name__}; pass a memori.Message, a mapping with 'role' and 'content', "
            "or a (role, content) pair."
        )
    role = ROLE_ALIASES.get(one.get("role"), one.get("role"))  # type: ignore[arg-type]
    calls = one.get("tool_calls") or ()
    return Message(
        role=role,  # type: ignore[arg-type]
        content=text_of(one.get("content")),
        name=one.get("name"),
        created_at=one.get("created_at"),
        id=one.get("id"),
        tool_calls=tuple(call if isinstance(call, ToolCall) else _tool_call(call) for call in calls),
        tool_call_id=one.get("tool_call_id"),
    )


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list joined by newlines."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part if isinstance(part, str) else _part_text(part) for part in content]
        return "\n".join(part for part in parts if part)
    raise TypeError(f"content must be text or a list of parts, got {type(content).__name__}.")


def _part_text(part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) else getattr(part, "text", None)
    return text if isinstance(text, str) else ""


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function", call)
    arguments = function.get("arguments", "{}")
    return ToolCall(
        id=str(call.get("id", "")),
        name=str(function.get("name", "")),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
    )


def _clean(message: Message, place: int) -> Message:
    if message.role not in ROLES:
        raise ValueError(f"message {place} has the role {message.role!r}; roles are {', '.join(ROLES)}.")
    if not isinstance(message.content, str):
        raise TypeError(
            f"message {place} has content of type {type(message.content).__name__}; Message.content is text."
        )
    created_at = message.created_at
    if created_at is not None and not isinstance(created_at, datetime):
        raise TypeError(f"message {place} has a created_at of type {type(created_at).__name__}; pass a datetime.")
    if created_at is not None and created_at.tzinfo is None:
        created_at = created_at.replace(tzinfo=UTC)
    return replace(
        message,
        content=storable(message.content),
        name=None if not message.name else storable(str(message.name)),
        created_at=created_at,
        id=_short(message.id),
        tool_calls=tuple(
            ToolCall(storable(call.id), storable(call.name), storable(call.arguments)) for call in message.tool_calls
        ),
    )


def _short(native_id: object) -> str | None:
    """A native id that fits its column; an over-long one is replaced by a hash of itself."""
    if native_id is None or native_id == "":
        return None
    text = storable(str(native_id))
    return text if len(text) <= MAX_ID_LENGTH else hashlib.sha256(text.encode()).hexdigest()
