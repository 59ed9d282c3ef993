"""Agents of LlamaIndex, run for real with a scripted model."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.workflow import Context
from memori import Attribution, Memori
from memori_llamaindex import MemoriMemory

from tests.llamaindex.conftest import Recalls
from tests.llamaindex.models import Model, tool_call, weather


class WatchedMemory(MemoriMemory):
    calls: ClassVar[list[tuple[Any, ...]]] = []

    async def aget(self, input: Any = None, initial_token_count: int = 0, **kwargs: Any) -> list[ChatMessage]:  # noqa: A002
        self.calls.append(("aget", input))
        return await super().aget(input, initial_token_count, **kwargs)

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        self.calls.append(("aput_messages", *(message.role.value for message in messages)))
        await super().aput_messages(messages)


def told(memori: Memori, entity: str, text: str, session: str = "earlier") -> None:
    MemoriMemory(entity_id=entity, session_id=session).put(ChatMessage(text))
    assert memori.augmentation.wait(10)


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_function_agent_knows_what_was_said_in_another_session(memori: Memori, streaming: bool) -> None:
    told(memori, "ada", "I live in Lisbon and I sail.")
    model = Model(tool_call("weather", city="Lisbon"), "It is sunny where you live.")
    agent = FunctionAgent(tools=[weather], llm=model.llm, system_prompt="Be brief.", streaming=streaming)
    memory = MemoriMemory(entity_id="ada", session_id="today")

    answer = await agent.run("How is the weather where I live?", memory=memory)

    assert str(answer) == "It is sunny where you live."
    assert len(model.requests) == 2
    assert all("I live in Lisbon and I sail." in shown for shown in model.shown)
    assert [(m.role.value, m.content) for m in await memory.aget_all()] == [
        ("user", "How is the weather where I live?"),
        ("assistant", None),
        ("tool", "It is sunny in Lisbon."),
        ("assistant", "It is sunny where you live."),
    ]


@pytest.mark.parametrize("streaming", [False, True])
async def test_what_an_agent_calls_in_one_run(memori: Memori, recalls: Recalls, streaming: bool) -> None:
    told(memori, "ada", "I live in Lisbon.")
    model = Model(tool_call("weather", city="Lisbon"), "Sunny.")
    agent = FunctionAgent(tools=[weather], llm=model.llm, streaming=streaming)
    WatchedMemory.calls.clear()

    await agent.run("Weather where I live?", memory=WatchedMemory(entity_id="ada", session_id="today"))

    assert WatchedMemory.calls == [
        ("aput_messages", "user"),
        ("aget", None),
        ("aget", "Weather where I live?"),
        ("aput_messages", "assistant", "tool", "assistant"),
        ("aget", None),
    ]
    assert recalls.made == [("ada", "Weather where I live?")]


async def test_every_step_of_a_turn_is_shown_identical_bytes_however_much_is_learnt_meanwhile(memori: Memori) -> None:
    told(memori, "ada", "I live in Lisbon.")
    ada = Attribution("ada")

    def learn(city: str) -> str:
        memori.remember(f"Ada's weather is that of {city}, where she lives.", attribution=ada)
        return "noted"

    model = Model(tool_call("learn", "1", city="Lisbon"), tool_call("learn", "2", city="Porto"), "Done.")
    agent = FunctionAgent(tools=[learn], llm=model.llm)

    await agent.run("Weather where I live?", memory=MemoriMemory(entity_id="ada", session_id="today"))

    first, *later = [request[0].model_dump_json() for request in model.requests]
    assert "I live in Lisbon." in first
    assert later == [first, first]


async def test_the_next_turn_is_recalled_anew(memori: Memori, recalls: Recalls) -> None:
    model = Model("Yes?", "Yes.")
    agent = FunctionAgent(llm=model.llm)
    context = Context(agent)
    memory = MemoriMemory(entity_id="ada", session_id="today")

    await agent.run("Do you remember my boat?", ctx=context, memory=memory)
    told(memori, "ada", "My boat is called Beagle.")
    await agent.run("Do you remember my boat?", ctx=context)

    assert [query for _, query in recalls.made] == ["Do you remember my boat?"] * 2
    assert "Beagle" not in model.shown[0]
    assert "Beagle" in model.shown[1]


async def test_two_people_with_two_sessions_each_share_nothing(memori: Memori) -> None:
    secrets = {"ada": "My locker code is 1111.", "bob": "My locker code is 2222."}
    models = {}
    for session in ("one", "two"):
        for person, secret in secrets.items():
            model = models[person, session] = Model("I see.")
            memory = MemoriMemory(entity_id=person, session_id=session)
            said = secret if session == "one" else "What is my locker code?"
            await FunctionAgent(llm=model.llm).run(said, memory=memory)
            assert memori.augmentation.wait(10)

    [ada], [bob] = models["ada", "two"].shown, models["bob", "two"].shown
    assert "1111" in ada
    assert "2222" not in ada
    assert "2222" in bob
    assert "1111" not in bob
    for person in secrets:
        history = MemoriMemory(entity_id=person, session_id="two").get_all()
        assert [message.content for message in history] == ["What is my locker code?", "I see."]


async def test_what_memory_shows_is_neither_stored_nor_learnt(memori: Memori) -> None:
    told(memori, "ada", "I live in Lisbon.")
    model = Model("In Lisbon.")
    agent = FunctionAgent(llm=model.llm, initial_state={"mood": "sunny"})

    await agent.run("Where do I live?", memory=MemoriMemory(entity_id="ada", session_id="today"))
    assert memori.augmentation.wait(10)

    assert "<memori_context>" in model.shown[0]
    assert "mood" in model.shown[0]
    stored = [one.message for one in memori.messages(attribution=Attribution("ada"))]
    episodes = memori.facts(attribution=Attribution("ada"), kinds=["episode"])
    assert [message.content for message in stored] == ["I live in Lisbon.", "Where do I live?", "In Lisbon."]
    assert "memori_context" not in repr([stored, episodes])
    assert "mood" not in repr([stored, episodes])


async def test_twenty_tenants_at_once_each_get_their_own_memories(memori: Memori) -> None:
    tenants = [f"tenant-{number}" for number in range(20)]
    # A made-up word for each, so that no answer can be right by chance.
    for number, tenant in enumerate(tenants):
        MemoriMemory(entity_id=tenant, session_id="s").put(ChatMessage(f"My password is zx{number:02}qv."))
    assert memori.augmentation.wait(30)
    models = [Model(tool_call("weather", city="Rome"), "Done.") for _ in tenants]

    await asyncio.gather(
        *(
            FunctionAgent(tools=[weather], llm=model.llm).run(
                "What is my password?", memory=MemoriMemory(entity_id=tenant, session_id="s", recall_timeout=30)
            )
            for tenant, model in zip(tenants, models, strict=True)
        )
    )

    for number, model in enumerate(models):
        for request in model.shown:
            assert {f"zx{other:02}qv" for other in range(20) if f"zx{other:02}qv" in request} == {f"zx{number:02}qv"}


async def test_a_react_agent_keeps_its_trace_and_only_its_answer_is_learnt(memori: Memori) -> None:
    thinking = "Thought: I need a tool.\nAction: weather\nAction Input: {'city': 'Lisbon'}"
    model = Model(thinking, "Thought: I can answer.\nAnswer: Sunny, as ever.")
    memory = MemoriMemory(entity_id="ada", session_id="today")

    await ReActAgent(tools=[weather], llm=model.llm, streaming=False).run("Weather in Lisbon?", memory=memory)
    assert memori.augmentation.wait(10)

    trace = (await memory.aget_all())[1].content or ""
    assert "Observation: It is sunny in Lisbon." in trace
    episodes = memori.facts(attribution=Attribution("ada"), kinds=["episode"])
    assert {fact.text for fact in episodes} == {"Weather in Lisbon?", "Sunny, as ever."}


async def test_agents_of_a_workflow_share_one_memory_across_a_handoff(memori: Memori, recalls: Recalls) -> None:
    told(memori, "ada", "I live in Lisbon.")
    greeter = Model(tool_call("handoff", to_agent="forecaster", reason="weather"))
    forecaster = Model(tool_call("weather", city="Lisbon"), "Sunny.")
    workflow = AgentWorkflow(
        agents=[
            FunctionAgent(name="greeter", description="Greets.", llm=greeter.llm, can_handoff_to=["forecaster"]),
            FunctionAgent(name="forecaster", description="Forecasts.", llm=forecaster.llm, tools=[weather]),
        ],
        root_agent="greeter",
    )
    memory = MemoriMemory(entity_id="ada", session_id="today")

    answer = await workflow.run(user_msg="Weather where I live?", memory=memory)

    assert str(answer) == "Sunny."
    assert all("I live in Lisbon." in shown for shown in [*greeter.shown, *forecaster.shown])
    assert recalls.made == [("ada", "Weather where I live?")]


async def test_a_history_given_to_a_run_takes_the_place_of_the_stored_one(memori: Memori) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="today")
    await memory.aput(ChatMessage("An old question."))
    model = Model("Yes.")

    await FunctionAgent(llm=model.llm).run(
        "And now?", chat_history=[ChatMessage("Hello."), ChatMessage("Hi.", role="assistant")], memory=memory
    )

    assert [message.content for message in await memory.aget_all()] == ["Hello.", "Hi.", "And now?", "Yes."]
