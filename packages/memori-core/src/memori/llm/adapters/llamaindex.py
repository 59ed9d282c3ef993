"""LlamaIndex's LLMs, of whatever provider: chat and completion, synchronous and asynchronous, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.llms.llm import LLM

from ...errors import ConfigurationError
from ...model import Message, Role, ToolCall
from ...structured import StructuredModel
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, is_context, joined, provenance, spoken

_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.FUNCTION: "tool",
    MessageRole.TOOL: "tool",
}


class LlamaIndexAdapter(Adapter):
    """Any `llama_index.core.llms.LLM`. What it calls in turn, another of its methods or a client, is part of it."""

    def methods(self, client: Any) -> Sequence[Method]:
        """The eight ways of asking; `predict`, tools and structured output go through them."""
        if not isinstance(client, LLM):
            return ()
        return [
            Method(
                f"{awaited}{stream}{name}",
                dialect(stream=bool(stream)),
                asynchronous=bool(awaited),
                positional=dialect.positional,
                nested=True,
            )
            for awaited in ("", "a")
            for stream in ("", "stream_")
            for name, dialect in (("chat", Chat), ("complete", Completion))
        ]

    def structured(self, client: Any, model: str) -> StructuredModel:
        """An LLM of LlamaIndex is asked for facts by its own extractor."""
        raise ConfigurationError(
            f"A {type(client).__name__} extracts as Memori(extractor=LlamaIndexExtractor(llm)), with "
            "memori_llamaindex.LlamaIndexExtractor."
        )


class Chat(Dialect):
    """A list of messages."""

    positional = ("messages",)

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make messages that can be read only once a list."""
        messages = arguments.get("messages")
        return {**arguments, "messages": list(messages)} if isinstance(messages, Iterator) else dict(arguments)

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the messages. A question that a memory of LlamaIndex has put memories to is given none again."""
        native: Sequence[ChatMessage] = arguments["messages"]
        human = _last_human(native)
        asked = "" if human is None else "\n".join(_texts(native[human]))
        return Request(
            messages=tuple(map(_message, native)),
            human=human,
            query="" if is_context(asked) else asked,
            stream=self._stream,
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block into the last human message, or a system message of its own."""
        messages: list[ChatMessage] = list(arguments["messages"])
        human = _last_human(messages)
        if where == "system" or human is None:
            leading = next((i for i, one in enumerate(messages) if _role(one) != "system"), len(messages))
            messages.insert(leading, ChatMessage(block, role=MessageRole.SYSTEM))
        else:
            blocks = messages[human].blocks
            only = blocks[0] if len(blocks) == 1 else None
            if isinstance(only, TextBlock):
                blocks = [only.model_copy(update={"text": joined(block, only.text)})]
            else:
                blocks = [*blocks, TextBlock(text=block)]
            messages[human] = messages[human].model_copy(update={"blocks": blocks})
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called."""
        said = _message(response.message)
        if not said.content and not said.tool_calls:
            return None
        return replace(said, role="assistant", payload=_source(response.raw))

    def gather(self) -> Gatherer:
        """Begin to read a stream, each piece of which holds the whole answer so far."""
        return _Newest(self)


class Completion(Dialect):
    """One prompt: a message without any before it."""

    positional = ("prompt", "formatted")

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the prompt as a human's."""
        prompt = arguments["prompt"]
        message = Message("user", spoken([prompt]))
        return Request((message,), 0, "" if is_context(prompt) else message.content, stream=self._stream)

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block before the prompt."""
        return {**arguments, "prompt": joined(block, arguments["prompt"])}

    def answer(self, response: Any) -> Message | None:
        """Read the text."""
        text = spoken([response.text])
        return Message("assistant", text, payload=_source(response.raw)) if text else None

    def gather(self) -> Gatherer:
        """Begin to read a stream, each piece of which holds the whole text so far."""
        return _Newest(self)


class _Newest(Gatherer):
    """A stream of LlamaIndex doesn't say that it is complete: it is, when it came to its end."""

    finished = False

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._message: Message | None = None

    def add(self, chunk: Any) -> None:
        self._message = self._dialect.answer(chunk) or self._message

    def message(self) -> Message | None:
        return self._message


def _message(native: ChatMessage) -> Message:
    answers = native.additional_kwargs.get("tool_call_id")
    return Message(
        role=_role(native),
        content=spoken(_texts(native, marked=True)),
        tool_calls=tuple(_tool_call(block) for block in native.blocks if isinstance(block, ToolCallBlock)),
        tool_call_id=answers if isinstance(answers, str) else None,
    )


def _texts(native: ChatMessage, *, marked: bool = False) -> list[str]:
    """The texts of a message. `marked`: something stands for what is neither text nor the model's own affair."""
    texts = []
    for block in native.blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif marked and block.block_type not in ("tool_call", "thinking", "cache"):
            texts.append(f"[{block.block_type}]")
    return texts


def _tool_call(block: ToolCallBlock) -> ToolCall:
    given = block.tool_kwargs
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
    return ToolCall(id=block.tool_call_id or "", name=block.tool_name, arguments=arguments)


def _role(native: ChatMessage) -> Role:
    return _ROLES.get(native.role, "assistant")


def _last_human(native: Sequence[ChatMessage]) -> int | None:
    return next((place for place in reversed(range(len(native))) if _role(native[place]) == "user"), None)


def _source(raw: Any) -> dict[str, Any]:
    """The provider's id, model and usage, where it handed its own answer on."""

    def field(name: str) -> Any:
        return raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)

    id_, model, usage = field("id"), field("model"), field("usage")
    return provenance(
        id=id_ if isinstance(id_, str) else None,
        model=model if isinstance(model, str) else None,
        usage=usage if isinstance(usage, Mapping) or hasattr(usage, "model_dump") else None,
    )
