"""LiteLLM: its functions for chat completions, and its router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import litellm

from ..base import Adapter, Method
from .openai import ChatCompletions


class LiteLLMAdapter(Adapter):
    """The module `litellm`, through which all its routers call too, or one `Router`."""

    everything = litellm

    def methods(self, client: Any) -> Sequence[Method]:
        """`completion` and `acompletion`: whatever the provider, requests and answers are spelt as OpenAI's."""
        if client is not litellm and not isinstance(client, litellm.Router):
            return ()
        return [
            Method(name, ChatCompletions(), asynchronous=awaited, positional=("model", "messages"), nested=True)
            for name, awaited in (("completion", False), ("acompletion", True))
        ]
