"""Agents and chat engines with a real provider's client, over the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from memori import Memori
from memori_llamaindex import MemoriMemory

from tests.llamaindex.models import Hosted, hosted, weather
from tests.loopback import Answer, LoopbackServer


@pytest.fixture
async def server(memori: Memori) -> AsyncIterator[LoopbackServer]:
    MemoriMemory(entity_id="ada", session_id="earlier").put(ChatMessage("I live in Lisbon."))
    assert memori.augmentation.wait(30)
    with LoopbackServer(lambda call: Answer("In Lisbon.")) as server:
        yield server


@pytest.fixture
async def llm(server: LoopbackServer) -> AsyncIterator[Hosted]:
    async with hosted(server) as llm:
        yield llm


def history(memory: MemoriMemory) -> list[str | None]:
    return [message.content for message in memory.get_all()]


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_react_agent_is_sent_memories_and_stores_what_was_said(
    server: LoopbackServer, llm: Hosted, streaming: bool
) -> None:
    server.say(
        Answer('Thought: I need a tool.\nAction: weather\nAction Input: {"city": "Lisbon"}'),
        Answer("Thought: I can answer.\nAnswer: Sunny."),
    )
    memory = MemoriMemory(entity_id="ada", session_id="today")

    answer = await ReActAgent(tools=[weather], llm=llm, streaming=streaming).run(
        "How is it where I live?", memory=memory
    )

    assert str(answer) == "Sunny."
    assert len(server.calls) == 2
    assert all("I live in Lisbon." in json.dumps(call.messages) for call in server.calls)
    assert "It is sunny in Lisbon." in json.dumps(server.calls[1].messages)
    assert history(memory)[0] == "How is it where I live?"


@pytest.mark.parametrize("way", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_a_chat_engine_is_sent_memories_and_stores_what_was_said(
    server: LoopbackServer, llm: Hosted, way: str
) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="today")
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)

    answer = getattr(engine, way)("Where do I live?")
    answer = await answer if way.startswith("a") else answer
    if way == "stream_chat":
        assert "".join(answer.response_gen) == "In Lisbon."
    elif way == "astream_chat":
        assert "".join([piece async for piece in answer.async_response_gen()]) == "In Lisbon."

    [call] = server.calls
    assert "I live in Lisbon." in json.dumps(call.messages)
    assert history(memory) == ["Where do I live?", "In Lisbon."]
