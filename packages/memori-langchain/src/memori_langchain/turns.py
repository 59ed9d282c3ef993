"""Read an agent's message list: what was asked, what is new, where a block of context goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from .messages import is_notice

Inject = Literal["user", "system"]
M = TypeVar("M", bound=BaseMessage)


def question(messages: Sequence[BaseMessage]) -> str:
    """What the user said last."""
    place = _last(messages, _asked)
    return "" if place is None else str(messages[place].text)


def conversation(messages: Sequence[M]) -> list[M]:
    """What of a request was said: all but instructions, and notices that LangChain wrote."""
    return [one for one in messages if not isinstance(one, SystemMessage) and not is_notice(one)]


def new_input(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """What a run begins with: everything after the last answer. What came before is old, or an example."""
    answer = _last(messages, lambda one: isinstance(one, AIMessage))
    return conversation(messages[0 if answer is None else answer + 1 :])


def last_step(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The last answer of the model, with the tool results just before and after it."""
    start = _last(messages, lambda one: isinstance(one, AIMessage))
    if start is None:
        return []
    while start > 0 and isinstance(messages[start - 1], ToolMessage):
        start -= 1
    return conversation(messages[start:])


def this_turn(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """What the user said last, and everything since."""
    start = _last(messages, _asked) or 0
    while start > 0 and _asked(messages[start - 1]):
        start -= 1
    return conversation(messages[start:])


def with_context(
    messages: Sequence[AnyMessage], system: SystemMessage | None, block: str, where: Inject
) -> tuple[list[AnyMessage], SystemMessage | None]:
    """The messages and system message of a request with the block in copies of them."""
    place = _last(messages, _asked)
    if place is None:
        place = _last(messages, lambda one: isinstance(one, HumanMessage))
    if where == "user" and place is not None:
        return [*messages[:place], _added(messages[place], block, before=True), *messages[place + 1 :]], system
    system = SystemMessage(content=block) if system is None else _added(system, block, before=False)
    return list(messages), system


def _added(message: M, block: str, *, before: bool) -> M:
    content = message.content
    if isinstance(content, str):
        parts = (block, content) if before else (content, block)
        return message.model_copy(update={"content": "\n\n".join(parts)})
    return message.model_copy(update={"content": [*content, {"type": "text", "text": block}]})


def _asked(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and not is_notice(message)


def _last(messages: Sequence[BaseMessage], wanted: Callable[[BaseMessage], bool]) -> int | None:
    return next((place for place in range(len(messages) - 1, -1, -1) if wanted(messages[place])), None)
