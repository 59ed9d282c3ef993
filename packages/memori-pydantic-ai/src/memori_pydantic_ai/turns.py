"""Read Pydantic AI's messages as Memori's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b

from memori import Message, ToolCall
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SpeechPart,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from .blocks import is_block, without_blocks

RECALL_TOOL = "memori_recall"
"""What this tool returns is known already: learnt again, it would count twice."""


def to_messages(native: Iterable[ModelMessage]) -> list[Message]:
    """Return what was said: by people, by the model and by tools, without instructions and without our own blocks.

    Pydantic AI's messages have no id. The one given here comes from the content and, of a prompt, its run, of an
    answer, its time, of a result, its call. So a message keeps it wherever its history is saved, trimmed or sent
    again, and when a durable engine runs its run again; the same words said twice have two. `payload` is the native
    message with that part alone; `ModelMessagesTypeAdapter` reads it back.
    """
    seen: Counter[str] = Counter()
    return [message for one in without_blocks(native) for message in _read(one, seen)]


def texts(native: Iterable[ModelMessage]) -> list[str]:
    """Return the texts that are in front of the model."""
    said = [one for message in native for one in _say(message)]
    return [message.content for _, message in said if message.content]


def _read(native: ModelMessage, seen: Counter[str]) -> Iterator[Message]:
    for number, message in _say(native):
        if message.role == "tool" and message.name == RECALL_TOOL:
            continue
        alone: ModelMessage
        if isinstance(native, ModelRequest):
            alone = replace(native, parts=[native.parts[number]], instructions=None)
        else:
            alone = native
        (payload,) = ModelMessagesTypeAdapter.dump_python([alone], mode="json")
        said = _spelled(message, native.run_id)
        yield replace(message, id=_digest(said, seen[said]), payload=payload)
        seen[said] += 1


def _say(native: ModelMessage) -> Iterator[tuple[int, Message]]:
    """Yield each thing said in a native message, with the number of its part."""
    if isinstance(native, ModelResponse):
        answer = _answer(native)
        if answer is not None:
            yield 0, answer
        return
    for number, part in enumerate(native.parts):
        message = _request_part(part, native.timestamp)
        if message is not None:
            yield number, message


def _request_part(part: ModelRequestPart, sent_at: datetime | None) -> Message | None:
    if isinstance(part, UserPromptPart):
        content = "\n".join(_marked(part.content))
        return Message("user", content, created_at=part.timestamp) if content else None
    if isinstance(part, ToolReturnPart):
        return Message(
            "tool",
            part.model_response_str(),
            name=part.tool_name,
            created_at=part.timestamp,
            tool_call_id=part.tool_call_id,
        )
    if isinstance(part, SpeechPart) and part.transcript:
        return Message("user", part.transcript, created_at=sent_at)
    return None


def _answer(response: ModelResponse) -> Message | None:
    said = [part.content for part in response.parts if isinstance(part, TextPart | SpeechPart) and part.content]
    calls = tuple(
        ToolCall(part.tool_call_id, part.tool_name, _arguments(part))
        for part in response.parts
        if isinstance(part, ToolCallPart)
    )
    if not said and not calls:
        return None
    return Message(
        "assistant",
        "\n\n".join(said),
        created_at=response.timestamp,
        tool_calls=calls,
        partial=response.state != "complete",
    )


def _arguments(call: ToolCallPart) -> str:
    return call.args if isinstance(call.args, str) else json.dumps(call.args or {}, ensure_ascii=False, default=str)


def _marked(content: str | Sequence[UserContent]) -> Iterator[str]:
    """Yield the texts of a prompt, with something like "[image]" for each part that is no text."""
    for item in [content] if isinstance(content, str) else content:
        if is_block(item) or isinstance(item, CachePoint):
            continue
        if isinstance(item, str | TextContent):
            text = item if isinstance(item, str) else item.content
            if text:
                yield text
        elif isinstance(item, BinaryContent):
            kind = item.media_type.partition("/")[0]
            yield f"[{kind}]" if kind in ("image", "audio", "video") else "[document]"
        else:
            yield f"[{item.kind.removeprefix('uploaded-').removesuffix('-url')}]"


def _spelled(message: Message, run_id: str | None) -> str:
    """What tells a message from others. A run that is run again repeats its answers with their times, and its calls,
    but says its prompts at another time."""
    at = message.created_at.isoformat() if message.created_at else None
    when = message.tool_call_id or (run_id or at if message.role == "user" else at)
    return json.dumps([when, message.role, message.content, [one.id for one in message.tool_calls]])


def _digest(said: str, before: int) -> str:
    return blake2b(f"{before} {said}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
