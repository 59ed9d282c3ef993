"""Models that say what a test tells them to, and keep what they were shown."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockLLM

from tests.loopback import LoopbackServer, async_openai, openai


class Scripted(MockLLM, FunctionCallingLLM):
    """LlamaIndex's mock, which answers as it is told and calls tools. Its own that does is not in every version."""

    script: Any = None

    @classmethod
    def class_name(cls) -> str:
        return "Scripted"

    def __init__(self, script: Any = None) -> None:
        super().__init__()
        self.script = script

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self.script(messages))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self.script(messages))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return (piece for piece in _pieces(self.script(messages)))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def pieces() -> ChatResponseAsyncGen:
            for piece in _pieces(self.script(messages)):
                yield piece

        return pieces()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        asked = [ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg] if user_msg else []
        return {"messages": [*(chat_history or []), *asked]}

    def get_tool_calls_from_response(self, response: ChatResponse, *_: Any, **__: Any) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=call.tool_kwargs)
            for call in calls
            if isinstance(call.tool_kwargs, dict)
        ]


class Model:
    """A script for a mock LLM: `llm` answers in order, `requests` is what each call was given."""

    def __init__(self, *answers: str | ChatMessage) -> None:
        self.requests: list[list[ChatMessage]] = []
        self._answers = [ChatMessage(a, role="assistant") if isinstance(a, str) else a for a in answers]
        self.llm = Scripted(script=self._answer)

    @property
    def shown(self) -> list[str]:
        """Each request as one text."""
        return ["\n".join(message.content or "" for message in request) for request in self.requests]

    def _answer(self, messages: Sequence[ChatMessage]) -> ChatMessage:
        self.requests.append(copy.deepcopy(list(messages)))
        return self._answers[min(len(self.requests), len(self._answers)) - 1]


def _pieces(whole: ChatMessage) -> list[ChatResponse]:
    """The answer as a stream brings it: the beginning, then all of it."""
    text = whole.content or ""
    half = len(text) // 2
    begun = ChatResponse(message=ChatMessage(text[:half], role="assistant"), delta=text[:half])
    return [begun, ChatResponse(message=whole, delta=text[half:])]


class Hosted(CustomLLM):
    """A model behind OpenAI's real client: LlamaIndex's own class for it does not take version 3 of that yet."""

    client: Any
    aclient: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="m", is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _answer(self.client.chat.completions.create(**_request(messages)))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _answer(await self.aclient.chat.completions.create(**_request(messages)))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        def pieces() -> ChatResponseGen:
            said = ""
            for chunk in self.client.chat.completions.create(**_request(messages), stream=True):
                said += (delta := chunk.choices[0].delta.content or "")
                yield ChatResponse(message=ChatMessage(said, role="assistant"), delta=delta)

        return pieces()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def pieces() -> ChatResponseAsyncGen:
            said = ""
            async for chunk in await self.aclient.chat.completions.create(**_request(messages), stream=True):
                said += (delta := chunk.choices[0].delta.content or "")
                yield ChatResponse(message=ChatMessage(said, role="assistant"), delta=delta)

        return pieces()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        answer = self.chat([ChatMessage(prompt)])
        return CompletionResponse(text=answer.message.content or "", raw=answer.raw)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        for piece in self.stream_chat([ChatMessage(prompt)]):
            yield CompletionResponse(text=piece.message.content or "", delta=piece.delta)


@asynccontextmanager
async def hosted(server: LoopbackServer) -> AsyncIterator[Hosted]:
    """The model that the server plays."""
    with openai(server) as client:
        async with async_openai(server) as aclient:
            yield Hosted(client=client, aclient=aclient)


def _request(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": one.role.value, "content": one.content} for one in messages]}


def _answer(completion: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(completion.choices[0].message.content, role="assistant"), raw=completion)


def tool_call(name: str, call_id: str = "call-1", **arguments: Any) -> ChatMessage:
    block = ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[block])


def weather(city: str) -> str:
    """Tell the weather."""
    return f"It is sunny in {city}."
