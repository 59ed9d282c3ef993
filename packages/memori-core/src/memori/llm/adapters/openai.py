"""OpenAI's SDK: its clients, and chat completions; `openai_responses` speaks its other API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from openai import AsyncOpenAI, OpenAI

from ...model import Message, Role, ToolCall
from ...structured import StructuredModel, StructuredReply
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, not_awaited, provenance, spoken
from .openai_responses import Responses
from .stainless import RAW_VIEWS, answered, last_user, mapping, raw, repeatable

_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class OpenAIAdapter(Adapter):
    """`OpenAI`, `AsyncOpenAI` and their subclasses (Azure), with any base URL."""

    copies = ("copy", "with_options")

    views = RAW_VIEWS

    def methods(self, client: Any) -> Sequence[Method]:
        """`create` and `parse` of both APIs; their `stream` calls `create`."""
        if not isinstance(client, OpenAI | AsyncOpenAI):
            return ()
        apis = {"chat.completions": ChatCompletions(), "responses": Responses()}
        awaited = isinstance(client, AsyncOpenAI)
        return [
            Method(f"{path}.{name}", dialect, asynchronous=awaited)
            for path, dialect in apis.items()
            for name in ("create", "parse")
        ]

    def structured(self, client: Any, model: str) -> StructuredModel:
        """Chat completions with a JSON schema."""
        if not isinstance(client, OpenAI):
            raise not_awaited(client)

        def ask(messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
            form = {"name": "memory", "schema": dict(schema), "strict": True}
            said: Any = [{"role": message.role, "content": message.content} for message in messages]
            answer = client.chat.completions.create(
                model=model, messages=said, response_format=cast(Any, {"type": "json_schema", "json_schema": form})
            )
            content = answer.choices[0].message.content if answer.choices else None
            used = answer.usage
            return StructuredReply(
                content or "",
                model=answer.model,
                input_tokens=used.prompt_tokens if used else 0,
                output_tokens=used.completion_tokens if used else 0,
            )

        return ask


class ChatCompletions(Dialect):
    """The messages of a chat completion. Only the first of several choices is remembered."""

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make messages, contents and tool calls given as iterators lists."""
        return repeatable(arguments, "messages")

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the messages."""
        native = [mapping(message) for message in arguments["messages"]]
        human = last_user(native)
        return Request(
            messages=tuple(_message(message) for message in native),
            human=human,
            query="" if human is None else spoken(_texts(native[human].get("content"))),
            stream=arguments.get("stream") is True,
            raw=raw(arguments),
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block into a copy of the messages."""
        messages = list(arguments["messages"])
        if where == "system":
            roles = [mapping(message).get("role") for message in messages]
            leading = next((i for i, role in enumerate(roles) if _ROLES.get(str(role)) != "system"), len(roles))
            role = roles[0] if leading else "system"
            messages.insert(leading, {"role": role, "content": block})
        elif (human := last_user([mapping(message) for message in messages])) is not None:
            messages[human] = answered(messages[human], block)
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read the first choice."""
        if not response.choices:
            return None
        said = _said(mapping(response.choices[0].message))
        source = provenance(id=response.id, model=response.model, usage=getattr(response, "usage", None))
        return said and replace(said, payload=source)

    def gather(self) -> Gatherer:
        """Begin to read chunks."""
        return _Chunks()


class _Chunks(Gatherer):
    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._function: dict[str, str] | None = None
        self._finished = False
        self._source: dict[str, Any] = {}

    def add(self, chunk: Any) -> None:
        self._source |= provenance(id=chunk.id, model=chunk.model, usage=getattr(chunk, "usage", None))
        for choice in chunk.choices or ():
            if choice.index:
                continue
            self._finished = self._finished or choice.finish_reason is not None
            delta = choice.delta
            if delta is None:
                continue
            if delta.content:
                self._text.append(delta.content)
            if refusal := getattr(delta, "refusal", None):
                self._refusal.append(refusal)
            for piece in delta.tool_calls or ():
                self._add_call(piece)
            if getattr(delta, "function_call", None):
                called = self._function or {"name": "", "arguments": ""}
                name, arguments = delta.function_call.name, delta.function_call.arguments
                self._function = {
                    "name": called["name"] + (name or ""),
                    "arguments": called["arguments"] + (arguments or ""),
                }

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        calls = [{"id": call["id"], "function": call} for call in self._calls]
        content = "".join(self._text) or None
        refusal = "".join(self._refusal)
        said = _said({"content": content, "refusal": refusal, "tool_calls": calls, "function_call": self._function})
        return said and replace(said, payload=self._source)

    def _add_call(self, piece: Any) -> None:
        """Add to the call of that index; some servers number none, and tell a new call by its id."""
        same = [call for call in self._calls if call["index"] == piece.index]
        if not same or (piece.id and same[-1]["id"] and piece.id != same[-1]["id"]):
            self._calls.append({"index": piece.index, "id": "", "name": "", "arguments": ""})
            same = self._calls[-1:]
        call = same[-1]
        call["id"] = piece.id or call["id"]
        if piece.function is not None:
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""


def _message(native: Mapping[str, Any]) -> Message:
    """Read one message of a request. Raises `KeyError` for a role that is none of OpenAI's."""
    role = _ROLES[native["role"]]
    if role == "assistant":
        return _said(native) or Message("assistant", "")
    return Message(
        role,
        spoken(_texts(native.get("content"), marked=True)),
        name=native.get("name"),
        tool_call_id=native.get("tool_call_id") or (native.get("name") if native["role"] == "function" else None),
    )


def _said(native: Mapping[str, Any]) -> Message | None:
    """Read an assistant's message, or None when it says nothing and calls nothing."""
    content = spoken(_texts(native.get("content"), marked=True)) or native.get("refusal") or ""
    calls = [_call(mapping(call)) for call in native.get("tool_calls") or ()]
    if function := native.get("function_call"):
        called = mapping(function)
        calls.append(ToolCall(id=called["name"], name=called["name"], arguments=called["arguments"]))
    if not content and not calls:
        return None
    return Message("assistant", content, name=native.get("name"), tool_calls=tuple(calls))


def _call(native: Mapping[str, Any]) -> ToolCall:
    if custom := native.get("custom"):
        called = mapping(custom)
        return ToolCall(id=native.get("id") or "", name=called["name"], arguments=called.get("input") or "")
    called = mapping(native["function"])
    return ToolCall(id=native.get("id") or "", name=called["name"], arguments=called.get("arguments") or "")


def _texts(content: Any, *, marked: bool = False) -> list[str]:
    """The texts of a content. `marked`: something stands for each part that is no text, such as "[image]"."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    texts = []
    for part in map(mapping, content):
        kind = part["type"]
        if kind in ("text", "refusal"):
            texts.append(part[kind])
        elif marked:
            texts.append(f"[{kind.removesuffix('_url').removeprefix('input_')}]")
    return texts
