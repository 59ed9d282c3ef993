"""MemoriMiddleware beside what else an agent has: structured output, subagents, summaries, people who decide."""

import asyncio
from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from memori import Attribution, Memori
from memori_langchain import MemoriMiddleware
from pydantic import BaseModel

from tests.langchain.models import Scripted, agent, calls, last_human, says

BLOCK = "<memori_context>"
ADA = {"user_id": "ada"}


class Place(BaseModel):
    """Where it is."""

    city: str


@tool
def look_up(place: str) -> str:
    """Look a place up."""
    return f"{place} is on the coast."


@pytest.fixture(params=["called", "awaited"])
def how(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


async def run(how: str, chat: Any, given: Any, thread: str = "t", user: str = "ada") -> Any:
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    context = {"user_id": user}
    if how == "awaited":
        return await chat.ainvoke(given, config, context=context)
    return chat.invoke(given, config, context=context)


def ask(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def tell(memori: Memori, entity_id: str, text: str) -> None:
    memori.record(("user", text), attribution=Attribution(entity_id, session_id="before"))
    assert memori.augmentation.wait(60)


def stored(memori: Memori, entity_id: str = "ada", session_id: str = "t") -> list[tuple[str, str]]:
    found = memori.messages(attribution=Attribution(entity_id, session_id=session_id))
    return [(one.message.role, one.message.content) for one in found]


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
async def test_structured_output_is_given_and_stored(memori: Memori, how: str, strategy: Any) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    answer = calls("Place", city="Lisbon") if strategy is ToolStrategy else AIMessage('{"city": "Lisbon"}')
    model = says(answer)
    chat = agent(model, [], middleware=[MemoriMiddleware(memori)], response_format=strategy(Place))

    result = await run(how, chat, ask("Where did I move to?"))

    assert result["structured_response"] == Place(city="Lisbon")
    assert BLOCK in model.last_request
    assert [role for role, _ in stored(memori, session_id=_session(memori))][:2] == ["user", "assistant"]


def _session(memori: Memori) -> str:
    return memori.messages(attribution=Attribution("ada"))[-1].session_id


async def test_a_subagent_is_told_of_the_same_person_and_its_question_is_not_taken_for_theirs(
    memori: Memori, how: str
) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    tell(memori, "bob", "I moved to Oslo last spring.")
    inner_model = says("Inner: Lisbon.")
    inner = agent(inner_model, middleware=[MemoriMiddleware(memori)])

    @tool
    async def adelegate(task: str) -> str:
        """Ask the other agent."""
        return str((await inner.ainvoke(ask(task)))["messages"][-1].text)

    @tool
    def delegate(task: str) -> str:
        """Ask the other agent."""
        return str(inner.invoke(ask(task))["messages"][-1].text)

    chosen = adelegate if how == "awaited" else delegate
    chat = agent(
        says(calls(chosen.name, task="Where did she move to?"), "To Lisbon."),
        [chosen],
        middleware=[MemoriMiddleware(memori)],
        checkpointer=InMemorySaver(),
    )

    await run(how, chat, ask("Where did I move?"))

    assert "Lisbon" in inner_model.last_request
    assert "Oslo" not in inner_model.last_request
    assert stored(memori) == [
        ("user", "Where did I move?"),
        ("assistant", ""),
        ("tool", "Inner: Lisbon."),
        ("assistant", "To Lisbon."),
    ]


async def test_an_agent_that_is_a_node_of_a_graph_stores_what_the_user_says(memori: Memori, how: str) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("helper", agent(says("Hello."), middleware=[MemoriMiddleware(memori)]))
    graph.add_edge(START, "helper")

    await run(how, graph.compile(checkpointer=InMemorySaver()), ask("Hi."))

    assert stored(memori) == [("user", "Hi."), ("assistant", "Hello.")]


async def test_a_summary_of_old_turns_leaves_them_stored_and_is_not_stored_itself(memori: Memori, how: str) -> None:
    model = Scripted(reply=lambda messages: f"re: {last_human(messages).splitlines()[-1]}")
    summaries = SummarizationMiddleware(
        FakeListChatModel(responses=["SUMMARY"] * 9), trigger=("messages", 5), keep=("messages", 2)
    )
    chat = agent(model, middleware=[summaries, MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    for number in range(4):
        result = await run(how, chat, ask(f"turn {number}"))

    assert any("SUMMARY" in one.text for one in result["messages"])
    assert stored(memori) == [
        pair for n in range(4) for pair in (("user", f"turn {n}"), ("assistant", f"re: turn {n}"))
    ]


@pytest.mark.parametrize(
    ("decision", "tool_says"),
    [
        ({"type": "approve"}, "Lisbon is on the coast."),
        (
            {"type": "edit", "edited_action": {"name": "look_up", "args": {"place": "Faro"}}},
            "Faro is on the coast.",
        ),
        ({"type": "reject", "message": "No need."}, "No need."),
    ],
)
async def test_whatever_a_person_decides_the_turn_is_stored_once_as_it_went(
    memori: Memori, how: str, decision: dict[str, Any], tool_says: str
) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model, saver = says(calls("look_up", place="Lisbon"), "Done."), InMemorySaver()
    middleware = [MemoriMiddleware(memori), HumanInTheLoopMiddleware(interrupt_on={"look_up": True})]

    paused = await run(how, agent(model, [look_up], middleware=middleware, checkpointer=saver), ask("Where to?"))
    assert "__interrupt__" in paused
    resumed = agent(model, [look_up], middleware=middleware, checkpointer=saver)
    await run(how, resumed, Command(resume={"decisions": [decision]}))

    question, call, result, answer = [text for _, text in stored(memori)]
    assert (question, call, answer) == ("Where to?", "", "Done.")
    assert result.endswith(tool_says)
    assert all(BLOCK in request[0].text for request in model.requests)


async def test_twenty_people_pause_and_go_on_at_once_each_with_their_own(memori: Memori) -> None:
    people = [f"user-{number}" for number in range(20)]

    def reply(messages: list[BaseMessage]) -> AIMessage | str:
        return f"re: {messages[-1].text}" if messages[-1].type == "tool" else calls("look_up", place="Porto")

    for person in people:
        memori.remember(f"My secret word is word{person}.", attribution=Attribution(person))
    middleware = [MemoriMiddleware(memori), HumanInTheLoopMiddleware(interrupt_on={"look_up": True})]
    model = Scripted(reply=reply)
    chat = agent(model, [look_up], middleware=middleware, checkpointer=InMemorySaver())

    await asyncio.gather(*(run("awaited", chat, ask("My secret word?"), one, one) for one in people))
    resume = Command(resume={"decisions": [{"type": "approve"}]})
    await asyncio.gather(*(run("awaited", chat, resume, one, one) for one in people))

    for person in people:
        assert [role for role, _ in stored(memori, person, person)] == ["user", "assistant", "tool", "assistant"]
        seen = [request for request in model.requests if f"word{person}." in request[0].text]
        assert len(seen) == 2
        assert all(request[0].text.count("My secret word is") == 1 for request in seen)


async def test_learning_does_not_show_in_what_the_run_streams(memori: Memori) -> None:
    chat = agent(says("Noted."), middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    config: RunnableConfig = {"configurable": {"thread_id": "t"}}
    stream = chat.astream(ask("I moved to Lisbon."), config, context=ADA, stream_mode="messages")
    text = "".join([piece.text async for piece, _ in stream])
    assert memori.augmentation.wait(60)

    assert text.strip() == "Noted."


def test_a_state_without_messages_is_the_frameworks_to_judge(memori: Memori) -> None:
    def outcome(middleware: list[Any]) -> Any:
        try:
            return [one.text for one in agent(says("Hi."), middleware=middleware).invoke({}, context=ADA)["messages"]]
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            return type(error), str(error)

    assert outcome([MemoriMiddleware(memori)]) == outcome([])


@pytest.mark.parametrize("thread", [7, "a" * 10])
def test_a_thread_id_of_another_type_is_its_text(memori: Memori, thread: Any) -> None:
    chat = agent(says("Hello."), middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    chat.invoke(ask("Hi."), {"configurable": {"thread_id": thread}}, context=ADA)

    assert len(stored(memori, session_id=str(thread))) == 2
