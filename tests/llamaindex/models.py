"""Models that say what a test tells them to, and keep what they were shown."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM


class Model:
    """A script for LlamaIndex's own mock LLM: `llm` answers in order, `requests` is what each call was given."""

    def __init__(self, *answers: str | ChatMessage, streaming: bool = False) -> None:
        self.requests: list[list[ChatMessage]] = []
        self._answers = [ChatMessage(a, role="assistant") if isinstance(a, str) else a for a in answers]
        answer = self._stream if streaming else self._answer
        self.llm = MockFunctionCallingLLM(response_generator=answer, is_chat_model=True)

    @property
    def shown(self) -> list[str]:
        """Each request as one text."""
        return ["\n".join(message.content or "" for message in request) for request in self.requests]

    def _answer(self, messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
        self.requests.append(copy.deepcopy(list(messages)))
        return self._answers[min(len(self.requests), len(self._answers)) - 1]

    async def _stream(self, messages: Sequence[ChatMessage], **_: Any) -> AsyncGenerator[ChatMessage, None]:
        whole = self._answer(messages)
        if whole.content:
            yield ChatMessage(whole.content[: len(whole.content) // 2], role="assistant")
        yield whole


def tool_call(name: str, call_id: str = "call-1", **arguments: Any) -> ChatMessage:
    block = ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[block])


def weather(city: str) -> str:
    """Tell the weather."""
    return f"It is sunny in {city}."
