"""Anthropic's SDK: messages, also on other clouds, synchronous and asynchronous, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anthropic

from ...model import Message, ToolCall
from ...structured import StructuredModel, StructuredReply
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, joined, not_awaited, provenance, spoken
from .stainless import RAW_VIEWS, given, mapping, raw, repeatable

_LONGEST_ANSWER = 4096
# Those for other clouds are no subclasses of each other, and not in every version.
_SYNC = tuple(
    getattr(anthropic, name)
    for name in ("Anthropic", "AnthropicBedrock", "AnthropicVertex")
    if hasattr(anthropic, name)
)
_ASYNC = tuple(
    getattr(anthropic, name)
    for name in ("AsyncAnthropic", "AsyncAnthropicBedrock", "AsyncAnthropicVertex")
    if hasattr(anthropic, name)
)


class AnthropicAdapter(Adapter):
    """`Anthropic`, `AsyncAnthropic`, their Bedrock and Vertex siblings, and subclasses."""

    copies = ("copy", "with_options")
    views = RAW_VIEWS

    def methods(self, client: Any) -> Sequence[Method]:
        """`create`, `parse` and `stream` of messages and of beta messages."""
        if not isinstance(client, _SYNC + _ASYNC):
            return ()
        awaited = isinstance(client, _ASYNC)
        return [
            Method(f"{path}.{name}", dialect, asynchronous=awaited, helper=name == "stream")
            for path in ("messages", "beta.messages")
            for name, dialect in (("create", Messages()), ("parse", Messages()), ("stream", Messages(helper=True)))
        ]

    def structured(self, client: Any, model: str) -> StructuredModel:
        """A tool whose input has the schema, and that the model must call."""
        if not isinstance(client, _SYNC):
            raise not_awaited(client)

        def ask(messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
            answer = client.messages.create(
                model=model,
                max_tokens=_LONGEST_ANSWER,
                system="\n\n".join(message.content for message in messages if message.role == "system"),
                messages=[{"role": one.role, "content": one.content} for one in messages if one.role != "system"],
                tools=[{"name": "memory", "description": "Store what was found.", "input_schema": dict(schema)}],
                tool_choice={"type": "tool", "name": "memory"},
            )
            called = next((part.input for part in answer.content if part.type == "tool_use"), "")
            used = answer.usage
            return StructuredReply(called, answer.model, used.input_tokens, used.output_tokens)

        return ask


class Messages(Dialect):
    """The messages API. `helper`: calls that don't say so stream."""

    def __init__(self, *, helper: bool = False) -> None:
        self._helper = helper

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make messages and contents given as iterators lists."""
        return repeatable(arguments, "messages", "system")

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the instructions and the messages."""
        native = [mapping(message) for message in arguments["messages"]]
        asked = _last_human(native)
        messages = [Message("system", text) for text in _texts(given(arguments, "system"))]
        human = None
        for index, message in enumerate(native):
            messages += _messages(message)
            if index == asked:
                human = len(messages) - 1
        thread = given(arguments, "thread")
        return Request(
            messages=tuple(messages),
            human=human,
            query="" if asked is None else spoken(_texts(native[asked]["content"])),
            stream=self._helper or arguments.get("stream") is True,
            raw=raw(arguments),
            stateful=thread is not None,
            thread=None if thread is None else mapping(thread).get("previous_message_id"),
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block at the end of the last human message or of the instructions."""
        asked = _last_human([mapping(message) for message in arguments["messages"]])
        if where == "system" or given(arguments, "thread") is not None or asked is None:
            system = given(arguments, "system")
            if system is None or isinstance(system, str):
                return {**arguments, "system": f"{system}\n\n{block}" if system else block}
            return {**arguments, "system": [*system, {"type": "text", "text": block}]}
        messages = list(arguments["messages"])
        message = mapping(messages[asked])
        content = message["content"]
        if isinstance(content, str):
            messages[asked] = {**message, "content": joined(block, content)}
        else:
            messages[asked] = {**message, "content": [*content, {"type": "text", "text": block}]}
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called; what it thought is its own."""
        said = _said([mapping(block) for block in response.content])
        source = provenance(id=response.id, model=response.model, usage=response.usage)
        return said and replace(said, payload=source)

    def gather(self) -> Gatherer:
        """Begin to read events."""
        return _Events()


class _Events(Gatherer):
    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._source: dict[str, Any] = {}
        self._finished = False

    def add(self, chunk: Any) -> None:
        if chunk.type == "message_start":
            begun = chunk.message
            self._source = provenance(id=begun.id, model=begun.model, usage=begun.usage)
        elif chunk.type == "content_block_start":
            block = dict(mapping(chunk.content_block))
            self._blocks[chunk.index] = {**block, "json": ""} if block["type"] == "tool_use" else block
        elif chunk.type == "content_block_delta":
            block, delta = self._blocks[chunk.index], chunk.delta
            if delta.type == "text_delta":
                block["text"] += delta.text
            elif delta.type == "input_json_delta" and "json" in block:
                block["json"] += delta.partial_json
        elif chunk.type == "message_delta":
            self._finished = chunk.delta.stop_reason is not None
            spent = provenance(id=None, model=None, usage=chunk.usage).get("usage", {})
            self._source["usage"] = {**self._source.get("usage", {}), **spent}

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        said = _said([block for _, block in sorted(self._blocks.items())])
        return said and replace(said, payload=self._source)


def _last_human(native: Sequence[Mapping[str, Any]]) -> int | None:
    """The last user message in which a human speaks: others only give the results of tools."""
    return next((i for i in range(len(native) - 1, -1, -1) if _is_human(native[i])), None)


def _is_human(message: Mapping[str, Any]) -> bool:
    if message["role"] != "user":
        return False
    content = message["content"]
    return isinstance(content, str) or any(not _is_result(mapping(part)) for part in content)


def _is_result(part: Mapping[str, Any]) -> bool:
    kind: str = part["type"]
    return kind.endswith("tool_result")


def _messages(native: Mapping[str, Any]) -> list[Message]:
    """Read one message of a request: the results of tools in it are messages of their own."""
    role, content = native["role"], native["content"]
    if role == "assistant":
        said = _said([{"type": "text", "text": content}] if isinstance(content, str) else map(mapping, content))
        return [said or Message("assistant", "")]
    if role not in ("user", "system"):
        raise KeyError(role)
    if isinstance(content, str):
        return [Message(role, spoken([content]))]
    parts = [mapping(part) for part in content]
    messages = [
        Message("tool", spoken(_texts(part.get("content"), marked=True)), tool_call_id=part["tool_use_id"])
        for part in parts
        if _is_result(part)
    ]
    if len(messages) < len(parts):
        own = [part for part in parts if not _is_result(part)]
        messages.append(Message(role, spoken(_texts(own, marked=True))))
    return messages


def _said(blocks: Any) -> Message | None:
    """The message of an assistant's blocks, or None when it says nothing and calls nothing."""
    texts, calls = [], []
    for block in blocks:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_use":
            arguments = block.get("json") or json.dumps(block["input"], ensure_ascii=False)
            calls.append(ToolCall(id=block["id"], name=block["name"], arguments=arguments))
    content = spoken(texts)
    return Message("assistant", content, tool_calls=tuple(calls)) if content or calls else None


def _texts(content: Any, *, marked: bool = False) -> list[str]:
    """The texts of a content. `marked`: something stands for each part that is no text, such as "[image]"."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    texts = []
    for part in map(mapping, content):
        if part["type"] == "text":
            texts.append(part["text"])
        elif marked:
            texts.append(f"[{part['type']}]")
    return texts
