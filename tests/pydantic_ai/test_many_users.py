"""Twenty users at once, five runs each, with tools and streaming: each is given their own memories, and no others."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory, memori_history_processor
from pydantic_ai import Agent, AgentRunResultEvent
from pydantic_ai.capabilities import AbstractCapability, ProcessHistory
from pydantic_ai.messages import ModelMessage

from tests.pydantic_ai.agents import Recalls, Script, Visitor, blocks, said, visitor, with_tool

USERS = [f"user-{number:02}" for number in range(20)]
Chat = Agent[Visitor, str]
History = list[ModelMessage]


async def run(chat: Chat, prompt: str, user: Visitor, history: History) -> History:
    return (await chat.run(prompt, deps=user, message_history=history)).all_messages()


async def stream(chat: Chat, prompt: str, user: Visitor, history: History) -> History:
    async with chat.run_stream(prompt, deps=user, message_history=history) as answer:
        await answer.get_output()
        return answer.all_messages()


async def events(chat: Chat, prompt: str, user: Visitor, history: History) -> History:
    async with chat.run_stream_events(prompt, deps=user, message_history=history) as found:
        (result,) = [event.result async for event in found if isinstance(event, AgentRunResultEvent)]
    messages: History = result.all_messages()
    return messages


async def iterate(chat: Chat, prompt: str, user: Visitor, history: History) -> History:
    async with chat.iter(prompt, deps=user, message_history=history) as steps:
        async for _ in steps:
            pass
    assert steps.result is not None
    return steps.result.all_messages()


def capability(memori: Memori) -> AbstractCapability[Visitor]:
    return MemoriMemory(memori, visitor, recall_timeout=30)


def processor(memori: Memori) -> AbstractCapability[Visitor]:
    return ProcessHistory(memori_history_processor(memori, visitor, recall_timeout=30))


@pytest.mark.parametrize(("attach", "kept"), [(capability, 0), (processor, 1)])
async def test_nobody_is_given_another_users_memory_and_each_request_has_one_block(
    memori: Memori,
    script: Script,
    recalls: Recalls,
    attach: Callable[[Memori], AbstractCapability[Visitor]],
    kept: int,
) -> None:
    chat = with_tool(Agent(script.model, deps_type=Visitor, capabilities=[attach(memori)]))
    for user in USERS:
        memori.remember(f"The secret word is {user}-secret.", attribution=Attribution(user))

    async def talk(user: str) -> History:
        history: History = []
        ways: list[Callable[[Chat, str, Visitor, History], Awaitable[History]]] = [run, stream, events, iterate, run]
        for number, way in enumerate(ways):
            history = await way(chat, f"{user} asks for the secret word, {number}", Visitor(user), history)
        return history

    histories = await asyncio.gather(*map(talk, USERS))

    assert len(recalls.queries) == 100
    assert len(script.sent) == 200
    for sent in script.sent:
        (block,) = blocks(sent)
        assert sum(f"{user}-secret" in block for user in USERS) == 1
    for user, history in zip(USERS, histories, strict=True):
        assert len(blocks(history)) == kept
        assert sum(f"{user}-secret" in str(sent) for sent in script.sent) == 10
        asked = [text for role, text in said(memori, user) if role == "user"]
        assert asked == [f"{user} asks for the secret word, {number}" for number in range(5)]
