"""Pydantic AI's models, and agents by the model they have: awaited and streamed, alone or in an agent."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.wrapper import WrapperModel

from ...errors import UnknownClientError
from ...model import Message, ToolCall
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, joined, provenance, spoken

_ARGUMENTS = ("messages", "model_settings", "model_request_parameters", "run_context")


class PydanticAIAdapter(Adapter):
    """Models, whatever provider they are of, and agents: other users of an agent's model are not heard through it."""

    def methods(self, client: Any) -> Sequence[Method]:
        """The two ways to ask a model. Clients of the provider, registered too, stay silent underneath."""
        if isinstance(client, Agent):
            if not (isinstance(client.model, _AgentsModel) and client.model.agent() is client):
                client.model = _AgentsModel(_model(client), client)
            way = "model."
        elif isinstance(client, Model):
            way = ""
        else:
            return ()
        return [
            Method(f"{way}request", Conversation(), asynchronous=True, positional=_ARGUMENTS[:3], nested=True),
            Method(
                f"{way}request_stream",
                Conversation(stream=True),
                asynchronous=True,
                helper=True,
                reads=None,
                positional=_ARGUMENTS,
                nested=True,
            ),
        ]


class Conversation(Dialect):
    """The messages of a request."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the messages; instructions are the agent's own affair."""
        native: Sequence[ModelMessage] = arguments["messages"]
        asked = _last_human(native)
        messages: list[Message] = []
        human = None
        for place, message in enumerate(native):
            for number, said in _said(message):
                if asked == (place, number):
                    human = len(messages)
                messages.append(said)
        query = "" if asked is None else _question(native[asked[0]], asked[1])
        return Request(messages=tuple(messages), human=human, query=query, stream=self._stream)

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block into a copy of the last prompt, or before everything."""
        messages: list[Any] = list(arguments["messages"])
        asked = _last_human(messages)
        if where == "system" or asked is None:
            place = next(place for place, message in enumerate(messages) if isinstance(message, ModelRequest))
            parts = [SystemPromptPart(block), *messages[place].parts]
        else:
            place, number = asked
            parts = list(messages[place].parts)
            content = parts[number].content
            extended = joined(block, content) if isinstance(content, str) else [*content, TextContent(block)]
            parts[number] = replace(parts[number], content=extended)
        messages[place] = replace(messages[place], parts=parts)
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called; what it thought is its own."""
        return _answer(response)

    def gather(self) -> Gatherer:
        """Begin to read events."""
        return _Events()


class _Events(Gatherer):
    def __init__(self) -> None:
        self._parts: dict[int, ModelResponsePart] = {}

    def add(self, chunk: Any) -> None:
        if isinstance(chunk, PartStartEvent):
            self._parts[chunk.index] = chunk.part
        elif isinstance(chunk, PartDeltaEvent):
            self._parts[chunk.index] = chunk.delta.apply(self._parts[chunk.index])

    @property
    def finished(self) -> bool:
        """Events don't tell: what counts is that the stream ends."""
        return False

    def message(self) -> Message | None:
        return _answer(ModelResponse(parts=[part for _, part in sorted(self._parts.items())]))


class _AgentsModel(WrapperModel):
    """An agent's model as this agent alone has it: others may share the model, and speak for somebody else."""

    def __init__(self, wrapped: Model, agent: Agent[Any, Any]) -> None:
        super().__init__(wrapped)
        self.agent = weakref.ref(agent)


def _model(agent: Agent[Any, Any]) -> Model:
    """The agent's model, made of its name where it has only that."""
    if agent.model is None:
        raise UnknownClientError(
            "This agent has no model of its own: register the model that its runs are given, register(model)."
        )
    return agent.model if isinstance(agent.model, Model) else infer_model(agent.model)


def _last_human(native: Sequence[ModelMessage]) -> tuple[int, int] | None:
    """Where the last prompt is that somebody wrote: its message, and its part."""
    for place in range(len(native) - 1, -1, -1):
        message = native[place]
        if isinstance(message, ModelRequest):
            for number in range(len(message.parts) - 1, -1, -1):
                part = message.parts[number]
                if isinstance(part, UserPromptPart) and spoken(_texts(part.content)).strip():
                    return place, number
    return None


def _question(message: ModelMessage, number: int) -> str:
    """What the prompt asks; "" where a history processor has answered it with memories already."""
    prompts = [texts for part in message.parts if isinstance(part, UserPromptPart) and (texts := _texts(part.content))]
    if any(spoken([text]) != text for texts in prompts for text in texts):
        return ""
    part = message.parts[number]
    return spoken(_texts(part.content)) if isinstance(part, UserPromptPart) else ""


def _said(native: ModelMessage) -> list[tuple[int, Message]]:
    """What a message says, with the number of the part."""
    if isinstance(native, ModelResponse):
        return [(0, _answer(native) or Message("assistant", ""))]
    found: list[tuple[int, Message]] = []
    for number, part in enumerate(native.parts):
        if isinstance(part, SystemPromptPart):
            found.append((number, Message("system", part.content)))
        elif isinstance(part, UserPromptPart):
            content = spoken(_texts(part.content, marked=True))
            if content:
                found.append((number, Message("user", content)))
        elif isinstance(part, ToolReturnPart):
            content = part.model_response_str()
            found.append((number, Message("tool", content, name=part.tool_name, tool_call_id=part.tool_call_id)))
    return found


def _answer(native: ModelResponse) -> Message | None:
    content = spoken(part.content for part in native.parts if isinstance(part, TextPart))
    calls = tuple(
        ToolCall(part.tool_call_id, part.tool_name, part.args_as_json_str())
        for part in native.parts
        if isinstance(part, ToolCallPart)
    )
    if not content and not calls:
        return None
    usage = {"input_tokens": native.usage.input_tokens, "output_tokens": native.usage.output_tokens}
    source = provenance(
        id=native.provider_response_id, model=native.model_name, usage=usage if any(usage.values()) else None
    )
    return Message("assistant", content, tool_calls=calls, payload=source or None)


def _texts(content: str | Sequence[UserContent], *, marked: bool = False) -> list[str]:
    """The texts of a prompt. `marked`: something stands for each part that is no text, such as "[image]"."""
    texts = []
    for item in [content] if isinstance(content, str) else content:
        if isinstance(item, str | TextContent):
            texts.append(item if isinstance(item, str) else item.content)
        elif marked and item.kind != "cache-point":
            kind = item.kind.removesuffix("-url")
            texts.append(f"[{item.media_type.partition('/')[0] if kind == 'binary' else kind}]")
    return texts
