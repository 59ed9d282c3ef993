"""A run is given what is known of its user, its history stays clean, and nobody is given another's memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory
from pydantic_ai import Agent, AgentRunResultEvent, ImageUrl
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    UserContent,
    UserPromptPart,
)

from tests.pydantic_ai.agents import Recalls, Script, Visitor, as_json, blocks, said, visitor, with_tool

ADA, BOB = Visitor("ada"), Visitor("bob")


def remembering(memori: Memori, script: Script, **options: object) -> Agent[Visitor, str]:
    capability = MemoriMemory(memori, visitor, **options)  # type: ignore[arg-type]
    return Agent(script.model, deps_type=Visitor, capabilities=[capability])


async def test_two_users_in_two_sessions_each_are_given_their_own_memories(memori: Memori, script: Script) -> None:
    agent = remembering(memori, script)
    for user, city in (("ada", "Lisbon"), ("bob", "Oslo")):
        await agent.run(f"I moved to {city} in May.", deps=Visitor(user, "first"))
    assert memori.augmentation.wait(10)

    for user in ("ada", "bob"):
        await agent.run("Which city did I move to in May?", deps=Visitor(user, "second"))

    (ada,), (bob,) = (blocks(sent) for sent in script.sent[-2:])
    assert "Lisbon" in ada
    assert "Oslo" not in ada
    assert "Oslo" in bob
    assert "Lisbon" not in bob
    assert said(memori, "ada", "first")[0] == ("user", "I moved to Lisbon in May.")
    assert said(memori, "ada", "second")[0] == ("user", "Which city did I move to in May?")


async def full_run(agent: Agent[Visitor, str], prompt: str) -> list[ModelMessage]:
    return (await agent.run(prompt, deps=ADA)).all_messages()


async def full_stream(agent: Agent[Visitor, str], prompt: str) -> list[ModelMessage]:
    async with agent.run_stream(prompt, deps=ADA) as stream:
        _ = [text async for text in stream.stream_text(debounce_by=None)]
        return stream.all_messages()


async def full_iteration(agent: Agent[Visitor, str], prompt: str) -> list[ModelMessage]:
    async with agent.iter(prompt, deps=ADA) as run:
        async for _ in run:
            pass
    assert run.result is not None
    return run.result.all_messages()


async def sync_run(agent: Agent[Visitor, str], prompt: str) -> list[ModelMessage]:
    def run() -> list[ModelMessage]:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return agent.run_sync(prompt, deps=ADA).all_messages()
        finally:
            loop.close()

    return await asyncio.to_thread(run)


async def full_events(agent: Agent[Visitor, str], prompt: str) -> list[ModelMessage]:
    async with agent.run_stream_events(prompt, deps=ADA) as events:
        (result,) = [event.result async for event in events if isinstance(event, AgentRunResultEvent)]
    history: list[ModelMessage] = result.all_messages()
    return history


ways = pytest.mark.parametrize("way", [full_run, full_stream, full_events, full_iteration, sync_run])
Way = Callable[[Agent[Visitor, str], str], Awaitable[list[ModelMessage]]]


@ways
async def test_every_way_to_run_recalls_once_sends_one_block_and_keeps_none(
    memori: Memori, script: Script, recalls: Recalls, way: Way
) -> None:
    agent = with_tool(remembering(memori, script))
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))

    history = await way(agent, "What tea do I drink?")

    first, second = script.sent
    assert len(blocks(first)) == len(blocks(second)) == 1
    assert "green tea" in blocks(first)[0]
    assert blocks(history) == []
    assert recalls.queries == [("ada", "What tea do I drink?")]
    assert [role for role, _ in said(memori, "ada")] == ["user", "assistant", "tool", "assistant"]


@ways
async def test_each_step_of_a_run_sends_the_same_bytes_for_what_came_before(
    memori: Memori, script: Script, way: Way
) -> None:
    agent = with_tool(remembering(memori, script))
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))

    await way(agent, "What tea do I drink?")

    first, second = script.sent
    assert as_json(second[: len(first)]) == as_json(first)


async def test_a_history_processor_never_sees_the_block(memori: Memori, script: Script) -> None:
    seen: list[list[ModelMessage]] = []

    def trim(messages: list[ModelMessage]) -> list[ModelMessage]:
        seen.append(list(messages))
        return messages[-3:]

    memory = MemoriMemory(memori, visitor)
    agent = with_tool(Agent(script.model, deps_type=Visitor, capabilities=[memory, ProcessHistory(trim)]))
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))

    first = await agent.run("What tea do I drink?", deps=ADA)
    second = await agent.run("And what tea at night?", deps=ADA, message_history=first.all_messages())

    assert [len(blocks(sent)) for sent in script.sent] == [1, 1, 1, 1]
    assert all(blocks(messages) == [] for messages in seen)
    assert blocks(second.all_messages()) == []


async def test_in_history_mode_the_stored_history_holds_the_newest_block_only(memori: Memori, script: Script) -> None:
    agent = with_tool(remembering(memori, script, inject="history"))
    for drink in ("green tea in the morning", "black coffee at night"):
        memori.remember(f"Ada drinks {drink}.", attribution=Attribution("ada"))

    first = await agent.run("What do I drink in the morning?", deps=ADA)
    second = await agent.run("What do I drink at night?", deps=ADA, message_history=first.all_messages())

    assert [len(blocks(sent)) for sent in script.sent] == [1, 1, 1, 1]
    assert len(blocks(first.all_messages())) == 1
    assert blocks(second.all_messages()) == blocks(script.sent[-1])
    assert not any("memori_context" in text for _, text in said(memori, "ada"))


async def test_without_injection_and_capture_nothing_is_asked_or_stored(
    memori: Memori, script: Script, recalls: Recalls
) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))

    await remembering(memori, script, inject="off", capture="off").run("What tea do I drink?", deps=ADA)

    assert blocks(script.sent[0]) == []
    assert recalls.queries == []
    assert said(memori, "ada") == []


async def test_the_question_of_a_run_without_a_prompt_is_the_one_in_its_history(
    memori: Memori, script: Script, recalls: Recalls
) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    history = [ModelRequest(parts=[UserPromptPart("What tea do I drink?")])]

    result = await remembering(memori, script).run(message_history=history, deps=ADA)

    assert recalls.queries == [("ada", "What tea do I drink?")]
    assert len(blocks(script.sent[0])) == 1
    assert blocks(result.all_messages()) == []


async def test_only_the_words_of_a_prompt_with_images_are_asked_for(
    memori: Memori, script: Script, recalls: Recalls
) -> None:
    prompt: list[UserContent] = [
        "What tea is this?",
        ImageUrl("https://example.com/tea.png"),
        TextContent("From my kitchen."),
    ]

    await remembering(memori, script).run(prompt, deps=ADA)

    assert recalls.queries == [("ada", "What tea is this?\nFrom my kitchen.")]
    assert said(memori, "ada")[0] == ("user", "What tea is this?\n[image]\nFrom my kitchen.")


async def test_what_is_in_the_conversation_already_is_not_recalled(memori: Memori, script: Script) -> None:
    agent = remembering(memori, script)
    first = await agent.run("My tea is green.", deps=ADA)
    assert memori.augmentation.wait(10)

    await agent.run("What tea is mine?", deps=ADA, message_history=first.all_messages())

    assert not any("My tea is green." in block for block in blocks(script.sent[-1]))


async def test_the_same_words_said_twice_are_stored_twice_and_a_resent_history_once(
    memori: Memori, script: Script
) -> None:
    agent = remembering(memori, script)
    first = await agent.run("Yes.", deps=Visitor("ada", "s"))
    await agent.run("Yes.", deps=Visitor("ada", "s"), message_history=first.all_messages())

    assert said(memori, "ada") == [("user", "Yes."), ("assistant", "Noted, thank you.")] * 2


async def test_without_a_session_of_its_own_the_conversation_is_the_session(memori: Memori, script: Script) -> None:
    agent = remembering(memori, script)
    first = await agent.run("One.", deps=ADA)
    second = await agent.run("Two.", deps=ADA, message_history=first.all_messages())
    await agent.run("Three.", deps=ADA)

    (conversation,) = {message.conversation_id for message in second.all_messages()}
    assert [text for role, text in said(memori, "ada", conversation) if role == "user"] == ["One.", "Two."]
    assert len(memori.conversations(attribution=Attribution("ada"))) == 2


async def test_two_different_memories_under_one_id_are_refused(memori: Memori, script: Script) -> None:
    with pytest.raises(UserError, match=r"share the id 'memori'.*id='team-memory'"):
        await Agent(
            script.model,
            capabilities=[MemoriMemory(memori, Attribution("ada")), MemoriMemory(memori, Attribution("bob"))],
        ).run("Hello.")

    assert script.sent == []


async def test_two_memories_with_ids_of_their_own_both_answer(memori: Memori, script: Script) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    memori.remember("The team drinks black tea.", attribution=Attribution("team"))
    agent = Agent(
        script.model,
        capabilities=[
            MemoriMemory(memori, Attribution("ada")),
            MemoriMemory(memori, Attribution("team"), capture="off", id="team-memory"),
        ],
    )

    await agent.run("Who drinks which tea?")

    sent = str(script.sent[0])
    assert "green tea" in sent
    assert "black tea" in sent
    assert said(memori, "team") == []


async def test_the_same_memory_twice_counts_once(memori: Memori, script: Script, recalls: Recalls) -> None:
    memory = MemoriMemory(memori, Attribution("ada"))

    await Agent(script.model, capabilities=[memory, replace(memory)]).run("Hello.")

    assert len(recalls.queries) == 1
    assert len(said(memori, "ada")) == 2


async def test_a_memory_given_to_one_run_takes_the_place_of_the_agents(memori: Memori, script: Script) -> None:
    agent = Agent(script.model, capabilities=[MemoriMemory(memori, Attribution("ada"))])

    await agent.run("Hello.", capabilities=[MemoriMemory(memori, Attribution("bob"))])

    assert said(memori, "ada") == []
    assert len(said(memori, "bob")) == 2


@pytest.mark.parametrize("option", [{"inject": "system"}, {"capture": "some"}])
def test_an_unknown_option_is_refused_with_the_choices(memori: Memori, option: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"choose one of '.*', '.*', 'off'"):
        MemoriMemory(memori, Attribution("ada"), **option)  # type: ignore[arg-type]


async def test_what_the_caller_passed_in_is_left_as_it_was(memori: Memori, script: Script) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("Hello.")]),
        ModelResponse(parts=[TextPart("Hello to you.")]),
    ]
    before = as_json(history)

    await remembering(memori, script).run("What tea do I drink?", deps=ADA, message_history=history)

    assert len(history) == 2
    assert as_json(history) == before
