"""A client registered with Memori stays silent under an agent that remembers by itself, and only there."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from memori import Attribution, Memori, ToolCall
from memori.cli.loopback import Answer
from memori_pydantic_ai import MemoriMemory
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.loopback import LoopbackServer, async_openai
from tests.pydantic_ai.agents import said

ADA = Attribution("ada")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
async def client(server: LoopbackServer, memori: Memori) -> AsyncIterator[AsyncOpenAI]:
    async with async_openai(server) as client:
        memori.llm.register(client, attribution=ADA)
        yield client


def agent(memori: Memori, client: AsyncOpenAI) -> Agent[None, str]:
    model = OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=client))
    return Agent(model, capabilities=[MemoriMemory(memori, ADA)])


async def run(agent: Agent[None, str]) -> None:
    await agent.run("What tea do I drink?")


async def stream(agent: Agent[None, str]) -> None:
    async with agent.run_stream("What tea do I drink?") as answer:
        await answer.get_output()


@pytest.mark.parametrize("way", [run, stream])
async def test_each_request_has_one_block_and_each_message_is_stored_once(
    memori: Memori, server: LoopbackServer, client: AsyncOpenAI, way: Callable[[Agent[None, str]], Awaitable[None]]
) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)

    await way(agent(memori, client))

    assert str(server.last.body).count("<memori_context>") == 1
    assert said(memori, "ada") == [("user", "What tea do I drink?"), ("assistant", "Understood.")]


async def test_a_tool_that_uses_the_client_is_heard(
    memori: Memori, server: LoopbackServer, client: AsyncOpenAI
) -> None:
    server.say(Answer(tool_calls=(ToolCall("call-1", "ask_the_other_model"),)), "Oolong.", "It is oolong.")
    chat = agent(memori, client)

    @chat.tool_plain
    async def ask_the_other_model() -> str:
        answer = await client.chat.completions.create(
            model="other", messages=[{"role": "user", "content": "Which tea is served today?"}]
        )
        return answer.choices[0].message.content or ""

    await chat.run("What tea do I drink?")

    assert ("user", "Which tea is served today?") in said(memori, "ada")
    assert said(memori, "ada").count(("user", "What tea do I drink?")) == 1


async def test_whoever_reads_the_stream_is_heard(memori: Memori, server: LoopbackServer, client: AsyncOpenAI) -> None:
    async with agent(memori, client).run_stream("What tea do I drink?") as answer:
        async for _ in answer.stream_text(debounce_by=None):
            await client.chat.completions.create(
                model="other", messages=[{"role": "user", "content": "Which tea is served today?"}]
            )
            break

    assert ("user", "Which tea is served today?") in said(memori, "ada")


async def test_an_agent_without_memory_leaves_it_to_the_client(
    memori: Memori, server: LoopbackServer, client: AsyncOpenAI
) -> None:
    model = OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=client))
    off = MemoriMemory[None](memori, ADA, inject="off", capture="off")

    await Agent(model, capabilities=[off]).run("What tea do I drink?")

    assert said(memori, "ada") == [("user", "What tea do I drink?"), ("assistant", "Understood.")]
