"""Anthropic's SDK: messages, also on other clouds, synchronous and asynchronous, streamed and not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anthropic

from ...model import Message
from ...structured import StructuredModel, StructuredReply
from ..base import Adapter, Method, not_awaited
from .messages import Messages
from .stainless import RAW_VIEWS

_LONGEST_ANSWER = 4096
# Those for other clouds are no subclasses of each other, and not in every version.
_SYNC = tuple(
    getattr(anthropic, name)
    for name in ("Anthropic", "AnthropicBedrock", "AnthropicBedrockMantle", "AnthropicVertex")
    if hasattr(anthropic, name)
)
_ASYNC = tuple(
    getattr(anthropic, name)
    for name in ("AsyncAnthropic", "AsyncAnthropicBedrock", "AsyncAnthropicBedrockMantle", "AsyncAnthropicVertex")
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
