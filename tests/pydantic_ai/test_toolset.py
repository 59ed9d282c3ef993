"""The model searches and keeps memories of the user the run is about, and forgets only what a person approved."""

import logging
from pathlib import Path

import pytest
from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory, MemoriToolset
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from tests.pydantic_ai.agents import Visitor, said, visitor

ADA, BOB = Visitor("ada"), Visitor("bob")


def calling(tool: str, **arguments: object) -> FunctionModel:
    """A model that calls one tool, once, and then says what it was told."""

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told = returns(messages)
        return ModelResponse([TextPart(told[-1]) if told else ToolCallPart(tool, dict(arguments))])

    return FunctionModel(reply)


def returns(messages: list[ModelMessage]) -> list[str]:
    """What tools answered, errors included."""
    return [
        part.model_response_str() if isinstance(part, ToolReturnPart) else part.model_response()
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart | RetryPromptPart)
    ]


def agent(memori: Memori, model: FunctionModel | TestModel, **options: bool) -> Agent[Visitor, str]:
    return Agent(model, deps_type=Visitor, toolsets=[MemoriToolset(memori, visitor, **options)])  # type: ignore[arg-type]


async def test_recall_finds_what_is_known_of_this_user_alone(memori: Memori) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    memori.remember("Bob drinks black tea.", attribution=Attribution("bob"))

    told = (await agent(memori, calling("memori_recall", query="tea")).run("Tea?", deps=ADA)).output

    assert "Ada drinks green tea." in told
    assert "Bob" not in told


async def test_recall_returns_no_more_than_the_model_asked_for(memori: Memori) -> None:
    for number in range(4):
        memori.remember(f"Ada drinks tea number {number}.", attribution=Attribution("ada"))

    two = await agent(memori, calling("memori_recall", query="tea", limit=2)).run("Tea?", deps=ADA)
    absurd = await agent(memori, calling("memori_recall", query="tea", limit=-5)).run("Tea?", deps=ADA)

    assert two.output.count("Ada drinks") == 2
    assert absurd.output.count("Ada drinks") == 1


async def test_what_the_model_keeps_is_known_in_the_next_conversation(memori: Memori) -> None:
    await agent(memori, calling("memori_remember", text="Ada drinks oolong.")).run("I like oolong.", deps=ADA)

    assert [fact.text for fact in memori.facts(attribution=Attribution("ada"))] == ["Ada drinks oolong."]
    assert memori.facts(attribution=Attribution("bob")) == []


async def test_a_blank_text_is_refused_and_the_model_may_try_again(memori: Memori) -> None:
    told = await agent(memori, calling("memori_remember", text="  ")).run("Hello.", deps=ADA)

    assert "nothing to remember in a blank text" in told.output
    assert memori.facts(attribution=Attribution("ada")) == []


async def test_nothing_is_forgotten_without_a_persons_approval(memori: Memori) -> None:
    fact = memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    chat = Agent(
        calling("memori_forget", memory_id=fact.id),
        deps_type=Visitor,
        output_type=[str, DeferredToolRequests],
        toolsets=[MemoriToolset(memori, visitor, forget=True)],
    )

    paused = await chat.run("Forget my tea.", deps=ADA)
    assert isinstance(paused.output, DeferredToolRequests)
    before = [one.text for one in memori.facts(attribution=Attribution("ada"))]
    approved = DeferredToolResults(approvals={call.tool_call_id: True for call in paused.output.approvals})
    done = await chat.run(message_history=paused.all_messages(), deferred_tool_results=approved, deps=ADA)

    assert before == ["Ada drinks green tea."]
    assert done.output == "Forgotten."
    assert memori.facts(attribution=Attribution("ada")) == []


async def test_nobody_forgets_for_another_even_with_approval(memori: Memori) -> None:
    fact = memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    toolset = MemoriToolset[Visitor](memori, visitor, forget=True)
    chat = Agent(
        calling("memori_forget", memory_id=fact.id),
        deps_type=Visitor,
        output_type=[str, DeferredToolRequests],
        toolsets=[toolset],
    )
    paused = await chat.run("Forget her tea.", deps=BOB)
    assert isinstance(paused.output, DeferredToolRequests)
    approved = DeferredToolResults(approvals={call.tool_call_id: True for call in paused.output.approvals})

    done = await chat.run(message_history=paused.all_messages(), deferred_tool_results=approved, deps=BOB)

    assert "no memory of that id" in str(done.output)
    assert [one.text for one in memori.facts(attribution=Attribution("ada"))] == ["Ada drinks green tea."]


async def test_the_model_is_never_asked_whose_memory_it_is(memori: Memori) -> None:
    model = TestModel()

    await agent(memori, model, forget=False).run("Hello.", deps=ADA)

    parameters = model.last_model_request_parameters
    assert parameters is not None
    named = {tool.name: sorted(tool.parameters_json_schema["properties"]) for tool in parameters.function_tools}
    assert named == {"memori_recall": ["limit", "query"], "memori_remember": ["text"]}


async def test_a_memory_that_is_down_costs_the_run_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "memori")
    path = tmp_path / "memory.db"
    path.write_bytes(b"this is no database" * 1000)
    with Memori(f"sqlite:///{path}", extractor="none", embedder="hashing") as broken:
        told = await agent(broken, calling("memori_remember", text="Tea.")).run("Tea!", deps=ADA)

    assert told.output == "Long-term memory cannot be reached right now. Go on without it."
    assert "a memory tool failed: " in caplog.text


async def test_the_capability_gives_the_tools_when_asked_and_learns_nothing_from_its_own_recall(memori: Memori) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    memory = MemoriMemory(memori, visitor, tools=True)

    await Agent(calling("memori_recall", query="tea"), deps_type=Visitor, capabilities=[memory]).run("Tea?", deps=ADA)

    assert [role for role, _ in said(memori, "ada")] == ["user", "assistant", "assistant"]
    model = TestModel()
    await Agent(model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor)]).run("Tea?", deps=ADA)
    assert model.last_model_request_parameters is not None
    assert model.last_model_request_parameters.function_tools == []


async def test_the_same_tools_twice_are_told_apart_by_the_framework(memori: Memori) -> None:
    tools = MemoriToolset[Visitor](memori, visitor)
    memory = MemoriMemory(memori, visitor, tools=True)

    with pytest.raises(UserError, match="memori_recall"):
        await Agent(TestModel(), deps_type=Visitor, toolsets=[tools], capabilities=[memory]).run("Tea?", deps=ADA)


@pytest.mark.parametrize("limit", [0, 51])
def test_a_limit_that_means_nothing_is_refused(memori: Memori, limit: int) -> None:
    with pytest.raises(ValueError, match="limit must be between 1 and 50"):
        MemoriToolset(memori, Attribution("ada"), limit=limit)
