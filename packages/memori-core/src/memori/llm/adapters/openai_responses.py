"""OpenAI's Responses API: items instead of messages, and a provider that keeps the conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...model import Message, Role, ToolCall
from ..base import Dialect, Gatherer, Inject, Request, joined, provenance, spoken
from .stainless import answered, given, last_user, mapping, raw, repeatable

_ROLES: dict[str, Role] = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
_LAST = ("response.completed", "response.incomplete", "response.failed")


class Responses(Dialect):
    """The items of a response. All that the model says and calls between two of ours is one message."""

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make items and contents given as iterators lists."""
        return repeatable(arguments, "input")

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read instructions and input. Without an input (a prompt template, say) there is nothing to hear."""
        items = _items(arguments)
        if not items:
            return None
        instructions = given(arguments, "instructions")
        messages = [Message("system", instructions)] if isinstance(instructions, str) else []
        messages += _messages(items)
        asked = last_user(items)
        human = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "user"), None)
        thread = given(arguments, "previous_response_id") or given(arguments, "conversation")
        return Request(
            messages=tuple(messages),
            human=human,
            query="" if asked is None else spoken(_texts(items[asked]["content"])),
            stream=arguments.get("stream") is True,
            raw=raw(arguments),
            stateful=_stateful(arguments),
            thread=thread["id"] if isinstance(thread, Mapping) else thread,
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block at the end of the instructions, or into the input when the provider keeps nothing."""
        asked = last_user(_items(arguments))
        if where == "system" or _stateful(arguments) or asked is None:
            instructions = given(arguments, "instructions")
            return {**arguments, "instructions": f"{instructions}\n\n{block}" if instructions else block}
        if isinstance(arguments["input"], str):
            return {**arguments, "input": joined(block, arguments["input"])}
        items = list(arguments["input"])
        items[asked] = answered(items[asked], block, "input_text")
        return {**arguments, "input": items}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called, in one message."""
        said = _said([mapping(item) for item in response.output])
        source = provenance(id=response.id, model=response.model, usage=response.usage)
        return said and replace(said, payload=source)

    def gather(self) -> Gatherer:
        """Begin to read events."""
        return _Events(self)


class _Events(Gatherer):
    def __init__(self, dialect: Responses) -> None:
        self._dialect = dialect
        self._items: dict[int, dict[str, Any]] = {}
        self._response: Any = None
        self._finished = False

    def add(self, chunk: Any) -> None:
        if chunk.type == "response.created":
            self._response = chunk.response
        elif chunk.type in _LAST:
            self._response, self._finished = chunk.response, chunk.type != "response.failed"
        elif chunk.type in ("response.output_item.added", "response.output_item.done"):
            self._items[chunk.output_index] = dict(mapping(chunk.item))
        elif chunk.type == "response.output_text.delta":
            self._grow(chunk, "output_text", "text")
        elif chunk.type == "response.refusal.delta":
            self._grow(chunk, "refusal", "refusal")
        elif chunk.type == "response.function_call_arguments.delta":
            self._add(chunk, "arguments")
        elif chunk.type == "response.custom_tool_call_input.delta":
            self._add(chunk, "input")

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        if self._finished and self._response.output:
            return self._dialect.answer(self._response)
        said = _said([item for _, item in sorted(self._items.items())])
        if said is None or self._response is None:
            return said
        return replace(said, payload=provenance(id=self._response.id, model=self._response.model, usage=None))

    def _grow(self, chunk: Any, kind: str, key: str) -> None:
        item = self._items.setdefault(chunk.output_index, {"type": "message", "role": "assistant", "content": []})
        parts = item["content"] = list(item["content"])
        while len(parts) <= chunk.content_index:
            parts.append({"type": kind, key: ""})
        parts[chunk.content_index] = {"type": kind, key: parts[chunk.content_index].get(key, "") + chunk.delta}

    def _add(self, chunk: Any, key: str) -> None:
        item = self._items[chunk.output_index]
        item[key] = (item.get(key) or "") + chunk.delta


def _stateful(arguments: Mapping[str, Any]) -> bool:
    """Whether the provider keeps the conversation: what is put into the input would be there for ever."""
    return given(arguments, "store") is not False


def _items(arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = given(arguments, "input")
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    return [mapping(item) for item in found or ()]


def _kind(item: Mapping[str, Any]) -> str:
    kind: str = item.get("type") or "message"
    return kind


def _messages(items: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Read the items of an input. Raises `KeyError` for a role that is none of OpenAI's."""
    messages: list[Message] = []
    model: list[Mapping[str, Any]] = []

    def end_of_answer() -> None:
        if (said := _said(model)) is not None:
            messages.append(said)
        model.clear()

    for item in items:
        kind = _kind(item)
        if kind.endswith("_output") and "call_id" in item:
            end_of_answer()
            messages.append(Message("tool", _output(item.get("output")), tool_call_id=item["call_id"]))
        elif kind == "message" and _ROLES[item["role"]] != "assistant":
            end_of_answer()
            messages.append(Message(_ROLES[item["role"]], spoken(_texts(item["content"], marked=True))))
        else:
            model.append(item)
    end_of_answer()
    return messages


def _said(items: Iterable[Mapping[str, Any]]) -> Message | None:
    """The message of an answer's items, or None when they say nothing and call nothing of ours."""
    texts: list[str] = []
    calls: list[ToolCall] = []
    for item in items:
        if _kind(item) == "message":
            texts += _texts(item.get("content"), marked=True)
        elif _kind(item).endswith("_call") and item.get("call_id"):
            calls.append(_call(item))
    content = spoken(texts)
    return Message("assistant", content, tool_calls=tuple(calls)) if content or calls else None


def _call(item: Mapping[str, Any]) -> ToolCall:
    name = item.get("name") or _kind(item).removesuffix("_call")
    arguments = item.get("arguments") or item.get("input")
    if arguments is None:
        arguments = json.dumps(item.get("action") or item.get("operation") or {}, default=str)
    return ToolCall(id=item["call_id"], name=name, arguments=arguments)


def _output(output: Any) -> str:
    if isinstance(output, list | tuple):
        return spoken(_texts(output, marked=True))
    return output if isinstance(output, str) else json.dumps(output, default=str)


def _texts(content: Any, *, marked: bool = False) -> list[str]:
    """The texts of a content. `marked`: something stands for each part that is no text, such as "[image]"."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    texts = []
    for part in map(mapping, content):
        kind = part["type"]
        if kind in ("input_text", "output_text", "text"):
            texts.append(part["text"])
        elif kind == "refusal":
            texts.append(part["refusal"])
        elif marked:
            texts.append(f"[{kind.removeprefix('input_')}]")
    return texts
