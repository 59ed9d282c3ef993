"""The promises of MemoriMemory itself, without an agent around it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockLLM
from memori import Attribution, Memori, StorageError, errors, hookimpl
from memori_llamaindex import MemoriMemory, register

from tests.llamaindex.conftest import Recalls

ADA = Attribution("ada")


@pytest.fixture
def ada(memori: Memori) -> MemoriMemory:
    return MemoriMemory(entity_id="ada", session_id="s")


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


def assistant(text: str) -> ChatMessage:
    return ChatMessage(text, role="assistant")


# history


async def test_what_is_said_twice_is_stored_twice(ada: MemoriMemory) -> None:
    ada.put(ChatMessage("Go on."))
    await ada.aput(ChatMessage("Go on."))
    ada.put_messages([ChatMessage("Go on."), ChatMessage("Go on.")])

    assert texts(await ada.aget_all()) == ["Go on."] * 4


def test_no_messages_are_no_turn(ada: MemoriMemory, memori: Memori) -> None:
    ada.put_messages([])

    assert memori.conversations(attribution=ADA) == []


def test_messages_of_a_turn_are_stored_together_or_not_at_all(ada: MemoriMemory, database: Path) -> None:
    ada.put(ChatMessage("First."))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON memori_conversation_message WHEN NEW.role = 'assistant' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    with pytest.raises(StorageError):
        ada.put_messages([ChatMessage("Second."), assistant("Third.")])

    assert texts(ada.get_all()) == ["First."]


async def test_a_new_history_takes_the_place_of_the_old_and_facts_stay(ada: MemoriMemory, memori: Memori) -> None:
    ada.put_messages([ChatMessage("I live in Lisbon."), assistant("Noted.")])
    assert memori.augmentation.wait(10)
    known = memori.facts(attribution=ADA, kinds=["episode"])

    await ada.aset([ChatMessage("I live in Lisbon."), assistant("Lovely.")])

    assert texts(ada.get_all()) == ["I live in Lisbon.", "Lovely."]
    assert memori.facts(attribution=ADA, kinds=["episode"]) == known
    await ada.areset()
    assert ada.get_all() == []
    assert memori.facts(attribution=ADA, kinds=["episode"]) == known


def test_a_new_history_differs_from_the_old_in_more_than_its_text(ada: MemoriMemory) -> None:
    def picture(url: str) -> ChatMessage:
        return ChatMessage(role="user", blocks=[TextBlock(text="Look!"), ImageBlock(url=url)])

    ada.put_messages([picture("https://example.org/cat.png"), assistant("A cat.")])

    ada.set([picture("https://example.org/dog.png"), assistant("A cat.")])

    assert ada.get_all() == [picture("https://example.org/dog.png"), assistant("A cat.")]


def test_resetting_one_session_leaves_the_others(ada: MemoriMemory) -> None:
    other = MemoriMemory(entity_id="ada", session_id="other")
    same_name = MemoriMemory(entity_id="bob", session_id="s")
    for memory in (ada, other, same_name):
        memory.put(ChatMessage("Hello."))

    ada.reset()

    assert [len(memory.get_all()) for memory in (ada, other, same_name)] == [0, 1, 1]


def test_agents_that_talk_to_one_person_share_what_is_known_but_no_history(memori: Memori) -> None:
    cook, doctor = (MemoriMemory(entity_id="ada", session_id="s", process_id=agent) for agent in ("cook", "doctor"))
    cook.put(ChatMessage("I am allergic to peanuts."))
    assert memori.augmentation.wait(10)

    doctor.put(ChatMessage("Am I allergic to peanuts?"))

    assert texts(doctor.get_all()) == ["Am I allergic to peanuts?"]
    assert "I am allergic to peanuts." in (doctor.get()[0].content or "")


# what is shown


def test_the_block_goes_in_front_of_the_question_as_a_part_of_its_own(ada: MemoriMemory, memori: Memori) -> None:
    memori.remember("Ada sails.", attribution=ADA)
    ada.put_messages([ChatMessage("Hello."), assistant("Hi."), ChatMessage("Do I sail?")])

    shown = ada.get()

    assert texts(shown[:2]) == ["Hello.", "Hi."]
    block, question = shown[2].blocks
    assert isinstance(block, TextBlock)
    assert block.text.startswith("<memori_context>")
    assert "Ada sails." in block.text
    assert question == TextBlock(text="Do I sail?")


@pytest.mark.parametrize("system", [[], [ChatMessage("Be brief.", role="system")]])
def test_the_block_can_go_into_the_system_message(memori: Memori, system: list[ChatMessage]) -> None:
    memori.remember("Ada sails.", attribution=ADA)
    memory = MemoriMemory(entity_id="ada", session_id="s", insert_method="system")
    memory.put_messages([*system, ChatMessage("Do I sail?")])

    first, question = memory.get()

    assert first.role == "system"
    assert texts(system) == texts([ChatMessage(role="system", blocks=first.blocks[:-1])][: len(system)])
    assert "Ada sails." in (first.content or "")
    assert question == ChatMessage("Do I sail?")


def test_a_question_not_yet_stored_is_answered_for_an_empty_session(ada: MemoriMemory, memori: Memori) -> None:
    memori.remember("Ada sails.", attribution=ADA)

    [shown] = ada.get("Does Ada sail?")

    assert shown.role == "user"
    assert "Ada sails." in (shown.content or "")
    assert ada.get(ChatMessage("Does Ada sail?")) == [shown]
    assert ada.get() == []


def test_only_so_many_memories_are_shown(memori: Memori) -> None:
    for number in range(4):
        memori.remember(f"Ada sails boat number {number}.", attribution=ADA)

    [shown] = MemoriMemory(entity_id="ada", session_id="s", recall_limit=2).get("Which boat does Ada sail?")

    assert (shown.content or "").count("Ada sails boat number") == 2


def test_what_the_history_says_already_is_not_repeated_until_it_is_trimmed_away(memori: Memori) -> None:
    long = MemoriMemory(entity_id="ada", session_id="s")
    short = MemoriMemory(entity_id="ada", session_id="s", token_limit=300)
    long.put_messages([ChatMessage("I sail a dinghy."), assistant("Noted. " * 80)])
    assert memori.augmentation.wait(10)
    long.put(ChatMessage("Do I sail a dinghy?"))

    assert "I sail a dinghy." not in (short.get("What do I sail, a dinghy?")[0].content or "")
    assert "memori_context" not in repr(long.get())
    assert any("I sail a dinghy." in (message.content or "") for message in short.get("A dinghy, do I sail it?"))


def test_old_turns_are_left_out_whole_and_the_caller_may_take_room_for_itself(ada: MemoriMemory) -> None:
    for number in range(3):
        ada.put_messages([ChatMessage(f"Question {number} " * 50), assistant(f"Answer {number} " * 50)])
    ada.put(ChatMessage(role="user", blocks=[]))
    limited = ada.model_copy(update={"token_limit": 900})

    whole, tight = limited.get(), limited.get(initial_token_count=400)

    assert [m.role.value for m in whole] == ["user", "assistant"] * 2 + ["user"]
    assert [m.role.value for m in tight] == ["user", "assistant", "user"]
    assert len(limited.get_all()) == 7


# made as chat engines make it


def test_a_history_given_at_the_start_is_stored_and_an_empty_one_changes_nothing(memori: Memori) -> None:
    given = [ChatMessage("Hello."), assistant("Hi.")]

    memory = MemoriMemory.from_defaults(chat_history=given, entity_id="ada", session_id="s")
    again = MemoriMemory.from_defaults(chat_history=[], entity_id="ada", session_id="s")

    assert memory.get_all() == given
    assert again.get_all() == given


def test_a_small_model_lowers_the_limit_and_a_number_decides() -> None:
    identity: dict[str, Any] = {"entity_id": "ada", "session_id": "s"}
    llm = MockLLM()
    assert llm.metadata.context_window < 30_000

    assert MemoriMemory.from_defaults(**identity, llm=llm).token_limit < llm.metadata.context_window
    assert MemoriMemory.from_defaults(**identity, llm=llm, token_limit=123).token_limit == 123
    assert MemoriMemory.from_defaults(**identity).token_limit == 30_000


def test_a_memory_without_messages_is_still_a_memory(ada: MemoriMemory) -> None:
    # An agent replaces a falsy memory by a buffer of its own.
    assert ada


# failures


class Stalled:
    """A plugin that answers no query until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    @hookimpl
    def memori_plan_query(self, query: str) -> str:
        self.released.wait(30)
        return query


@pytest.fixture
def stalled(database: Path) -> Iterator[Stalled]:
    plugin = Stalled()
    with Memori(f"sqlite:///{database}", extractor="none", embedder="hashing", plugins=[plugin]) as memori:
        register(memori)
        memori.remember("Ada sails.", attribution=ADA)
        yield plugin
        plugin.released.set()


async def test_recall_that_takes_too_long_is_gone_without(stalled: Stalled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")  # a cause is a warning only once in a process
    memory = MemoriMemory(entity_id="ada", session_id="s", recall_timeout=0.05)
    memory.put(ChatMessage("Do I sail?"))

    assert memory.get() == [ChatMessage("Do I sail?")]
    assert await memory.aget("Another?") == [ChatMessage("Do I sail?")]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["no answer within 0.05 s"] * 2


async def test_a_step_that_went_without_memory_is_not_made_to_wait_again(stalled: Stalled) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s", recall_timeout=0.05)
    memory.put(ChatMessage("Do I sail?"))

    before = await memory.aget()
    stalled.released.set()

    assert await memory.aget() == before == [ChatMessage("Do I sail?")]


async def test_the_event_loop_runs_on_while_memory_is_stalled(stalled: Stalled) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s", recall_timeout=30)
    waiting = asyncio.ensure_future(memory.aget("Does Ada sail?"))

    await asyncio.sleep(0.05)
    assert not waiting.done()
    # Only a running loop gets here to release it.
    stalled.released.set()

    assert "Ada sails." in ((await waiting)[0].content or "")


async def test_a_cancelled_call_leaves_nothing_behind(stalled: Stalled) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s", recall_timeout=30)
    waiting = asyncio.ensure_future(memory.aget("Does Ada sail?"))
    await asyncio.sleep(0.05)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    stalled.released.set()
    assert "Ada sails." in ((await memory.aget("Does Ada sail?"))[0].content or "")


async def test_when_facts_cannot_be_read_history_is_shown_without_them(
    ada: MemoriMemory, memori: Memori, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori.llamaindex")
    memori.remember("Ada sails.", attribution=ADA)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE memori_entity_fact RENAME TO elsewhere")
    await ada.aput(ChatMessage("Do I sail?"))

    assert await ada.aget() == [ChatMessage("Do I sail?")]
    assert ada.get("Does Ada sail?") == [ChatMessage("Do I sail?")]
    assert "this turn goes on without memory" in caplog.text


async def test_a_history_that_cannot_be_stored_or_read_is_an_error_not_a_silence(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/no/such/folder/m.db", extractor="none", embedder="hashing") as memori:
        register(memori)
        memory = MemoriMemory(entity_id="ada", session_id="s")
        for call in (memory.aput(ChatMessage("Hello.")), memory.aset([ChatMessage("Hello.")]), memory.aget()):
            with pytest.raises(StorageError):
                await call
        with pytest.raises(StorageError):
            memory.put(ChatMessage("Hello."))


def test_a_closed_memori_says_so(ada: MemoriMemory, memori: Memori) -> None:
    memori.close()

    with pytest.raises(errors.ClosedError):
        ada.put(ChatMessage("Hello."))


# erasing


def test_after_an_erasure_the_same_words_bring_nothing_back(
    ada: MemoriMemory, memori: Memori, recalls: Recalls
) -> None:
    memori.remember("Ada sails.", attribution=ADA)
    ada.put(ChatMessage("Do I sail?"))
    assert "Ada sails." in (ada.get()[0].content or "")

    memori.erase("ada")
    ada.put(ChatMessage("Do I sail?"))

    assert ada.get() == [ChatMessage("Do I sail?")]
    assert len(recalls.made) == 2


async def test_what_is_forgotten_is_not_shown_again_by_a_turn_that_had_it(memori: Memori, ada: MemoriMemory) -> None:
    ada.put(ChatMessage("Where do I live?"))
    for get in (ada.aget, lambda: asyncio.to_thread(ada.get)):
        fact = memori.remember("I live in Lisbon.", attribution=ADA)
        ada.put(ChatMessage("So where do I live?"))
        assert "Lisbon" in str(await get())

        memori.forget(fact.id, attribution=ADA)

        assert "Lisbon" not in str(await get())
