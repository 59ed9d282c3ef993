"""Google's SDK (google-genai): models and chats, synchronous and asynchronous, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.genai import Client
from google.genai.types import Content, Part

from ...model import Message, ToolCall
from ...structured import StructuredModel, StructuredReply
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, joined, provenance, spoken

Turns = list[tuple[str, list[Any]]]
"""Role and parts of each turn: loose parts in a row are one of the user's."""


class GoogleAdapter(Adapter):
    """`google.genai.Client`, its `aio` side, and the chats of both, which call its models."""

    def methods(self, client: Any) -> Sequence[Method]:
        """`generate_content` and `generate_content_stream`."""
        if not isinstance(client, Client):
            return ()
        return [
            Method(f"{path}.{name}", dialect, asynchronous=path != "models")
            for path in ("models", "aio.models")
            for name, dialect in (
                ("generate_content", Contents()),
                ("generate_content_stream", Contents(stream=True)),
            )
        ]

    def structured(self, client: Any, model: str) -> StructuredModel:
        """Content with a response schema."""

        def ask(messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
            said: Any = [
                {"role": "model" if one.role == "assistant" else "user", "parts": [{"text": one.content}]}
                for one in messages
                if one.role != "system"
            ]
            config: Any = {
                "system_instruction": "\n\n".join(one.content for one in messages if one.role == "system"),
                "response_mime_type": "application/json",
                "response_json_schema": dict(schema),
            }
            answer = client.models.generate_content(model=model, contents=said, config=config)
            used = answer.usage_metadata
            return StructuredReply(
                answer.text or "",
                model=answer.model_version or model,
                input_tokens=(used.prompt_token_count or 0) if used else 0,
                output_tokens=(used.candidates_token_count or 0) if used else 0,
            )

        return ask


class Contents(Dialect):
    """The contents of a request, in every form the SDK takes. Only the first candidate is remembered."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make contents given as an iterator a list."""
        contents = arguments.get("contents")
        return {**arguments, "contents": list(contents)} if isinstance(contents, Iterator) else dict(arguments)

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the instructions and the contents."""
        instruction = _field(arguments.get("config"), "system_instruction")
        messages = [Message("system", text) for _, parts in _turns(instruction) for text in _texts(parts)]
        turns = _turns(arguments["contents"])
        asked = next((i for i in range(len(turns) - 1, -1, -1) if _is_human(*turns[i])), None)
        human = None
        for index, (role, parts) in enumerate(turns):
            if role != "model":
                messages += _heard(parts)
            elif (said := _said(parts)) is not None:
                messages.append(said)
            if index == asked:
                human = len(messages) - 1
        return Request(
            messages=tuple(messages),
            human=human,
            query="" if asked is None else spoken(_texts(turns[asked][1])),
            stream=self._stream,
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block after the last human part or at the end of the instructions."""
        if where == "system":
            config = arguments.get("config")
            instruction = _extended(_field(config, "system_instruction"), block)
            if config is None or isinstance(config, Mapping):
                kept = {key: value for key, value in (config or {}).items() if key != "systemInstruction"}
                return {**arguments, "config": {**kept, "system_instruction": instruction}}
            return {**arguments, "config": config.model_copy(update={"system_instruction": instruction})}
        contents = arguments["contents"]
        if isinstance(contents, str):
            return {**arguments, "contents": joined(block, contents)}
        items = list(contents) if isinstance(contents, list | tuple) else [contents]
        for index in range(len(items) - 1, -1, -1):
            item = items[index]
            if not _is_content(item):
                if not _is_result(item):
                    items.insert(index + 1, block)
                    break
            elif _is_human(*_content(item)):
                items[index] = _extended(item, block)
                break
        return {**arguments, "contents": items}

    def answer(self, response: Any) -> Message | None:
        """Read the first candidate."""
        gatherer = _Chunks()
        gatherer.add(response)
        return gatherer.message()

    def gather(self) -> Gatherer:
        """Begin to read chunks."""
        return _Chunks()


class _Chunks(Gatherer):
    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._source: dict[str, Any] = {}
        self._finished = False

    def add(self, chunk: Any) -> None:
        self._source |= provenance(id=chunk.response_id, model=chunk.model_version, usage=chunk.usage_metadata)
        for candidate in (chunk.candidates or ())[:1]:
            self._finished = self._finished or candidate.finish_reason is not None
            if candidate.content is not None:
                self._parts += candidate.content.parts or ()

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        said = _said(self._parts)
        return said and replace(said, payload=self._source)


def _field(value: Any, name: str) -> Any:
    """A field of a model or of a mapping, which may spell it in either case."""
    if isinstance(value, Mapping):
        head, *tail = name.split("_")
        return value.get(name, value.get(head + "".join(word.capitalize() for word in tail)))
    return getattr(value, name, None)


def _is_content(item: Any) -> bool:
    return isinstance(item, Content) or (isinstance(item, Mapping) and "parts" in item)


def _content(item: Any) -> tuple[str, list[Any]]:
    parts = _field(item, "parts") or []
    return _field(item, "role") or "user", list(parts) if isinstance(parts, list | tuple) else [parts]


def _turns(contents: Any) -> Turns:
    """The turns of a conversation; those of one side in a row that hold an answer are one answer."""
    if contents is None:
        return []
    turns: Turns = []
    loose = False
    for item in contents if isinstance(contents, list | tuple) else [contents]:
        if _is_content(item):
            role, parts = _content(item)
            if role == "model" and turns and turns[-1][0] == "model":
                turns[-1][1].extend(parts)
            else:
                turns.append((role, parts))
            loose = False
        elif loose:
            turns[-1][1].append(item)
        else:
            turns.append(("user", [item]))
            loose = True
    return turns


def _extended(content: Any, block: str) -> Any:
    """A copy of instructions or of a content with the block at its end."""
    if content is None:
        return block
    if isinstance(content, str):
        return f"{content}\n\n{block}"
    if isinstance(content, Content):
        return content.model_copy(update={"parts": [*(content.parts or ()), Part(text=block)]})
    if _is_content(content):
        return {**content, "parts": [*_content(content)[1], {"text": block}]}
    return [*(content if isinstance(content, list | tuple) else [content]), block]


def _is_result(part: Any) -> bool:
    return _field(part, "function_response") is not None


def _is_human(role: str, parts: Sequence[Any]) -> bool:
    return role == "user" and any(not _is_result(part) for part in parts)


def _text(part: Any) -> str | None:
    text = part if isinstance(part, str) else _field(part, "text")
    return text if isinstance(text, str) else None


def _texts(parts: Sequence[Any], *, marked: bool = False) -> list[str]:
    """The texts of parts. `marked`: something stands for each part that is no text."""
    texts = []
    for part in parts:
        if (text := _text(part)) is not None:
            texts.append(text)
        elif marked:
            data = _field(part, "inline_data") or _field(part, "file_data") or part
            kind = (_field(data, "mime_type") or "file").partition("/")[0]
            texts.append(f"[{kind}]")
    return texts


def _heard(parts: Sequence[Any]) -> list[Message]:
    """What the user's side says: the results of functions are messages of their own."""
    messages = []
    for part in parts:
        if _is_result(part):
            result = _field(part, "function_response")
            name = _field(result, "name") or ""
            text = json.dumps(_field(result, "response"), ensure_ascii=False, default=str)
            messages.append(Message("tool", text, name=name, tool_call_id=_field(result, "id") or name))
    own = [part for part in parts if not _is_result(part)]
    if own or not messages:
        messages.append(Message("user", spoken(_texts(own, marked=True))))
    return messages


def _said(parts: Sequence[Any]) -> Message | None:
    """What the model says and calls, or None for nothing; what it thought is its own."""
    texts, calls = [], []
    for part in parts:
        if (called := _field(part, "function_call")) is not None:
            name = _field(called, "name") or ""
            arguments = json.dumps(_field(called, "args") or {}, ensure_ascii=False, default=str)
            calls.append(ToolCall(id=_field(called, "id") or name, name=name, arguments=arguments))
        elif (text := _text(part)) is not None and not _field(part, "thought"):
            texts.append(text)
    content = spoken(["".join(texts)])
    return Message("assistant", content, tool_calls=tuple(calls)) if content or calls else None
