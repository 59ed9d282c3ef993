"""MemoriMiddleware in real agents: what is shown to the model, what is stored, and what is left alone."""

import asyncio
import copy
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command
from memori import Attribution, Memori
from memori_langchain import MemoriMiddleware

from tests.langchain.models import Scripted, agent, calls, last_human, says
from tests.loopback import LoopbackServer, openai

BLOCK = "<memori_context>"
ADA = {"user_id": "ada"}
BOB = {"user_id": "bob"}


@tool
def look_up(place: str) -> str:
    """Look a place up."""
    return f"{place} is on the coast."


def thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def ask(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def tell(memori: Memori, entity_id: str, text: str, session_id: str = "before") -> None:
    memori.record(("user", text), attribution=Attribution(entity_id, session_id=session_id))
    assert memori.augmentation.wait(60)


def stored(memori: Memori, entity_id: str, session_id: str | None = None) -> list[tuple[str, str]]:
    found = memori.messages(attribution=Attribution(entity_id, session_id=session_id))
    return [(one.message.role, one.message.content) for one in found]


def saved(saver: InMemorySaver, name: str) -> str:
    """Everything a checkpointer holds of a thread."""
    checkpoints = [str(one) for one in saver.list(thread(name))]
    parts = [part for held in (saver.storage, saver.blobs, saver.writes) for part in held.items()]
    return "\n".join([*checkpoints, *(str(part) for part in parts if name in str(part))])


# what the model is shown


def test_what_was_said_in_one_thread_is_known_in_the_next(memori: Memori) -> None:
    model = says("Noted.", "In Lisbon.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())
    chat.invoke(ask("I moved to Lisbon last spring."), thread("monday"), context=ADA)
    assert memori.augmentation.wait(60)

    chat.invoke(ask("Where did I move to?"), thread("tuesday"), context=ADA)

    [request] = model.requests[-1]
    assert request.text.startswith(BLOCK)
    assert "I moved to Lisbon last spring." in request.text
    assert request.text.endswith("</memori_context>\n\nWhere did I move to?")


async def test_what_was_said_in_one_thread_is_known_in_the_next_when_awaited(memori: Memori) -> None:
    model = says("Noted.", "In Lisbon.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())
    await chat.ainvoke(ask("I moved to Lisbon last spring."), thread("monday"), context=ADA)
    assert memori.augmentation.wait(60)

    await chat.ainvoke(ask("Where did I move to?"), thread("tuesday"), context=ADA)

    assert "I moved to Lisbon last spring." in model.last_request


def test_nobody_else_is_told(memori: Memori) -> None:
    model = says("Noted.", "I don't know.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())
    chat.invoke(ask("I moved to Lisbon last spring."), thread("ada"), context=ADA)
    assert memori.augmentation.wait(60)

    chat.invoke(ask("Where did I move to?"), thread("bob"), context=BOB)

    assert model.last_request == "Where did I move to?"
    assert stored(memori, "bob") == [("user", "Where did I move to?"), ("assistant", "I don't know.")]


def test_what_the_thread_says_already_is_not_repeated(memori: Memori) -> None:
    model = says("Noted.", "In Lisbon.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())
    chat.invoke(ask("I moved to Lisbon last spring."), thread("monday"), context=ADA)
    assert memori.augmentation.wait(60)

    chat.invoke(ask("Where did I move to?"), thread("monday"), context=ADA)

    assert BLOCK not in model.last_request


def test_every_step_of_a_turn_sees_the_same_bytes(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")

    def reply(messages: list[BaseMessage]) -> AIMessage | str:
        if len(model.requests) == 1:
            tell(memori, "ada", "I moved to Lisbon for the sea.")
        return calls("look_up", place=str(len(model.requests))) if len(model.requests) < 3 else "By the sea."

    model = Scripted(reply=reply)
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori)])
    chat.invoke(ask("Where did I move to?"), thread("t"), context=ADA)

    first, second, third = ([one.text for one in request] for request in model.requests)
    assert BLOCK in first[0]
    assert second[: len(first)] == first
    assert third[: len(second)] == second


@pytest.mark.parametrize("prompt", ["Be brief.", None])
def test_the_block_can_go_into_the_system_message(memori: Memori, prompt: str | None) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model = says("In Lisbon.")
    chat = agent(model, system_prompt=prompt, middleware=[MemoriMiddleware(memori, inject="system")])

    chat.invoke(ask("Where did I move to?"), context=ADA)

    system, human = model.requests[-1]
    assert system.type == "system"
    assert system.text.startswith(f"Be brief.\n\n{BLOCK}" if prompt else BLOCK)
    assert human.text == "Where did I move to?"


@pytest.mark.parametrize("inject", ["user", "system"])
def test_a_message_of_parts_keeps_its_parts(memori: Memori, inject: Any) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model = says("In Lisbon.")
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    question = HumanMessage([{"type": "text", "text": "Where did I move to?"}, image])
    chat = agent(model, middleware=[MemoriMiddleware(memori, inject=inject)])

    chat.invoke({"messages": [question]}, context=ADA)

    human = model.requests[-1][-1]
    assert human.content[:2] == question.content
    assert len(human.content) == (3 if inject == "user" else 2)
    assert BLOCK in model.last_request


def test_what_is_shown_is_kept_nowhere(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    saver, store, model = InMemorySaver(), InMemoryStore(), says(calls("look_up", place="x"), "By the sea.")
    chat = agent(
        model, [look_up], middleware=[MemoriMiddleware(memori)], checkpointer=saver, store=store, system_prompt="Hm."
    )
    given = {"messages": [HumanMessage("Where did I move to?", id="h-1")]}
    before = copy.deepcopy(given)

    result = chat.invoke(given, thread("t"), context=ADA)

    assert BLOCK in model.last_request
    assert given == before
    assert set(result) == {"messages"}
    assert set(chat.get_state(thread("t")).values) == {"messages"}
    kept = "\n".join([str(result), str(chat.get_state(thread("t"))), saved(saver, "t"), str(store.search(()))])
    assert "Where did I move to?" in kept
    assert "Lisbon" not in kept
    assert BLOCK not in kept
    assert all(BLOCK not in text for _, text in stored(memori, "ada"))


def test_a_caller_cannot_put_words_into_the_block(memori: Memori) -> None:
    model = says("Hello.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)])

    chat.invoke({**ask("Hi"), "memori_context": {"MemoriMiddleware": "obey"}}, context=ADA)

    assert model.last_request == "Hi"


def test_two_of_them_serve_one_agent(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    tell(memori, "team", "We all move in the spring.")
    model = says("In Lisbon.")
    team = MemoriMiddleware(memori, entity_id="team", capture=False, name="team memory")
    chat = agent(model, middleware=[MemoriMiddleware(memori), team])

    chat.invoke(ask("Where did I move in the spring?"), context=ADA)

    assert model.last_request.count(BLOCK) == 2
    assert "I moved to Lisbon" in model.last_request
    assert "We all move" in model.last_request
    assert ("user", "Where did I move in the spring?") in stored(memori, "ada")
    assert len(stored(memori, "team")) == 1


# what is stored


def test_a_turn_with_tools_is_stored_whole_in_order_and_once(memori: Memori) -> None:
    model = says(calls("look_up", place="Porto"), calls("look_up", place="Faro"), "Both are on the coast.")
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori)])

    chat.invoke(ask("Porto or Faro?"), thread("t"), context=ADA)

    assert stored(memori, "ada", "t") == [
        ("user", "Porto or Faro?"),
        ("assistant", ""),
        ("tool", "Porto is on the coast."),
        ("assistant", ""),
        ("tool", "Faro is on the coast."),
        ("assistant", "Both are on the coast."),
    ]
    _, call, result, *_ = [one.message for one in memori.messages(attribution=Attribution("ada", session_id="t"))]
    assert [(one.name, one.arguments) for one in call.tool_calls] == [("look_up", '{"place": "Porto"}')]
    assert result.tool_call_id == call.tool_calls[0].id


def test_two_people_with_two_sessions_each_are_stored_apart(memori: Memori) -> None:
    model = Scripted(reply=lambda messages: f"re: {messages[-1].text}")
    chat = agent(model, middleware=[MemoriMiddleware(memori, recall=False)], checkpointer=InMemorySaver())
    keys = [(entity, f"{entity}-{number}") for entity in ("ada", "bob") for number in (1, 2)]

    for turn in ("first", "second"):
        for entity, session in keys:
            chat.invoke(ask(f"{turn} of {session}"), thread(session), context={"user_id": entity})

    for entity, session in keys:
        expected = [
            f"first of {session}",
            f"re: first of {session}",
            f"second of {session}",
            f"re: second of {session}",
        ]
        assert [text for _, text in stored(memori, entity, session)] == expected
        assert len(stored(memori, entity)) == 8


def test_a_history_resent_without_a_checkpointer_is_stored_once(memori: Memori) -> None:
    model = says("Hello Ada.", "Ada.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)])

    chat.invoke({"messages": [("user", "I am Ada.")]}, context=ADA)
    chat.invoke(
        {"messages": [("user", "I am Ada."), ("ai", "Hello Ada."), ("user", "Who am I?")]},
        context=ADA,
    )

    expected = [("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?"), ("assistant", "Ada.")]
    assert stored(memori, "ada") == expected
    assert len({one.session_id for one in memori.messages(attribution=Attribution("ada"))}) == 1


def test_a_streamed_turn_is_stored_whole(memori: Memori) -> None:
    model = says(calls("look_up", place="Porto"), "It is on the coast.")
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    pieces = list(chat.stream(ask("Porto?"), thread("t"), context=ADA, stream_mode="messages"))

    assert len(pieces) > 5
    assert [role for role, _ in stored(memori, "ada", "t")] == ["user", "assistant", "tool", "assistant"]
    assert stored(memori, "ada", "t")[-1][1].strip() == "It is on the coast."


async def test_a_turn_streamed_asynchronously_is_stored_whole(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Porto last spring.")
    model = says(calls("look_up", place="Porto"), "It is on the coast.")
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    stream = chat.astream(ask("What of Porto?"), thread("t"), context=ADA, stream_mode="messages")
    pieces = [piece async for piece in stream]

    assert len(pieces) > 5
    assert BLOCK in model.last_request
    assert [role for role, _ in stored(memori, "ada", "t")] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_summary_in_the_middle_of_a_turn_loses_nothing_and_is_not_taken_for_the_user(
    memori: Memori, keep: int
) -> None:
    places = ["Porto", "Faro", "Sines"]
    model = says(*(calls("look_up", place=place) for place in places), "All are on the coast.")
    summaries = SummarizationMiddleware(
        FakeListChatModel(responses=["SUMMARY"] * 9), trigger=("messages", 4), keep=("messages", keep)
    )
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori), summaries], checkpointer=InMemorySaver())

    result = chat.invoke(ask("Which is on the coast?"), thread("t"), context=ADA)

    assert "SUMMARY" in str(result["messages"][0].content)
    assert stored(memori, "ada", "t") == [
        ("user", "Which is on the coast?"),
        *[pair for place in places for pair in (("assistant", ""), ("tool", f"{place} is on the coast."))],
        ("assistant", "All are on the coast."),
    ]


def test_an_interrupted_turn_resumes_with_its_memories_and_is_stored_once(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model = says(calls("look_up", place="Lisbon"), "It is on the coast.")
    saver = InMemorySaver()
    approval = HumanInTheLoopMiddleware(interrupt_on={"look_up": True})

    def chat() -> Any:
        return agent(model, [look_up], middleware=[MemoriMiddleware(memori), approval], checkpointer=saver)

    paused = chat().invoke(ask("Is where I moved to by the sea?"), thread("t"), context=ADA)
    assert "__interrupt__" in paused
    chat().invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread("t"), context=ADA)

    first, second = model.requests
    assert BLOCK in first[0].text
    assert second[0].text == first[0].text
    assert [role for role, _ in stored(memori, "ada", "t")] == ["user", "assistant", "tool", "assistant"]
    assert "I moved to Lisbon" not in saved(saver, "t")


async def test_an_interrupted_turn_resumes_when_awaited(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model = says(calls("look_up", place="Lisbon"), "It is on the coast.")
    approval = HumanInTheLoopMiddleware(interrupt_on={"look_up": True})
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori), approval], checkpointer=InMemorySaver())

    await chat.ainvoke(ask("Is where I moved to by the sea?"), thread("t"), context=ADA)
    await chat.ainvoke(Command(resume={"decisions": [{"type": "reject"}]}), thread("t"), context=ADA)

    assert BLOCK in model.last_request
    assert [role for role, _ in stored(memori, "ada", "t")] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("awaited", [False, True])
async def test_what_the_user_said_survives_a_failing_model(memori: Memori, awaited: bool) -> None:
    def fail(_: list[BaseMessage]) -> str:
        raise RuntimeError("the model is down")

    chat = agent(Scripted(reply=fail), middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    given = ask("I moved to Lisbon."), thread("t")
    with pytest.raises(RuntimeError, match="the model is down"):
        _ = await chat.ainvoke(*given, context=ADA) if awaited else chat.invoke(*given, context=ADA)

    assert stored(memori, "ada", "t") == [("user", "I moved to Lisbon.")]


def test_tool_steps_survive_a_model_that_fails_later(memori: Memori) -> None:
    def reply(messages: list[BaseMessage]) -> AIMessage:
        if len(model.requests) > 1:
            raise RuntimeError("the model is down")
        return calls("look_up", place="Porto")

    model = Scripted(reply=reply)
    chat = agent(model, [look_up], middleware=[MemoriMiddleware(memori)])

    with pytest.raises(RuntimeError):
        chat.invoke(ask("Porto?"), thread("t"), context=ADA)

    assert stored(memori, "ada", "t") == [("user", "Porto?"), ("assistant", "")]


def test_capture_and_recall_can_each_be_off(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    model = says("a", "b")

    agent(model, middleware=[MemoriMiddleware(memori, recall=False)]).invoke(ask("Where to?"), context=ADA)
    assert model.last_request == "Where to?"
    held = stored(memori, "ada")
    assert len(held) == 3
    agent(model, middleware=[MemoriMiddleware(memori, capture=False)]).invoke(ask("Lisbon?"), context=ADA)
    assert BLOCK in model.last_request
    assert stored(memori, "ada") == held


def test_a_registered_client_underneath_stays_silent(memori: Memori) -> None:
    tell(memori, "ada", "I moved to Lisbon last spring.")
    with LoopbackServer() as server, openai(server) as client:
        server.say("In Lisbon.")
        memori.llm.register(client, attribution=Attribution("ada"))

        def reply(messages: list[BaseMessage]) -> str:
            answer = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": messages[-1].text}]
            )
            return answer.choices[0].message.content or ""

        chat = agent(Scripted(reply=reply), middleware=[MemoriMiddleware(memori)])
        chat.invoke(ask("Where did I move to?"), thread("t"), context=ADA)

        [call] = server.calls
        assert str(call.body).count(BLOCK) == 1
        assert stored(memori, "ada")[1:] == [("user", "Where did I move to?"), ("assistant", "In Lisbon.")]


# many at once


async def test_twenty_people_at_once_are_each_told_their_own(memori: Memori) -> None:
    people = [f"user-{number}" for number in range(20)]
    model = Scripted(reply=lambda messages: f"re: {last_human(messages)}")
    chat = agent(model, middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())

    async def run(person: str, session: str, text: str) -> Mapping[str, Any]:
        result: Mapping[str, Any] = await chat.ainvoke(
            ask(text), thread(f"{person}/{session}"), context={"user_id": person}
        )
        return result

    await asyncio.gather(*(run(one, "1", f"My secret word is word{one}.") for one in people))
    assert memori.augmentation.wait(60)
    results = await asyncio.gather(*(run(one, "2", "What is my secret word?") for one in people))

    for person, result in zip(people, results, strict=True):
        seen = result["messages"][-1].text
        assert f"word{person}." in seen
        assert not [other for other in people if other != person and f"word{other}." in seen]
        assert len(stored(memori, person)) == 4


async def test_awaiting_leaves_the_event_loop_alone(memori: Memori, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    for name in ("record", "context"):
        original = getattr(memori, name)

        def watched(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            threads.add(threading.get_ident())
            return original(*args, **kwargs)

        monkeypatch.setattr(memori, name, watched)
    chat = agent(says("Hello."), middleware=[MemoriMiddleware(memori)])

    await chat.ainvoke(ask("Hi"), context=ADA)

    assert threads
    assert threading.get_ident() not in threads
