"""A chat model that does as it is told and keeps what it was sent."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolCall
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

Reply = Callable[[list[BaseMessage]], AIMessage | str]


class Scripted(BaseChatModel):
    """Answers what `reply` makes of the messages; streams word by word."""

    reply: Reply
    requests: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def last_request(self) -> str:
        return "\n".join(message.text for message in self.requests[-1])

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> "Scripted":
        return self

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        self.requests.append(copy.deepcopy(messages))
        answer = self.reply(messages)
        return AIMessage(answer) if isinstance(answer, str) else answer

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        answer = self._answer(messages)
        for word in answer.text.split(" ") if answer.text else ():
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))
        for index, call in enumerate(answer.tool_calls):
            piece = tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index)
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[piece]))
        yield ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))


def says(*answers: AIMessage | str) -> Scripted:
    """A model that says one after the other."""
    script = iter(answers)
    return Scripted(reply=lambda _: next(script))


def calls(name: str, /, **arguments: Any) -> AIMessage:
    """A call of a tool, its id made of its arguments."""
    identifier = "-".join([name, *map(str, arguments.values())])
    return AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=identifier)])


def last_human(messages: Sequence[BaseMessage]) -> str:
    return next(one.text for one in reversed(messages) if isinstance(one, HumanMessage))


def agent(*arguments: Any, **options: Any) -> Any:
    """`create_agent`, untyped: people hand an agent more shapes of input than its types admit."""
    return create_agent(*arguments, **options)
