"""Write Pydantic AI's messages as JSON, and read them back, whichever version wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from memori import Memori
from pydantic import ValidationError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)

JSON = dict[str, Any]
_TEXTS = ("content", "args", "transcript", "timestamps", "metadata", "instructions")
"""What of a message and of its parts can hold what people, models and tools said."""
_OF_A_FILE = frozenset({"kind", "data", "media_type", "identifier", "file_id", "provider_name"})
_FILES = frozenset({"binary", "uploaded-file", "image-url", "audio-url", "video-url", "document-url"})


def dumped(message: ModelMessage) -> JSON:
    """Return a message as JSON; what a model or a tool sent in broken Unicode included."""
    (native,) = ModelMessagesTypeAdapter.dump_python([message], mode="json")
    document: JSON = native
    return document


def loaded(native: Mapping[str, Any]) -> ModelMessage:
    """Return the message of some JSON. Parts that this version of Pydantic AI does not know are kept as text."""
    try:
        (message,) = ModelMessagesTypeAdapter.validate_python([native])
    except ValidationError:
        return _in_parts(native)
    return message


def all_loaded(natives: list[JSON]) -> list[ModelMessage]:
    """Return the messages of a history, read in one go where this version of Pydantic AI knows them all."""
    try:
        return ModelMessagesTypeAdapter.validate_python(natives)
    except ValidationError:
        return [loaded(one) for one in natives]


def redacted(memori: Memori, native: JSON) -> JSON:
    """Return the JSON with its texts redacted. Ids, names, times, files and signatures stay as they are."""
    parts = [_redacted(memori, part) for part in native.get("parts", ())]
    return {**_redacted(memori, native), "parts": parts}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two messages as JSON are the same, whichever versions wrote them."""
    return one == other or dumped(loaded(one)) == dumped(loaded(other))


def without_open_calls(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Return the messages without a last answer that calls tools nobody has answered: no model may be sent that."""
    last = messages[-1] if messages else None
    if isinstance(last, ModelResponse) and any(isinstance(part, ToolCallPart) for part in last.parts):
        return messages[:-1]
    return messages


def _redacted(memori: Memori, part: JSON) -> JSON:
    return {key: _text(memori, value) if key in _TEXTS else value for key, value in part.items()}


def _text(memori: Memori, value: Any) -> Any:
    if isinstance(value, list):
        return [_text(memori, one) for one in value]
    if isinstance(value, dict) and "part_kind" in value:
        return _redacted(memori, value)
    if isinstance(value, dict):
        kept = _OF_A_FILE if value.get("kind") in _FILES else frozenset({"kind"})
        return {key: one if key in kept else _text(memori, one) for key, one in value.items()}
    return memori.items.document({"text": value})["text"]


def _in_parts(native: Mapping[str, Any]) -> ModelMessage:
    whole = {**native, "kind": "request" if native.get("kind") == "request" else "response"}
    (empty,) = ModelMessagesTypeAdapter.validate_python([{key: whole[key] for key in _known(whole)} | {"parts": []}])
    if isinstance(empty, ModelRequest):
        return replace(empty, parts=[kept for part in native.get("parts", ()) for kept in _request_part(part)])
    return replace(empty, parts=[kept for part in native.get("parts", ()) for kept in _response_part(part)])


def _known(whole: Mapping[str, Any]) -> Iterable[str]:
    """The fields that this version can read."""
    for key, value in whole.items():
        if key == "parts":
            continue
        try:
            ModelMessagesTypeAdapter.validate_python([{"kind": whole["kind"], "parts": [], key: value}])
        except ValidationError:
            continue
        yield key


def _request_part(part: JSON) -> list[Any]:
    try:
        (message,) = ModelMessagesTypeAdapter.validate_python([{"kind": "request", "parts": [part]}])
    except ValidationError:
        text = _words(part)
        return [UserPromptPart(text)] if text else []
    return list(message.parts)


def _response_part(part: JSON) -> list[Any]:
    try:
        (message,) = ModelMessagesTypeAdapter.validate_python([{"kind": "response", "parts": [part]}])
    except ValidationError:
        text = _words(part)
        return [TextPart(text)] if text else []
    return list(message.parts)


def _words(part: Any) -> str:
    content = part.get("content") if isinstance(part, dict) else part
    return content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)
