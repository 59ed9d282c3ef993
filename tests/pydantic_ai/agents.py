"""Agents whose model is a script that notes what it is sent."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from memori import Attribution, Memori, hookimpl
from memori.model import Recalled
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel


@dataclass(frozen=True)
class Visitor:
    """The dependencies of the agents under test."""

    user: str
    session: str | None = None


def visitor(ctx: RunContext[Visitor]) -> Attribution:
    return Attribution(ctx.deps.user, "assistant", ctx.deps.session)


@dataclass
class Script:
    """A model that calls each tool it is offered once, then says `answer`."""

    answer: str = "Noted, thank you."
    sent: list[list[ModelMessage]] = field(default_factory=list)

    def reply(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.sent.append(messages)
        due = _due(messages, info)
        return ModelResponse(parts=[ToolCallPart(name) for name in due] if due else [TextPart(self.answer)])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        self.sent.append(messages)
        due = _due(messages, info)
        for number, name in enumerate(due):
            yield {number: DeltaToolCall(name, "{}")}
        if not due:
            for word in self.answer.split(" "):
                yield f"{word} "

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(self.reply, stream_function=self.stream)


def _due(messages: Sequence[ModelMessage], info: AgentInfo) -> list[str]:
    answered = isinstance(messages[-1], ModelRequest) and any(
        isinstance(part, ToolReturnPart) for part in messages[-1].parts
    )
    return [] if answered else [tool.name for tool in info.function_tools]


@dataclass
class Recalls:
    """A plugin that notes every recall."""

    queries: list[tuple[str, str]] = field(default_factory=list)

    @hookimpl
    def memori_recalled(self, query: str, recalled: Sequence[Recalled], attribution: Attribution) -> None:
        self.queries.append((attribution.entity_id, query))


def with_tool(agent: Agent[Visitor, str]) -> Agent[Visitor, str]:
    """The agent with a tool, so that its runs have two steps."""

    @agent.tool_plain
    def look_up() -> str:
        return "nothing special"

    return agent


def blocks(messages: Sequence[ModelMessage]) -> list[str]:
    """The context blocks in a conversation."""
    return [
        item.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        for item in part.content
        if isinstance(item, TextContent) and item.metadata == {"origin": "memori"}
    ]


def as_json(messages: Sequence[ModelMessage]) -> bytes:
    return ModelMessagesTypeAdapter.dump_json(list(messages))


def said(memori: Memori, user: str, session: str | None = None) -> list[tuple[str, str]]:
    """What is stored of a user's conversations, or of one session of theirs: role and text."""
    who = Attribution(user) if session is None else Attribution(user, "assistant", session)
    stored = memori.messages(attribution=who)
    return [(one.message.role, one.message.content) for one in stored]
