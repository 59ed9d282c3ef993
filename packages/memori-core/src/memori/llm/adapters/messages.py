"""Anthropic's messages, through whichever SDK they go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...model import Message, ToolCall
from ..base import Dialect, Gatherer, Inject, Request, provenance, spoken
from .stainless import answered, given, mapping, raw, repeatable


class Messages(Dialect):
    """The messages API. `helper`: calls that don't say so stream.

    Answers and events may be mappings, or models of the SDK.
    """

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
        messages[asked] = answered(messages[asked], block)
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called; what it thought is its own."""
        message = mapping(response)
        said = _said(message["content"])
        source = provenance(id=message.get("id"), model=message.get("model"), usage=message.get("usage"))
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
        event = mapping(chunk)
        kind = event["type"]
        if kind == "message_start":
            begun = event["message"]
            self._source = provenance(id=begun.get("id"), model=begun.get("model"), usage=begun.get("usage"))
        elif kind == "content_block_start":
            block = dict(event["content_block"])
            self._blocks[event["index"]] = {**block, "json": ""} if block["type"] == "tool_use" else block
        elif kind == "content_block_delta":
            block, delta = self._blocks[event["index"]], event["delta"]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            elif delta["type"] == "input_json_delta" and "json" in block:
                block["json"] += delta["partial_json"]
        elif kind == "message_delta":
            self._finished = event["delta"].get("stop_reason") is not None
            self._source["usage"] = {**self._source.get("usage", {}), **(event.get("usage") or {})}

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
