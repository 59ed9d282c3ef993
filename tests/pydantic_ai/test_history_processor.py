"""The history processor adds one tagged block to a history, whatever it is called on, and stores what it sees."""

import asyncio

import pytest
from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory, memori_history_processor
from pydantic_ai import Agent, ModelMessagesTypeAdapter
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessage

from tests.pydantic_ai.agents import Recalls, Script, Visitor, as_json, blocks, said, visitor

ADA, BOB = Visitor("ada"), Visitor("bob")


def processing(memori: Memori, script: Script) -> Agent[Visitor, str]:
    processor = memori_history_processor(memori, visitor)
    agent = Agent(script.model, deps_type=Visitor, capabilities=[ProcessHistory(processor)])

    @agent.tool_plain
    def look_up() -> str:
        return "nothing special"

    return agent


async def test_one_block_is_recalled_once_and_sent_with_each_step(
    memori: Memori, script: Script, recalls: Recalls
) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))

    await processing(memori, script).run("What tea do I drink?", deps=ADA)

    first, second = script.sent
    assert len(blocks(first)) == len(blocks(second)) == 1
    assert as_json(second[: len(first)]) == as_json(first)
    assert recalls.queries == [("ada", "What tea do I drink?")]


async def test_a_history_holds_the_newest_block_only_however_often_it_is_saved_and_sent_again(
    memori: Memori, script: Script
) -> None:
    agent = processing(memori, script)
    for drink in ("green tea in the morning", "black coffee at night"):
        memori.remember(f"Ada drinks {drink}.", attribution=Attribution("ada"))
    history: list[ModelMessage] = []
    for time in ("in the morning", "at night", "in the morning"):
        result = await agent.run(f"What do I drink {time}?", deps=ADA, message_history=history)
        history = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())

    assert [len(blocks(sent)) for sent in script.sent] == [1] * 6
    assert len(blocks(history)) == 1
    assert blocks(history[:-4]) == []


async def test_when_nothing_is_known_the_history_is_left_as_it_is(memori: Memori, script: Script) -> None:
    result = await processing(memori, script).run("What tea do I drink?", deps=ADA)

    assert blocks(result.all_messages()) == []


async def test_what_it_sees_is_stored_once_and_the_last_answer_when_the_conversation_goes_on(
    memori: Memori, script: Script
) -> None:
    agent = processing(memori, script)
    first = await agent.run("One.", deps=ADA)
    after_one = said(memori, "ada")
    history = ModelMessagesTypeAdapter.validate_json(first.all_messages_json())

    await agent.run("Two.", deps=ADA, message_history=history)

    turn = [("user", "One."), ("assistant", ""), ("tool", "nothing special")]
    assert after_one == turn
    assert said(memori, "ada")[:5] == [*turn, ("assistant", "Noted, thank you."), ("user", "Two.")]
    assert len(said(memori, "ada")) == 7


async def test_in_a_conversation_of_two_people_nobodys_words_become_the_others(memori: Memori, script: Script) -> None:
    agent = processing(memori, script)
    ada = await agent.run("I am Ada.", deps=ADA)
    bob = await agent.run("I am Bob.", deps=BOB, message_history=ada.all_messages())
    await agent.run("Me again.", deps=ADA, message_history=bob.all_messages())

    of_ada, of_bob = said(memori, "ada"), said(memori, "bob")
    assert [text for role, text in of_ada if role == "user"] == ["I am Ada.", "Me again."]
    assert [text for role, text in of_bob if role == "user"] == ["I am Bob."]
    assert of_ada.count(("assistant", "Noted, thank you.")) == 1
    assert ("assistant", "Noted, thank you.") not in of_bob


async def test_capture_can_be_left_to_others(memori: Memori, script: Script) -> None:
    processor = memori_history_processor(memori, visitor, capture=False)

    await Agent(script.model, deps_type=Visitor, capabilities=[ProcessHistory(processor)]).run("Hello.", deps=ADA)

    assert said(memori, "ada") == []


async def test_beside_the_capability_everything_is_still_stored_once(memori: Memori, script: Script) -> None:
    processor = ProcessHistory(memori_history_processor(memori, visitor))
    memory = MemoriMemory(memori, visitor, inject="off")
    agent = Agent(script.model, deps_type=Visitor, capabilities=[memory, processor])

    first = await agent.run("One.", deps=ADA)
    await agent.run("Two.", deps=ADA, message_history=first.all_messages())

    answer = ("assistant", "Noted, thank you.")
    assert said(memori, "ada") == [("user", "One."), answer, ("user", "Two."), answer]


async def test_users_at_once_are_given_their_own_memories_only(memori: Memori, script: Script) -> None:
    agent = processing(memori, script)
    users = [f"user-{number}" for number in range(8)]
    for user in users:
        memori.remember(f"The secret word is {user}-secret.", attribution=Attribution(user))

    await asyncio.gather(*(agent.run("What is the secret word?", deps=Visitor(user)) for user in users))

    assert len(script.sent) == 16
    for sent in script.sent:
        (block,) = blocks(sent)
        assert sum(f"{user}-secret" in block for user in users) == 1


@pytest.mark.parametrize("capture", [True, False])
async def test_it_streams(memori: Memori, script: Script, capture: bool) -> None:
    memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
    processor = memori_history_processor(memori, visitor, capture=capture)
    agent = Agent(script.model, deps_type=Visitor, capabilities=[ProcessHistory(processor)])

    async with agent.run_stream("What tea do I drink?", deps=ADA) as stream:
        answer = await stream.get_output()

    assert answer.strip() == "Noted, thank you."
    assert "green tea" in blocks(script.sent[0])[0]
