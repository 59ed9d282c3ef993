"""The block for LlamaIndex's own Memory: it recalls, captures only by choice, and never raises."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import Memory
from memori import Attribution, Memori
from memori_llamaindex import MemoriAsyncChatStore, MemoriMemoryBlock
from sqlalchemy.ext.asyncio import create_async_engine

from tests.llamaindex.conftest import Recalls, needs_chat_store
from tests.llamaindex.models import Model, tool_call, weather

ADA = Attribution("ada")


def learnt(memori: Memori) -> list[str]:
    assert memori.augmentation.wait(30)
    return sorted(fact.text for fact in memori.facts(attribution=ADA, kinds=["episode"]))


def stored(memori: Memori) -> list[str]:
    return [one.message.content for one in memori.messages(attribution=ADA)]


MakeMemory = Callable[..., Memory]


@pytest.fixture
async def memory() -> AsyncIterator[MakeMemory]:
    engine = create_async_engine("sqlite+aiosqlite://")
    yield lambda block, **options: Memory.from_defaults(
        session_id="s", memory_blocks=[block], **{"async_engine": engine, **options}
    )
    await engine.dispose()


async def test_an_agent_with_llama_indexs_memory_is_shown_what_is_known(
    memori: Memori, recalls: Recalls, memory: MakeMemory
) -> None:
    memori.remember("I live in Lisbon.", attribution=ADA)
    memori.remember("I live in Oslo.", attribution=Attribution("bob"))
    model = Model(tool_call("weather", city="Lisbon"), "Sunny.")
    agent = FunctionAgent(tools=[weather], llm=model.llm)

    await agent.run("Weather where I live?", memory=memory(MemoriMemoryBlock(entity_id="ada")))

    assert len(model.shown) == 2
    assert all("I live in Lisbon." in shown and "Oslo" not in shown for shown in model.shown)
    assert recalls.made == [("ada", "Weather where I live?")]
    assert stored(memori) == []


async def test_a_chat_engine_with_llama_indexs_memory_knows_it_too(memori: Memori, memory: MakeMemory) -> None:
    memori.remember("I live in Lisbon.", attribution=ADA)
    model = Model("In Lisbon.")

    engine = SimpleChatEngine.from_defaults(llm=model.llm, memory=memory(MemoriMemoryBlock(entity_id="ada")))
    await engine.achat("Where do I live?")

    assert "I live in Lisbon." in model.shown[0]


async def test_what_is_flushed_is_learnt_once_and_short_talks_are_not(memori: Memori, memory: MakeMemory) -> None:
    block = MemoriMemoryBlock(entity_id="ada", capture="flush")
    long = memory(block, token_limit=300, token_flush_size=60)
    await long.aput_messages([ChatMessage("Hello."), ChatMessage("Hi.", role="assistant")])
    assert stored(memori) == []

    for number in range(3):
        await long.aput_messages(
            [ChatMessage(f"Question {number} " * 20), ChatMessage(f"Answer {number} " * 20, role="assistant")]
        )

    flushed = stored(memori)
    assert flushed[:2] == ["Hello.", "Hi."]
    assert len(flushed) > 2
    again = [ChatMessage(text, role=role) for text, role in zip(flushed, ["user", "assistant"] * 9, strict=False)]
    await block.aput(again, from_short_term_memory=True, session_id="s")
    assert stored(memori) == flushed
    assert {"Hello."} <= set(learnt(memori))


async def test_the_history_of_each_call_is_learnt_once(memori: Memori, memory: MakeMemory) -> None:
    memori.remember("I sail a dinghy.", attribution=ADA)
    model = Model(tool_call("weather", city="Lisbon"), "Sunny.", "Yes.")
    agent = FunctionAgent(tools=[weather], llm=model.llm)
    watched = memory(MemoriMemoryBlock(entity_id="ada", capture="on_get"))

    await agent.run("Can I sail a dinghy in Lisbon?", memory=watched)
    await agent.run("And tomorrow?", memory=watched)

    assert stored(memori) == [
        "Can I sail a dinghy in Lisbon?",
        "",
        "It is sunny in Lisbon.",
        "Sunny.",
        "And tomorrow?",
        "Yes.",
    ]
    assert "memori_context" not in repr([learnt(memori), memori.messages(attribution=ADA)])


@needs_chat_store
async def test_block_and_store_together_leave_the_history_alone(memori: Memori, memory: MakeMemory) -> None:
    block = MemoriMemoryBlock(entity_id="ada", capture="on_get")
    both = memory(block, chat_store=MemoriAsyncChatStore(entity_id="ada"))
    await both.aput_messages([ChatMessage("a"), ChatMessage("b", role="assistant"), ChatMessage("c")])

    await both.aget()

    assert [message.content for message in await both.aget_all()] == ["a", "b", "c"]


async def test_nothing_raises_when_the_database_or_the_connection_is_gone(
    memori: Memori, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")
    memori.close()
    for connection in ("default", "nowhere"):
        block = MemoriMemoryBlock(entity_id="ada", connection=connection, capture="flush")

        assert await block.aget([ChatMessage("Where do I live?")], session_id="s") == ""
        await block.aput([ChatMessage("Hello.")], from_short_term_memory=True, session_id="s")

    assert "was closed" in caplog.text
    assert "No Memori object is registered as 'nowhere'" in caplog.text


@pytest.mark.parametrize("messages", [None, [], [ChatMessage("  ")], [ChatMessage("Hi.", role="assistant")]])
async def test_where_nothing_is_asked_nothing_is_recalled(
    memori: Memori, recalls: Recalls, messages: list[ChatMessage] | None
) -> None:
    assert await MemoriMemoryBlock(entity_id="ada").aget(messages) == ""
    assert recalls.made == []


async def test_too_long_a_block_loses_its_last_lines_and_keeps_its_frame(memori: Memori) -> None:
    block = MemoriMemoryBlock(entity_id="ada", priority=1)
    for number in range(3):
        memori.remember(f"Ada sails boat number {number}.", attribution=ADA)
    whole = await block.aget([ChatMessage("Which boats does Ada sail?")])
    first = whole.split("\n")[2]

    cut = await block.atruncate(whole, 10)

    assert cut is not None
    assert len(cut) < len(whole)
    assert first in cut
    assert cut.endswith("</memori_context>")
    assert await block.atruncate(whole, 10_000) is None
    assert await block.atruncate("a\nb", 1) == "a"


def test_a_block_survives_saving(memori: Memori) -> None:
    block = MemoriMemoryBlock(entity_id="ada", process_id="cook", recall_limit=3, capture="flush")

    assert MemoriMemoryBlock.model_validate_json(block.model_dump_json()) == block


async def test_what_is_erased_is_not_shown_again_by_a_turn_that_had_it(memori: Memori) -> None:
    memori.remember("I live in Lisbon.", attribution=Attribution("ada"))
    block = MemoriMemoryBlock(entity_id="ada")
    asked = [ChatMessage("Where do I live?")]
    assert "Lisbon" in await block.aget(asked)

    memori.erase("ada")

    assert await block.aget(asked) == ""
