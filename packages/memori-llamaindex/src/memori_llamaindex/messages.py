"""Turn LlamaIndex messages into Memori's and back: what is stored is native, what is learnt from is what was said."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from memori import Message, Role, ToolCall
from pydantic_core import to_jsonable_python

logger = logging.getLogger("memori.llamaindex")

_NATIVE = {"role", "blocks", "additional_kwargs"}
_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.FUNCTION: "tool",
    MessageRole.TOOL: "tool",
}
SHOWN = "(memories were shown here)"
_CONTEXT = re.compile(r"<memori_context\b[^>]*>.*?</memori_context>\s*", re.DOTALL)
_THOUGHT = re.compile(r"^Thought:", re.MULTILINE)
_ANSWER = re.compile(r"^Answer:", re.MULTILINE)
_ACTION = re.compile(r"^Action:", re.MULTILINE)


def role_of(message: ChatMessage) -> Role:
    """Which of Memori's roles a message has."""
    return _ROLES.get(message.role, "assistant")


def to_memori(message: ChatMessage) -> Message:
    """The message to store, without any context that memory itself put into it."""
    message = without_context(message)
    role = role_of(message)
    answers = message.additional_kwargs.get("tool_call_id")
    name = message.additional_kwargs.get("name")
    return Message(
        role=role,
        content=answer_of(message.content or "") if role == "assistant" else message.content or "",
        name=name if role == "user" and isinstance(name, str) else None,
        tool_calls=tuple(_tool_call(block) for block in message.blocks if isinstance(block, ToolCallBlock)),
        tool_call_id=answers if isinstance(answers, str) else None,
        # A tool marked return_direct speaks in the assistant's name; its text is still a tool's.
        source="tool" if role == "assistant" and answers else None,
        payload=to_jsonable_python(message, fallback=str),
    )


def native(payloads: Sequence[Mapping[str, Any] | None]) -> list[ChatMessage] | None:
    """The messages that payloads were made from; None when one of them is none that this version can read."""
    if not all(map(_is_native, payloads)):
        return None
    try:
        return [ChatMessage.model_validate(payload) for payload in payloads]
    except Exception:  # noqa: BLE001 - validators of blocks are foreign code; each is looked at by itself then
        return None


def to_llama_index(message: Message) -> ChatMessage:
    """The native message that was stored; one built from its text where it came from elsewhere.

    A block that this version of LlamaIndex does not know is read as text; what is stored of it stays as it is.
    """
    payload = message.payload
    if payload is None or not _is_native(payload):
        return _rebuilt(message)
    try:
        return ChatMessage.model_validate(payload)
    except Exception as error:  # noqa: BLE001 - validators of blocks are foreign code; one row must not hide the rest
        logger.warning("a stored message holds what this llama-index-core cannot read; what it can is shown: %s", error)
    try:
        return ChatMessage.model_validate({**payload, "blocks": [_readable(block) for block in payload["blocks"]]})
    except Exception:  # noqa: BLE001 - as above: its text is still there
        return _rebuilt(message)


def _is_native(payload: Mapping[str, Any] | None) -> bool:
    return payload is not None and payload.keys() >= _NATIVE


def without_context(message: ChatMessage) -> ChatMessage:
    """The message without context blocks, in case an application stores again what it was shown."""
    blocks: list[Any] = []
    for block in message.blocks:
        if not isinstance(block, TextBlock) or not _CONTEXT.search(block.text):
            blocks.append(block)
        elif text := _CONTEXT.sub("", block.text):
            blocks.append(block.model_copy(update={"text": text}))
    if message.blocks and not blocks and role_of(message) == "tool":
        # Some models refuse a result that is empty.
        blocks = [TextBlock(text=SHOWN)]
    return message.model_copy(update={"blocks": blocks})


def answer_of(text: str) -> str:
    """What an assistant said to its user: of a ReAct trace the final answer, "" when it never got to one.

    A ReActAgent stores thoughts, actions, observations and the answer as one message. Observations are a tool's
    words: only what follows the last thought counts.
    """
    thoughts = list(_THOUGHT.finditer(text))
    if not thoughts or text[: thoughts[0].start()].strip():
        return text
    last = text[thoughts[-1].end() :]
    answer, action = _ANSWER.search(last), _ACTION.search(last)
    if answer and not (action and action.start() < answer.start()):
        return last[answer.end() :].strip()
    return "" if _ACTION.search(text) else text


def _tool_call(block: ToolCallBlock) -> ToolCall:
    arguments = block.tool_kwargs
    return ToolCall(
        id=block.tool_call_id or "",
        name=block.tool_name,
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments, default=str),
    )


def _readable(block: Any) -> Any:
    """The block, as it is or without the fields that hold nothing, which older versions refuse; else its text."""
    bare = {name: value for name, value in block.items() if value is not None} if isinstance(block, dict) else block
    return next((shape for shape in (block, bare) if _is_readable(shape)), None) or _as_text(block)


def _is_readable(block: object) -> bool:
    try:
        ChatMessage.model_validate({"blocks": [block]})
    except Exception:  # noqa: BLE001 - whatever a validator raises, the block cannot be read
        return False
    return True


def _as_text(block: object) -> TextBlock:
    """What a block says, as far as that can be told; else what it is."""
    fields = block if isinstance(block, Mapping) else {}
    said = next((fields[name] for name in ("text", "content") if isinstance(fields.get(name), str)), None)
    return TextBlock(text=f"[{fields.get('block_type', 'unknown')}]" if said is None else said)


def _rebuilt(message: Message) -> ChatMessage:
    calls = [
        ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.arguments)
        for call in message.tool_calls
    ]
    text = [TextBlock(text=message.content)] if message.content or not calls else []
    extra = {} if message.tool_call_id is None else {"tool_call_id": message.tool_call_id}
    return ChatMessage(role=MessageRole(message.role), blocks=[*text, *calls], additional_kwargs=extra)
