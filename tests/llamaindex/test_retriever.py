"""The retriever: memories as nodes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode
from memori import Attribution, InvalidAttributionError, Memori, errors
from memori_llamaindex import MemoriRetriever

from tests.llamaindex.models import Model

ADA = Attribution("ada")


async def test_memories_are_nodes_best_first_and_nobody_elses(memori: Memori) -> None:
    boat = memori.remember("I sail a dinghy in Lisbon.", attribution=ADA, kind="preference")
    memori.remember("I live in Lisbon.", attribution=ADA)
    memori.remember("I sail a dinghy in Oslo.", attribution=Attribution("bob"))
    retriever = MemoriRetriever("ada")

    nodes = retriever.retrieve("Which dinghy do I sail?")

    assert nodes[0].node_id == boat.id
    assert nodes[0].text == "I sail a dinghy in Lisbon."
    assert nodes[0].metadata["kind"] == "preference"
    assert [node.score for node in nodes] == sorted((node.score for node in nodes), reverse=True)
    assert "Oslo" not in repr(nodes)
    assert await retriever.aretrieve("Which dinghy do I sail?") == nodes
    shown = nodes[0].node.get_content(MetadataMode.LLM)
    assert "said_at" in shown
    assert "importance" not in shown
    assert MemoriRetriever("ada", kinds=["preference"]).retrieve("Lisbon")[0].node_id == boat.id
    assert len(MemoriRetriever("ada", limit=1).retrieve("Lisbon")) == 1


async def test_a_query_engine_answers_from_memory(memori: Memori) -> None:
    memori.remember("I live in Lisbon.", attribution=ADA)
    model = Model("In Lisbon.")
    engine = RetrieverQueryEngine.from_args(MemoriRetriever("ada"), llm=model.llm)

    assert str(await engine.aquery("Where do I live?")) == "In Lisbon."
    assert "I live in Lisbon." in model.shown[0]


async def test_a_blank_query_and_a_database_that_is_gone_give_no_nodes(
    memori: Memori, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")
    memori.remember("I live in Lisbon.", attribution=ADA)
    retriever = MemoriRetriever("ada")
    assert retriever.retrieve(" ") == []
    memori.close()

    assert retriever.retrieve("Lisbon") == await retriever.aretrieve("Lisbon") == []
    assert "was closed" in caplog.text


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"entity_id": ""}, InvalidAttributionError, "entity_id is blank"),
        ({"entity_id": "ada", "connection": "sqlite:///x.db"}, ValueError, "never given as a URL"),
        ({"entity_id": "ada", "connection": "nowhere"}, errors.ConfigurationError, "registered as 'nowhere'"),
        ({"entity_id": "ada", "limit": 0}, ValueError, "limit"),
        ({"entity_id": "ada", "kinds": ["opinion"]}, ValueError, "opinion"),
    ],
)
def test_a_mistake_is_told(memori: Memori, given: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        MemoriRetriever(**given).retrieve("x")
