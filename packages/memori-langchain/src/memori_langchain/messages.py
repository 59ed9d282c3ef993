"""Turn LangChain's messages into Memori's and back, losing nothing on the way."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
)
from memori import Message, Role, ToolCall

_NATIVE = {"type", "data"}
_ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


def to_memori(native: BaseMessage) -> Message:
    """The message as Memori stores it, with the whole of it as `payload`; a chunk becomes a message first.

    Raises `TypeError` for what is no message, such as a `RemoveMessage`.
    """
    if not isinstance(native, BaseMessage):
        raise TypeError(
            f"{native!r:.80}, a {type(native).__name__}, is no LangChain message; make it one: HumanMessage('...')."
        )
    message = message_chunk_to_message(native)
    spoken_as = message.role if isinstance(message, ChatMessage) else message.type
    role = _ROLES.get(spoken_as, "user" if isinstance(message, ChatMessage) else None)
    if role is None:
        raise TypeError(f"a {type(message).__name__} is not something that was said; it cannot be stored.")
    return Message(
        # A summary or notification that a framework wrote as a human message was not said by the user.
        role="system" if is_notice(message) else role,
        content=str(message.text),
        name=message.name or (spoken_as if spoken_as not in _ROLES else None),
        id=message.id,
        tool_calls=_tool_calls(message) if isinstance(message, AIMessage) else (),
        tool_call_id=message.tool_call_id if isinstance(message, ToolMessage) else None,
        payload=_payload(message),
    )


def native(payloads: Sequence[Mapping[str, Any] | None]) -> list[BaseMessage] | None:
    """The messages that payloads were made from; None when one of them is none that this version can read."""
    if not all(payload is not None and payload.keys() == _NATIVE for payload in payloads):
        return None
    try:
        return messages_from_dict(payloads)  # type: ignore[arg-type]  # it reads any mapping
    except (TypeError, ValueError):
        return None


def to_langchain(message: Message) -> BaseMessage:
    """The native message it was made from, or one made of its text where another program stored it."""
    found = native([message.payload])
    return found[0] if found else _plain(message)  # the text, also of what a newer version wrote


def is_notice(message: BaseMessage) -> bool:
    """Whether LangChain itself wrote it, as it does summaries; `lc_source` says so."""
    return isinstance(message, HumanMessage) and "lc_source" in message.additional_kwargs


def _tool_calls(message: AIMessage) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(id=call["id"] or "", name=call["name"], arguments=json.dumps(_json_ready(call["args"])))
        for call in message.tool_calls
    )


def _payload(message: BaseMessage) -> dict[str, Any] | None:
    try:
        payload: dict[str, Any] = _json_ready(message_to_dict(message))
    except ValueError:
        return None  # something in it contains itself: what was said is kept all the same
    return payload


def _json_ready(value: Any) -> Any:
    """The value as JSON gives it back. What JSON cannot hold, as an artifact may, is told by a short description."""
    return json.loads(json.dumps(value, default=reprlib.repr, skipkeys=True))


def _plain(message: Message) -> BaseMessage:
    fields: dict[str, Any] = {"content": message.content, "id": message.id, "name": message.name}
    if message.role == "assistant":
        return AIMessage(**fields, tool_calls=[_called(call) for call in message.tool_calls])
    if message.role == "tool":
        return ToolMessage(**fields, tool_call_id=message.tool_call_id or "")
    return SystemMessage(**fields) if message.role == "system" else HumanMessage(**fields)


def _called(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    return {
        "id": call.id,
        "name": call.name,
        "args": arguments if isinstance(arguments, dict) else {"input": call.arguments},
    }
