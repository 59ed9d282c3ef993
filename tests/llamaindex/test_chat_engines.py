"""Chat engines of LlamaIndex, run for real with a scripted model."""

from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from memori import Memori
from memori_llamaindex import MemoriMemory

from tests.llamaindex.conftest import Recalls
from tests.llamaindex.models import Model


class Library(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="Harbours close at six."), score=1.0)]


@pytest.fixture
def ada(memori: Memori) -> MemoriMemory:
    MemoriMemory(entity_id="ada", session_id="earlier").put(ChatMessage("My boat is called {Beagle}."))
    assert memori.augmentation.wait(10)
    return MemoriMemory(entity_id="ada", session_id="today")


def history(memory: MemoriMemory) -> list[tuple[str, str | None]]:
    return [(message.role.value, message.content) for message in memory.get_all()]


def test_a_simple_chat_engine_is_shown_memories_and_stores_only_what_was_said(ada: MemoriMemory) -> None:
    model = Model("Beagle.")
    engine = SimpleChatEngine.from_defaults(llm=model.llm, memory=ada, system_prompt="Be brief.")

    answer = engine.chat("What is my boat called?")

    assert str(answer) == "Beagle."
    assert "My boat is called {Beagle}." in model.shown[0]
    assert history(ada) == [("user", "What is my boat called?"), ("assistant", "Beagle.")]


def test_a_simple_chat_engine_streams(ada: MemoriMemory) -> None:
    model = Model("Beagle.")
    engine = SimpleChatEngine.from_defaults(llm=model.llm, memory=ada)

    said = "".join(engine.stream_chat("What is my boat called?").response_gen)

    assert said == "Beagle."
    assert "My boat is called {Beagle}." in model.shown[0]


async def test_a_simple_chat_engine_awaits(ada: MemoriMemory) -> None:
    model = Model("Beagle.")
    engine = SimpleChatEngine.from_defaults(llm=model.llm, memory=ada)

    await engine.achat("What is my boat called?")

    assert "My boat is called {Beagle}." in model.shown[0]
    assert len(await ada.aget_all()) == 2


@pytest.mark.parametrize("insert_method", ["user", "system"])
def test_a_context_chat_engine_asks_before_it_stores(ada: MemoriMemory, recalls: Recalls, insert_method: str) -> None:
    memory = ada.model_copy(update={"insert_method": insert_method})
    model = Model("Beagle.", "Still Beagle.")
    engine = ContextChatEngine.from_defaults(retriever=Library(), llm=model.llm, memory=memory)

    engine.chat("What is my boat called?")
    engine.chat("And what was my boat called before?")

    assert [query for _, query in recalls.made] == ["What is my boat called?", "And what was my boat called before?"]
    assert all("My boat is called {Beagle}." in shown and "close at six" in shown for shown in model.shown)
    # The question of the first turn goes out again as it was stored: what is cached of the request stays valid.
    assert next(m.content for m in model.requests[1] if m.role == "user") == "What is my boat called?"
    assert [content for _, content in history(memory)] == [
        "What is my boat called?",
        "Beagle.",
        "And what was my boat called before?",
        "Still Beagle.",
    ]


async def test_a_condensing_chat_engine_is_shown_memories(ada: MemoriMemory) -> None:
    await ada.aput_messages([ChatMessage("Hello."), ChatMessage("Hi.", role="assistant")])
    model = Model("What is the user's boat called?", "Beagle.")
    engine = CondensePlusContextChatEngine.from_defaults(retriever=Library(), llm=model.llm, memory=ada)

    await engine.achat("What is my boat called?")

    assert any("My boat is called {Beagle}." in shown for shown in model.shown)
    assert "memori_context" not in repr(history(ada))


def test_a_history_given_to_a_chat_takes_the_place_of_the_stored_one(ada: MemoriMemory) -> None:
    ada.put(ChatMessage("An old question."))
    engine = SimpleChatEngine.from_defaults(llm=Model("Yes.").llm, memory=ada)

    engine.chat("And now?", chat_history=[])

    assert history(ada) == [("user", "And now?"), ("assistant", "Yes.")]
