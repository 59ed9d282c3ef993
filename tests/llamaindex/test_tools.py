"""Tools: a model looks up and keeps things, about nobody but the person it talks to."""

from __future__ import annotations

import asyncio
import logging

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import BaseMemory, Memory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context
from memori import Attribution, InvalidAttributionError, Memori
from memori_llamaindex import (
    MemoriAsyncChatStore,
    MemoriMemory,
    MemoriMemoryBlock,
    MemoriToolSpec,
    memory_tools_from_context,
)
from memori_llamaindex.tools import UNAVAILABLE

from tests.llamaindex.models import Model, tool_call

ADA, BOB = Attribution("ada"), Attribution("bob")


def facts(memori: Memori, who: Attribution) -> list[str]:
    return [fact.text for fact in memori.facts(attribution=who)]


async def test_a_model_looks_up_and_keeps_things(memori: Memori) -> None:
    memori.remember("I live in Lisbon.", attribution=ADA)
    memori.remember("I live in Oslo.", attribution=BOB)
    recall, remember = MemoriToolSpec(entity_id="ada").to_tool_list()

    assert "I live in Lisbon." in str(recall.call(query="Where do I live?"))
    assert "Oslo" not in str(await recall.acall(query="Where do I live?"))
    assert str(recall.call(query="quantum chromodynamics")) == "Nothing is known about that."
    assert str(remember.call(text="I sail.")) == "Remembered."
    assert str(await remember.acall(text="I bake.")) == "Remembered."
    assert facts(memori, ADA) == ["I bake.", "I sail.", "I live in Lisbon."]


def test_whose_memory_it_is_is_no_argument(memori: Memori) -> None:
    for tools in (MemoriToolSpec(entity_id="ada").to_tool_list(), memory_tools_from_context()):
        assert [tool.metadata.name for tool in tools] == ["memori_recall", "memori_remember"]
        assert [list(tool.metadata.get_parameters_dict()["properties"]) for tool in tools] == [["query"], ["text"]]
        assert all("earlier conversations" in tool.metadata.description or "later" in tool.metadata.description
                   for tool in tools)  # fmt: skip
    remember = MemoriToolSpec(entity_id="ada").to_tool_list()[1]
    with pytest.raises(TypeError, match="entity_id"):
        remember.call(text="I sail.", entity_id="bob")
    assert facts(memori, BOB) == []


def test_a_read_only_spec_keeps_nothing(memori: Memori) -> None:
    for tools in (
        MemoriToolSpec(entity_id="ada", read_only=True).to_tool_list(),
        memory_tools_from_context(read_only=True),
    ):
        assert [tool.metadata.name for tool in tools] == ["memori_recall"]
    assert len(MemoriToolSpec(entity_id="ada").to_tool_list()) == 2


@pytest.mark.parametrize("carrier", ["memory", "block", "store", "whose"])
async def test_one_agent_serves_many_each_with_their_own_memory(memori: Memori, carrier: str) -> None:
    people = ["ada", "bob", "eve"]
    for person in people:
        memori.remember(f"My password is zx{person}.", attribution=Attribution(person))

    async def whose(ctx: Context) -> Attribution:
        return Attribution((await ctx.store.get("state"))["person"])

    async def ask(person: str) -> Model:
        model = Model(
            tool_call("memori_recall", "1", query="What is my password?"),
            tool_call("memori_remember", "2", text=f"I am {person}."),
            "Done.",
        )
        tools = memory_tools_from_context(whose if carrier == "whose" else None)
        agent = FunctionAgent(tools=list(tools), llm=model.llm, initial_state={"person": person})
        memory: BaseMemory = MemoriMemory(entity_id=person, session_id="s")
        if carrier != "memory":
            blocks = [MemoriMemoryBlock(entity_id=person)] if carrier == "block" else []
            memory = Memory.from_defaults(session_id=person, memory_blocks=blocks)
            memory.sql_store = MemoriAsyncChatStore(entity_id=person if carrier == "store" else "nobody")
        await agent.run("Hello.", memory=memory)
        return model

    models = await asyncio.gather(*map(ask, people))

    for person, model in zip(people, models, strict=True):
        assert {other for other in people if f"zx{other}" in model.shown[1]} == {person}
        assert f"I am {person}." in facts(memori, Attribution(person))
        assert len(facts(memori, Attribution(person))) == 2


async def test_what_a_tool_showed_is_not_learnt_again(memori: Memori) -> None:
    memori.remember("I live in Lisbon.", attribution=ADA)
    model = Model(tool_call("memori_recall", query="Where do I live?"), "In Lisbon.")
    memory = MemoriMemory(entity_id="ada", session_id="s")

    await FunctionAgent(tools=list(memory_tools_from_context()), llm=model.llm).run("Hello.", memory=memory)
    assert memori.augmentation.wait(30)

    assert [message.content for message in memory.get_all()] == [
        "Hello.",
        None,
        "(memories were shown here)",
        "In Lisbon.",
    ]
    assert "Lisbon" not in repr(
        [f.text for f in memori.facts(attribution=ADA, kinds=["episode"]) if f.source == "tool"]
    )


@pytest.mark.parametrize("tools", [MemoriToolSpec(entity_id="ada", connection="nowhere").to_tool_list()])
async def test_what_goes_wrong_is_logged_and_not_told_to_the_model(
    memori: Memori, tools: list[FunctionTool], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")
    recall, remember = tools

    assert str(recall.call(query="x")) == str(await recall.acall(query="x")) == UNAVAILABLE
    assert str(remember.call(text="x")) == str(await remember.acall(text="x")) == UNAVAILABLE
    assert "registered as 'nowhere'" in caplog.text


async def test_a_run_that_does_not_say_whose_memory_it_is_reads_and_writes_nothing(
    memori: Memori, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")
    model = Model(tool_call("memori_remember", text="I sail."), "Done.")

    await FunctionAgent(tools=list(memory_tools_from_context()), llm=model.llm).run("Hello.")

    assert UNAVAILABLE in model.shown[1]
    assert "Whose memory?" in caplog.text
    assert "memory=MemoriMemory(" in caplog.text


def test_a_model_that_says_nothing_is_told_what_to_say(memori: Memori) -> None:
    recall, remember = MemoriToolSpec(entity_id="ada").to_tool_list()

    assert "Say what to look for" in str(recall.call(query=" "))
    assert "Say what to remember" in str(remember.call(text=" "))
    assert facts(memori, ADA) == []


def test_tools_are_somebodys() -> None:
    with pytest.raises(InvalidAttributionError, match="entity_id is blank"):
        MemoriToolSpec(entity_id=" ")
