"""`memori.llm.register(llm)`: an LLM of LlamaIndex remembers, whatever asks it and whatever it asks in turn."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockLLM
from llama_index.core.prompts import PromptTemplate
from memori import Attribution, Memori
from memori_llamaindex import MemoriMemory

from tests.llamaindex.models import Model, hosted, tool_call, weather
from tests.loopback import Answer, LoopbackServer

ADA = Attribution("ada")
QUESTION = "Where do I live?"
ASKED = [ChatMessage(QUESTION)]


async def _last(stream: Any) -> Any:
    pieces = [piece async for piece in await stream]
    return pieces[-1]


WAYS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat(ASKED),
    "chat by name": lambda llm: llm.chat(messages=ASKED),
    "achat": lambda llm: llm.achat(ASKED),
    "stream_chat": lambda llm: list(llm.stream_chat(ASKED))[-1],
    "astream_chat": lambda llm: _last(llm.astream_chat(ASKED)),
    "complete": lambda llm: llm.complete(QUESTION),
    "acomplete": lambda llm: llm.acomplete(QUESTION, True),
    "stream_complete": lambda llm: list(llm.stream_complete(QUESTION))[-1],
    "astream_complete": lambda llm: _last(llm.astream_complete(QUESTION)),
    "predict": lambda llm: llm.predict(PromptTemplate("{q}"), q=QUESTION),
}


async def ask(way: str, llm: Any) -> str:
    answer = WAYS[way](llm)
    return str(await answer if isinstance(answer, Awaitable) else answer)


def stored(memori: Memori) -> list[tuple[str, str]]:
    return [(one.message.role, one.message.content) for one in memori.messages(attribution=ADA)]


@pytest.fixture
def knowing(memori: Memori) -> Memori:
    memori.remember("I live in Lisbon.", attribution=ADA)
    memori.remember("I live in Oslo.", attribution=Attribution("bob"))
    memori.attribution("ada")
    return memori


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_asking_is_answered_with_memory_and_captured_once(knowing: Memori, way: str) -> None:
    llm = MockLLM()  # repeats what it is asked; its chat is made of its completion
    plain = await ask(way, MockLLM())

    assert knowing.llm.register(llm) is knowing
    shown = await ask(way, llm)

    assert "I live in Lisbon." in shown
    assert "Oslo" not in shown
    assert stored(knowing) == [("user", QUESTION), ("assistant", plain.removeprefix("assistant: "))]
    assert [message.content for message in ASKED] == [QUESTION]


@pytest.mark.parametrize("way", ["chat", "astream_chat", "complete"])
async def test_two_memories_of_one_llm_both_hear_it(memori: Memori, tmp_path: Path, way: str) -> None:
    llm = MockLLM()
    with Memori(f"sqlite:///{tmp_path / 'other.db'}", extractor="none", embedder="hashing") as other:
        memori.llm.register(llm, attribution=ADA)
        other.llm.register(llm, attribution=ADA)
        await ask(way, llm)
        memori.llm.unregister(llm)
        await ask(way, llm)

        assert [role for role, _ in stored(memori)] == ["user", "assistant"]
        assert [role for role, _ in stored(other)] == ["user", "assistant"] * 2


@pytest.mark.parametrize("way", ["chat", "achat", "stream_chat", "astream_chat", "complete", "stream_complete"])
async def test_a_real_providers_client_underneath_is_not_captured_again(knowing: Memori, way: str) -> None:
    with LoopbackServer(lambda call: Answer("In Lisbon.")) as server:
        async with hosted(server) as llm:
            knowing.llm.register(llm.client).llm.register(llm.aclient).llm.register(llm)

            await ask(way, llm)

        [call] = server.calls
    assert str(call.messages).count("I live in Lisbon.") == 1
    assert stored(knowing) == [("user", QUESTION), ("assistant", "In Lisbon.")]
    [_, answer] = [one.message for one in knowing.messages(attribution=ADA)]
    assert "stream" in way or (answer.payload or {})["usage"]["total_tokens"] == 2


async def test_an_agents_tool_steps_are_one_turn_with_identical_bytes(knowing: Memori) -> None:
    model = Model(tool_call("weather", city="Lisbon"), "Sunny.")
    knowing.llm.register(model.llm)

    await FunctionAgent(tools=[weather], llm=model.llm, streaming=False).run("Weather where I live?")

    first, second = ([message.content for message in request if message.role == "user"] for request in model.requests)
    assert "I live in Lisbon." in (first[0] or "")
    assert first == second
    assert [role for role, _ in stored(knowing)] == ["user", "assistant", "tool", "assistant"]
    assert stored(knowing)[-1] == ("assistant", "Sunny.")


async def test_what_a_memory_put_before_the_question_is_neither_doubled_nor_stored(knowing: Memori) -> None:
    model = Model("In Lisbon.")
    knowing.llm.register(model.llm)

    await FunctionAgent(llm=model.llm).run(QUESTION, memory=MemoriMemory(entity_id="ada", session_id="s"))

    assert model.shown[0].count("I live in Lisbon.") == 1
    assert "memori_context" not in repr(stored(knowing))


def test_pictures_stay_where_they_are_and_the_block_comes_after_them(knowing: Memori) -> None:
    model = Model("Nice.")
    knowing.llm.register(model.llm)
    question = ChatMessage(blocks=[ImageBlock(url="https://example.org/x.png"), TextBlock(text=QUESTION)])
    before = question.model_copy(deep=True)

    model.llm.chat([ChatMessage("Be brief.", role="system"), question])

    system, shown = model.requests[0]
    assert system.content == "Be brief."
    assert shown.blocks[:2] == before.blocks == question.blocks
    assert stored(knowing) == [("user", f"[image]\n{QUESTION}"), ("assistant", "Nice.")]


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(update={"max_tokens": 3}),
        lambda llm: pickle.loads(pickle.dumps(llm)),
    ],
    ids=["copy", "deepcopy", "model_copy", "pickle"],
)
def test_a_copy_is_an_llm_of_its_own_that_is_not_registered(knowing: Memori, copied: Callable[[Any], Any]) -> None:
    llm = MockLLM()
    knowing.llm.register(llm)

    twin = copied(llm)

    assert str(twin.complete("one")) == ("text text text" if twin.max_tokens else "one")
    assert stored(knowing) == []
    assert llm.model_dump() == MockLLM().model_dump()
    assert knowing.llm.register(twin)
    twin.complete(QUESTION)
    assert len(stored(knowing)) == 2


def test_unregistering_leaves_the_llm_and_all_others_as_they_were(knowing: Memori) -> None:
    llm, other = MockLLM(), MockLLM()
    before = dict(vars(llm))
    knowing.llm.register(llm)
    other.complete(QUESTION)
    assert stored(knowing) == []

    knowing.llm.unregister(llm)
    llm.complete(QUESTION)

    assert stored(knowing) == []
    assert dict(vars(llm)) == before


def test_two_memories_on_one_llm_both_listen_and_each_can_leave(knowing: Memori, tmp_path: Any) -> None:
    llm = MockLLM()
    with Memori(f"sqlite:///{tmp_path / 'other.db'}", extractor="none", embedder="hashing") as other:
        knowing.llm.register(llm)
        other.llm.register(llm, attribution=ADA)
        llm.chat(ASKED)
        knowing.llm.unregister(llm)
        llm.chat([ChatMessage("And now?")])

        assert len(stored(knowing)) == 2
        assert len(stored(other)) == 4


def test_wrong_arguments_are_the_llms_own_errors(knowing: Memori) -> None:
    llm = MockLLM()
    knowing.llm.register(llm)

    with pytest.raises(TypeError):
        llm.chat()
    with pytest.raises(TypeError):
        llm.complete(QUESTION, True, "too many")
