"""What the SDKs of OpenAI and Anthropic share: they are made by one generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..base import Raw, joined

RAW_VIEWS = ("with_raw_response", "with_streaming_response")
"""Cached views of a client, and of each part of it, that return HTTP responses."""

_RAW_HEADER = "x-stainless-raw-response"
_RAW: Mapping[str, Raw] = {"true": "read", "raw": "read", "stream": "streamed"}


def raw(arguments: Mapping[str, Any]) -> Raw:
    """How the caller wants the HTTP response. Raises `KeyError` for a way that is not known."""
    for header, value in (given(arguments, "extra_headers") or {}).items():
        if header.lower() == _RAW_HEADER:
            return _RAW[value]
    return ""


def given(arguments: Mapping[str, Any], name: str) -> Any:
    """An argument, or None where it is missing or one of the SDKs' marks for that."""
    value = arguments.get(name)
    return None if type(value).__name__ in ("Omit", "NotGiven") else value


def repeatable(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A copy of the arguments where lists of messages, and what is in them, can be read more than once."""
    copied = dict(arguments)
    for name in names:
        value = arguments.get(name)
        if isinstance(value, list | tuple | Iterator):
            copied[name] = [_repeatable(message) for message in value]
    return copied


def _repeatable(message: Any) -> Any:
    """The message, or a copy of it where a part of it can be read only once."""
    if not isinstance(message, Mapping):
        return message
    once = {key: list(value) for key, value in message.items() if isinstance(value, Iterator)}
    return {**message, **once} if once else message


def mapping(message: Any) -> Mapping[str, Any]:
    """A message, or a part of one, as a mapping: it may be a plain dict or a pydantic model the SDK gave back."""
    if isinstance(message, Mapping):
        return message
    dumped: dict[str, Any] = message.model_dump(mode="json", exclude_unset=True, warnings=False)
    return dumped


def last_user(messages: Sequence[Mapping[str, Any]]) -> int | None:
    """The index of the last message of a user."""
    return next((i for i in range(len(messages) - 1, -1, -1) if messages[i].get("role") == "user"), None)


def answered(message: Any, block: str, kind: str = "text") -> dict[str, Any]:
    """A copy of a user's message with the block in it: before a text, or as one more part, of that type."""
    copied = mapping(message)
    content = copied["content"]
    if isinstance(content, str):
        return {**copied, "content": joined(block, content)}
    return {**copied, "content": [*content, {"type": kind, "text": block}]}
