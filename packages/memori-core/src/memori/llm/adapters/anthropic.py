"""Anthropic's SDK: messages, also on other clouds, synchronous and asynchronous, streamed and not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anthropic

from ..base import Adapter, Method
from .messages import Messages
from .stainless import RAW_VIEWS

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
