"""Chat stores: the history of a person's sessions, edited as LlamaIndex edits it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.storage.chat_store.base_db import MessageStatus
from memori import Attribution, InvalidAttributionError, Memori, errors
from memori_llamaindex import MemoriAsyncChatStore, MemoriChatStore, MemoriMemory, register
from pydantic import ValidationError

from tests.llamaindex.conftest import needs_chat_store
from tests.llamaindex.models import Model
from tests.llamaindex.test_messages import EVERYTHING

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED


@pytest.fixture
def store(memori: Memori) -> MemoriChatStore:
    return MemoriChatStore(entity_id="ada")


@pytest.fixture
def astore(memori: Memori) -> MemoriAsyncChatStore:
    return MemoriAsyncChatStore(entity_id="ada")


def said(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(text) for text in texts]


def texts(messages: list[ChatMessage] | None) -> list[str | None]:
    return [message.content for message in messages or []]


# the synchronous store


def test_messages_are_added_and_each_can_be_taken_out(store: MemoriChatStore) -> None:
    for message in said("a", "b", "b", "c"):
        store.add_message("s", message)

    assert texts(store.get_messages("s")) == ["a", "b", "b", "c"]
    assert store.delete_message("s", 1) == ChatMessage("b")
    assert store.delete_message("s", 7) is None
    assert store.delete_last_message("s") == ChatMessage("c")
    assert texts(store.delete_messages("s")) == ["a", "b"]
    assert store.get_messages("s") == []
    assert store.delete_messages("s") is None
    assert store.delete_last_message("s") is None


async def test_every_call_has_an_awaitable_twin(store: MemoriChatStore) -> None:
    await store.aset_messages("s", said("a", "b", "c"))
    await store.async_add_message("s", EVERYTHING)

    assert await store.aget_messages("s") == [*said("a", "b", "c"), EVERYTHING]
    assert await store.adelete_message("s", 0) == ChatMessage("a")
    assert await store.adelete_last_message("s") == EVERYTHING
    assert await store.aget_keys() == ["s"]
    assert texts(await store.adelete_messages("s")) == ["b", "c"]


def test_a_buffer_keeps_its_history_in_the_store_and_its_words_are_learnt(memori: Memori) -> None:
    store = MemoriChatStore(entity_id="ada")
    buffer = ChatMemoryBuffer.from_defaults(chat_store=store, chat_store_key="monday")
    buffer.put(ChatMessage("I sail a dinghy."))
    assert memori.augmentation.wait(30)

    again = ChatMemoryBuffer.from_defaults(chat_store=MemoriChatStore(entity_id="ada"), chat_store_key="monday")

    assert texts(again.get()) == ["I sail a dinghy."]
    [episode] = memori.facts(attribution=Attribution("ada"), kinds=["episode"])
    assert episode.text == "I sail a dinghy."


def test_a_store_is_restored_from_its_settings(store: MemoriChatStore) -> None:
    store.add_message("s", ChatMessage("a"))

    twin = MemoriChatStore.from_json(store.to_json())

    assert twin == store
    assert texts(twin.get_messages("s")) == ["a"]


def test_of_many_who_take_the_last_message_each_gets_another(store: MemoriChatStore) -> None:
    store.set_messages("s", said(*map(str, range(8))))

    with ThreadPoolExecutor(4) as pool:
        taken = [message for message in pool.map(lambda _: store.delete_last_message("s"), range(8)) if message]

    assert sorted(texts([*taken, *store.get_messages("s")])) == [str(n) for n in range(8)]


# whose


@pytest.mark.parametrize("kind", [MemoriChatStore, MemoriAsyncChatStore])
async def test_a_store_holds_one_persons_sessions_with_one_agent(memori: Memori, kind: Any) -> None:
    stores = [
        MemoriChatStore(entity_id="ada"),
        MemoriChatStore(entity_id="bob"),
        MemoriChatStore(entity_id="ada", process_id="cook"),
    ]
    for number, store in enumerate(stores):
        store.set_messages(f"only-{number}", said("x"))
        store.set_messages("shared", said(f"of {number}"))

    for number, store in enumerate(stores):
        other = kind(entity_id=store.entity_id, process_id=store.process_id)
        keys, found = other.get_keys(), other.get_messages("shared")
        if kind is MemoriAsyncChatStore:
            keys, found = await keys, await found
        assert sorted(keys) == [f"only-{number}", "shared"]
        assert texts(found) == [f"of {number}"]


def test_an_emptied_session_is_no_key(store: MemoriChatStore) -> None:
    store.set_messages("s", said("a"))
    store.delete_messages("s")

    assert store.get_keys() == []


# the asynchronous store


async def test_messages_are_archived_and_deleted_oldest_first(astore: MemoriAsyncChatStore) -> None:
    await astore.add_messages("s", said("a", "b", "c", "d"))

    assert texts(await astore.archive_oldest_messages("s", 2)) == ["a", "b"]
    assert texts(await astore.delete_oldest_messages("s", 1)) == ["c"]

    assert texts(await astore.get_messages("s")) == ["d"]
    assert texts(await astore.get_messages("s", ARCHIVED)) == ["a", "b"]
    assert texts(await astore.get_messages("s", None)) == ["a", "b", "d"]
    assert texts(await astore.get_messages("s", None, limit=1, offset=1)) == ["b"]
    assert [await astore.count_messages("s", status) for status in (ACTIVE, ARCHIVED, None)] == [1, 2, 3]
    assert await astore.archive_oldest_messages("s", -1) == []
    assert texts(await astore.archive_oldest_messages("s", 99)) == ["d"]
    assert await astore.get_keys() == ["s"]


async def test_messages_can_be_archived_at_once(astore: MemoriAsyncChatStore) -> None:
    await astore.add_message("s", ChatMessage("old"), ARCHIVED)
    await astore.add_message("s", ChatMessage("new"))
    await astore.add_messages("s", said("old"), ARCHIVED)

    assert texts(await astore.get_messages("s")) == ["new"]
    assert texts(await astore.get_messages("s", ARCHIVED)) == ["old", "old"]
    await astore.delete_messages("s", ARCHIVED)
    assert texts(await astore.get_messages("s", None)) == ["new"]


async def test_a_history_that_is_set_is_all_there_is(astore: MemoriAsyncChatStore) -> None:
    await astore.add_messages("s", said("a", "b"))
    await astore.archive_oldest_messages("s", 1)

    await astore.set_messages("s", said("b", "c"))

    assert texts(await astore.get_messages("s", None)) == ["b", "c"]
    await astore.set_messages("s", said("z"), ARCHIVED)
    assert texts(await astore.get_messages("s", ARCHIVED)) == ["z"]
    assert await astore.get_messages("s") == []
    assert await astore.delete_message("s", 0) is None
    await astore.delete_messages("s")
    assert await astore.get_messages("s", None) == []


async def test_no_messages_are_no_write_and_no_error(astore: MemoriAsyncChatStore, memori: Memori) -> None:
    await astore.add_messages("s", [])
    await astore.add_messages("s", [], ARCHIVED)

    assert memori.conversations(attribution=astore.attribution) == []
    await astore.set_messages("s", [])
    assert await astore.get_messages("s") == []


async def test_first_use_by_many_at_once_loses_nothing(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path / 'new.db'}", extractor="none", embedder="hashing") as memori:
        register(memori, "new")
        store = MemoriAsyncChatStore(entity_id="ada", connection="new")

        await asyncio.gather(*(store.add_message("s", ChatMessage(str(number))) for number in range(20)))

        assert sorted(texts(await store.get_messages("s")), key=str) == sorted(map(str, range(20)))


async def test_of_two_who_archive_at_once_no_message_goes_to_both(astore: MemoriAsyncChatStore) -> None:
    await astore.set_messages("s", said(*map(str, range(10))))

    halves = await asyncio.gather(*(astore.archive_oldest_messages("s", 5) for _ in range(3)))

    taken = [text for half in halves for text in texts(half)]
    assert len(taken) == len(set(taken))
    assert sorted(taken, key=str) == sorted(texts(await astore.get_messages("s", ARCHIVED)), key=str)


@needs_chat_store
async def test_llama_indexs_memory_runs_an_agent_on_it(memori: Memori) -> None:
    store = MemoriAsyncChatStore(entity_id="ada")
    memory = Memory.from_defaults(session_id="s", chat_store=store, token_limit=200, token_flush_size=50)
    assert memory.sql_store is store  # a falsy store would be replaced by one in memory

    for number in range(4):
        model = Model(f"Answer {number} " * 20)
        await FunctionAgent(llm=model.llm).run(f"Question {number} " * 10, memory=memory)

    shown, kept = await memory.aget(), await memory.aget_all()
    assert len(kept) == 8
    assert 0 < len(shown) < 8
    assert shown == kept[-len(shown) :]
    assert await store.count_messages("s", ARCHIVED) == 8 - len(shown)
    assert MemoriMemory(entity_id="ada", session_id="s").get_all() == shown


# mistakes


@pytest.mark.parametrize("key", ["", "  ", "\x00", "x" * 300])
def test_a_session_needs_a_name(store: MemoriChatStore, key: str) -> None:
    with pytest.raises(InvalidAttributionError, match="session_id"):
        store.add_message(key, ChatMessage("a"))


@pytest.mark.parametrize(
    "make",
    [lambda: MemoriChatStore(), lambda: MemoriAsyncChatStore(entity_id=" ")],  # type: ignore[call-arg]
)
def test_a_store_is_somebodys(make: Callable[[], Any]) -> None:
    with pytest.raises(ValidationError, match="entity_id"):
        make()


async def test_a_store_without_its_connection_says_how_to_register_it(memori: Memori) -> None:
    with pytest.raises(errors.ConfigurationError, match="registered as 'eu'"):
        await MemoriAsyncChatStore(entity_id="ada", connection="eu").get_messages("s")


def test_a_message_without_blocks_is_kept(store: MemoriChatStore) -> None:
    store.add_message("s", ChatMessage(role="assistant", blocks=[]))

    assert store.get_messages("s") == [ChatMessage(role="assistant", blocks=[])]
