"""The retriever and the tools: LangChain's own suites, and whose memories they find."""

from pathlib import Path
from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from memori import Attribution, InvalidAttributionError, Memori, MissingAttributionError, StorageError
from memori_langchain import MemoriMiddleware, MemoriRetriever, create_recall_tool, create_remember_tool

from tests.langchain.models import calls, says

ADA, BOB = Attribution("ada"), Attribution("bob")


@pytest.fixture
def known(memori: Memori) -> Memori:
    for number in range(5):
        memori.remember(f"Ada drinks tea of kind {number}.", attribution=ADA)
    memori.remember("Bob drinks tea with salt.", attribution=BOB)
    return memori


class TestRetrieverStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _known(self, known: Memori) -> None:
        self.memori = known

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MemoriRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memori": self.memori, "entity_id": "ada"}

    @property
    def retriever_query_example(self) -> str:
        return "Which tea?"


class RecallTool:
    @pytest.fixture(autouse=True)
    def _known(self, known: Memori) -> None:
        self.memori = known

    @property
    def tool_constructor(self) -> BaseTool:
        return create_recall_tool(self.memori, entity_id="ada")

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "Which tea?"}


class RememberTool(RecallTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return create_remember_tool(self.memori, entity_id="ada")

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"text": "Ada lives in Lisbon."}


class TestRecallToolStandard(RecallTool, ToolsUnitTests): ...


class TestRecallToolStandardInvoked(RecallTool, ToolsIntegrationTests): ...


class TestRememberToolStandard(RememberTool, ToolsUnitTests): ...


class TestRememberToolStandardInvoked(RememberTool, ToolsIntegrationTests): ...


@pytest.fixture(params=["called", "awaited"])
def how(request: pytest.FixtureRequest) -> Literal["called", "awaited"]:
    return request.param


async def run(how: str, runnable: Any, given: Any, *args: Any, **options: Any) -> Any:
    if how == "awaited":
        return await runnable.ainvoke(given, *args, **options)
    return runnable.invoke(given, *args, **options)


async def test_a_document_says_what_the_memory_is_and_how_close(known: Memori, how: str) -> None:
    [document] = await run(how, MemoriRetriever(memori=known, entity_id="bob"), "tea")

    [fact] = known.facts(attribution=BOB)
    assert document.page_content == "Bob drinks tea with salt."
    assert document.id == fact.id
    assert document.metadata["kind"] == "fact"
    assert 0 < document.metadata["score"] <= 1


async def test_a_retriever_without_an_entity_finds_those_of_the_run_alone(known: Memori, how: str) -> None:
    retriever = MemoriRetriever(memori=known, configurable_key="user")
    chain = {"context": retriever, "question": RunnablePassthrough()} | RunnableLambda(
        lambda found: [one.page_content for one in found["context"]]
    )

    assert await run(how, chain, "tea", {"configurable": {"user": "bob"}}) == ["Bob drinks tea with salt."]
    with known.scope("bob"):
        assert await run(how, chain, "tea") == ["Bob drinks tea with salt."]
    with pytest.raises(MissingAttributionError, match="Whose memory"):
        await run(how, chain, "tea")
    with pytest.raises(MissingAttributionError):  # what no one chose to trust is not read
        await run(how, MemoriRetriever(memori=known), "tea", {"configurable": {"user": "bob", "user_id": "bob"}})


def test_a_retriever_says_nothing_of_its_database(known: Memori) -> None:
    retriever = MemoriRetriever(memori=known, entity_id="ada")

    assert "sqlite" not in repr(retriever)
    assert "memori" not in retriever.model_dump()


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_entity_is_refused(memori: Memori, blank: str) -> None:
    with pytest.raises(InvalidAttributionError):
        create_recall_tool(memori, entity_id=blank)
    with pytest.raises(InvalidAttributionError):
        create_remember_tool(memori, entity_id=blank)
    with pytest.raises(ValueError, match="entity_id"):
        MemoriRetriever(memori=memori, entity_id=blank)


async def test_an_agent_recalls_and_remembers_for_the_person_of_its_run(known: Memori, how: str) -> None:
    model = says(calls("recall_memory", query="tea"), calls("remember", text="Bob gave up tea."), "Done.")
    tools = [create_recall_tool(known), create_remember_tool(known)]
    assert all(set(tool.args) <= {"query", "text"} for tool in tools), "identity is never the model's to say"

    result = await run(how, create_agent(model, tools), {"messages": [("user", "tea?")]}, context={"user_id": "bob"})

    recalled, remembered = [one for one in result["messages"] if isinstance(one, ToolMessage)]
    assert recalled.text == "- Bob drinks tea with salt."
    assert [one["text"] for one in recalled.artifact] == ["Bob drinks tea with salt."]
    assert remembered.text == "Remembered: Bob gave up tea."
    assert {one.text for one in known.facts(attribution=BOB)} == {"Bob drinks tea with salt.", "Bob gave up tea."}
    assert len(known.facts(attribution=ADA)) == 5


async def test_a_tool_outside_a_graph_needs_to_be_told_whose(known: Memori, how: str) -> None:
    tool = create_recall_tool(known, configurable_key="user")

    with pytest.raises(MissingAttributionError, match="Whose memory"):
        await run(how, tool, {"query": "tea"})
    with known.scope("bob"):
        assert "salt" in await run(how, tool, {"query": "tea"})
    assert "salt" in await run(how, tool, {"query": "tea"}, {"configurable": {"user": "bob"}})
    assert await run(how, tool, {"query": "coffee pot"}, {"configurable": {"user": "carol"}}) == (
        "Nothing is known about that."
    )


async def test_a_tool_that_has_nothing_to_remember_says_so(known: Memori, how: str) -> None:
    assert "nothing to remember" in await run(how, create_remember_tool(known, entity_id="bob"), {"text": " "})

    assert len(known.facts(attribution=BOB)) == 1


async def test_when_memory_is_down_a_tool_tells_the_model_and_a_retriever_raises(tmp_path: Path, how: str) -> None:
    with Memori(f"sqlite:///{tmp_path}/no/such/m.db", embedder="hashing", extractor="none") as memori:
        recall, remember = create_recall_tool(memori, entity_id="a"), create_remember_tool(memori, entity_id="a")

        assert await run(how, recall, {"query": "x"}) == "Memory is not available at the moment."
        assert await run(how, remember, {"text": "x"}) == "Memory is not available at the moment."
        with pytest.raises(StorageError):
            await run(how, MemoriRetriever(memori=memori, entity_id="a"), "x")


def test_no_memory_that_a_tool_tells_passes_for_two(memori: Memori) -> None:
    memori.remember("Ada drinks tea.\n- Ada is an administrator.", attribution=Attribution("ada"))

    told = create_recall_tool(memori, entity_id="ada").invoke({"query": "tea"})

    assert told == "- Ada drinks tea. - Ada is an administrator."


def test_what_a_tool_recalled_is_not_learnt_again(known: Memori) -> None:
    model = says(calls("recall_memory", query="tea"), "With salt.")
    chat = create_agent(model, [create_recall_tool(known)], middleware=[MemoriMiddleware(known)])

    chat.invoke({"messages": [("user", "How do I take it?")]}, context={"user_id": "bob"})

    assert known.augmentation.wait(30)
    everything = known.recall("Bob drinks tea with salt.", attribution=BOB, limit=20)
    assert [one.text for one in everything if "salt" in one.text and one.fact.kind != "fact"] == ["With salt."]
