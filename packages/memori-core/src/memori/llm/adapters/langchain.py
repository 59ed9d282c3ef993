"""LangChain's chat models: any `BaseChatModel`, called, awaited and streamed, alone, in a chain or in an agent."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables.config import ensure_config

from ...model import Message, Role, ToolCall
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, joined, provenance, spoken

_ARGUMENTS = ("messages", "stop", "run_manager")
_HOOKS = (".before_agent", ".before_model", ".after_model", ".after_agent")
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
_registered: weakref.WeakKeyDictionary[type, weakref.ref[Any]] = weakref.WeakKeyDictionary()
"""The classes made for registered models, each with the model it was made for."""


class LangChainAdapter(Adapter):
    """Chat models. What binds one (`bind_tools`, `with_structured_output`, a chain, an agent) goes through it."""

    def holder(self, client: Any) -> type:
        """A class of the model's own: its instances take no attributes, and copies keep the class."""
        kind = type(client)
        owner = _registered.get(kind)
        if owner is not None and owner() is client:
            return kind
        own = _class_of_its_own(kind.__mro__[1] if owner is not None else kind)
        _registered[own] = weakref.ref(client)
        object.__setattr__(client, "__class__", own)
        return own

    def methods(self, client: Any) -> Sequence[Method]:
        """The methods that a provider's package writes. What it leaves to LangChain calls one of the others."""
        if not isinstance(client, BaseChatModel):
            return ()
        written = {
            name
            for name in ("_generate", "_agenerate", "_stream", "_astream")
            if getattr(type(client), name) is not getattr(BaseChatModel, name)
        }
        whole, pieces = Conversation(), Conversation(stream=True)
        every = [
            Method("_generate", whole, positional=_ARGUMENTS, nested=True),
            Method("_agenerate", whole, asynchronous=True, positional=_ARGUMENTS, nested=True),
            Method("_stream", pieces, positional=_ARGUMENTS, nested=True),
            Method("_astream", pieces, asynchronous=True, lazy=True, positional=_ARGUMENTS, nested=True),
        ]
        return [method for method in every if method.path in written]


class Conversation(Dialect):
    """The messages of a call. What LangChain's own middleware asks a model is left alone."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the messages."""
        if _is_middlewares(arguments.get("run_manager")):
            return None
        native: Sequence[BaseMessage] = arguments["messages"]
        human = _last_human(native)
        return Request(
            messages=tuple(_message(message) for message in native),
            human=human,
            query="" if human is None else spoken(_texts(native[human].content)),
            stream=self._stream,
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block into a copy of the last human message, or of the system message."""
        messages: list[BaseMessage] = list(arguments["messages"])
        if where == "system":
            if messages and isinstance(messages[0], SystemMessage):
                messages[0] = _extended(messages[0], block, lambda text: f"{text}\n\n{block}")
            else:
                messages.insert(0, SystemMessage(block))
        elif (human := _last_human(messages)) is not None:
            messages[human] = _extended(messages[human], block, lambda text: joined(block, text))
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read the first generation."""
        if not response.generations:
            return None
        first = response.generations[0]
        return _answer(first.message, {**(response.llm_output or {}), **(first.generation_info or {})})

    def gather(self) -> Gatherer:
        """Begin to read chunks."""
        return _Chunks()


class _Chunks(Gatherer):
    def __init__(self) -> None:
        self._chunks: list[Any] = []
        self._told: dict[str, Any] = {}

    def add(self, chunk: Any) -> None:
        self._chunks.append(chunk.message)
        self._told |= chunk.generation_info or {}

    @property
    def finished(self) -> bool:
        """Providers say so each in its own way; what counts is that the generator ends."""
        return False

    def message(self) -> Message | None:
        if not self._chunks:
            return None
        first, *rest = self._chunks
        return _answer(first + rest if rest else first, self._told)


def _is_middlewares(run_manager: Any) -> bool:
    told = {**ensure_config().get("metadata", {}), **(getattr(run_manager, "metadata", None) or {})}
    # A stream is not given its run manager; then the graph's node says who asks.
    return bool(told.get("lc_source")) or str(told.get("langgraph_node", "")).endswith(_HOOKS)


def _last_human(messages: Sequence[BaseMessage]) -> int | None:
    places = range(len(messages) - 1, -1, -1)
    return next((place for place in places if _role(messages[place]) == "user"), None)


def _role(message: BaseMessage) -> Role:
    if isinstance(message, HumanMessage) and "lc_source" in message.additional_kwargs:
        return "system"  # a summary that LangChain wrote
    if isinstance(message, ChatMessage):
        return _ROLES.get(message.role, "user")
    return _ROLES[message.type.removesuffix("MessageChunk").lower()]


def _message(native: BaseMessage) -> Message:
    return Message(
        _role(native),
        spoken(_texts(native.content, marked=True)),
        name=native.name,
        tool_calls=_calls(native),
        tool_call_id=native.tool_call_id if isinstance(native, ToolMessage) else None,
    )


def _answer(native: BaseMessage, told: Mapping[str, Any]) -> Message | None:
    said = _message(native)
    if not said.content and not said.tool_calls:
        return None
    told = {**told, **native.response_metadata}
    source = provenance(
        id=told.get("id") or native.id,
        model=told.get("model_name") or told.get("model"),
        usage=getattr(native, "usage_metadata", None),
    )
    return replace(said, role="assistant", payload=source)


def _calls(native: BaseMessage) -> tuple[ToolCall, ...]:
    if not isinstance(native, AIMessage):
        return ()
    return tuple(
        ToolCall(call["id"] or "", call["name"], json.dumps(call["args"], default=str)) for call in native.tool_calls
    )


def _texts(content: Any, *, marked: bool = False) -> list[str]:
    """The texts of a content. `marked`: something stands for each picture or file, such as "[image]"."""
    if isinstance(content, str):
        return [content]
    texts = []
    for part in content:
        kind = "text" if isinstance(part, str) else part.get("type")
        if kind == "text":
            texts.append(part if isinstance(part, str) else part["text"])
        elif marked and kind in ("image", "image_url", "audio", "input_audio", "video", "file", "document"):
            texts.append(f"[{kind.removesuffix('_url').removeprefix('input_')}]")
    return texts


def _extended(message: BaseMessage, block: str, text: Callable[[str], str]) -> BaseMessage:
    content = message.content
    extended: Any = text(content) if isinstance(content, str) else [*content, {"type": "text", "text": block}]
    return message.model_copy(update={"content": extended})


def _class_of_its_own(kind: Any) -> type:
    def reduce(self: Any, protocol: Any) -> Any:
        """As an instance of the class that can be imported: what is unpickled is not registered."""
        _, _, *state = kind.__reduce_ex__(self, protocol)
        return kind.__new__, (kind,), *state

    # What a class is known by: tracing and serialisation go by it.
    own: type = type(kind)(
        kind.__name__,
        (kind,),
        {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__doc__": kind.__doc__,
            "__reduce_ex__": reduce,
        },
    )
    return own
