"""A memory survives what LlamaIndex does to an agent's state: saving, restoring, copying."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.workflow import Context, JsonPickleSerializer, JsonSerializer
from memori import Attribution, Memori, errors
from memori_llamaindex import MemoriMemory, connections, register
from pydantic import ValidationError

from tests.llamaindex.models import Model, tool_call

RESTORE = """
import asyncio, json, sys
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import MockLLM
from llama_index.core.workflow import Context, JsonPickleSerializer, JsonSerializer
from memori_llamaindex import MemoriMemory

async def main():
    context = Context.from_dict(FunctionAgent(llm=MockLLM()), json.load(sys.stdin))
    memory = await context.store.get("memory")
    try:
        print([message.content for message in await memory.aget_all()])
    except Exception as error:
        print(type(error).__name__, error)

asyncio.run(main())
"""


@pytest.mark.parametrize("serializer", [JsonSerializer(), JsonPickleSerializer()])
async def test_an_agent_goes_on_from_its_saved_state(
    memori: Memori, serializer: JsonSerializer | JsonPickleSerializer
) -> None:
    model = Model("Noted.", "Beagle.")
    agent = FunctionAgent(llm=model.llm)
    context = Context(agent)
    await agent.run("My boat is called Beagle.", ctx=context, memory=MemoriMemory(entity_id="ada", session_id="s"))

    saved = json.loads(json.dumps(context.to_dict(serializer=serializer)))
    restored = Context.from_dict(agent, saved, serializer=serializer)
    await agent.run("What is my boat called?", ctx=restored)

    memory = await restored.store.get("memory")
    assert isinstance(memory, MemoriMemory)
    assert [message.content for message in memory.get_all()] == [
        "My boat is called Beagle.",
        "Noted.",
        "What is my boat called?",
        "Beagle.",
    ]
    assert [message.content for message in model.requests[1]][:2] == ["My boat is called Beagle.", "Noted."]


async def test_saved_state_holds_no_connection_string_and_no_history(memori: Memori, database: Path) -> None:
    agent = FunctionAgent(llm=Model("Noted.").llm)
    context = Context(agent)
    await agent.run("My code is 4711.", ctx=context, memory=MemoriMemory(entity_id="ada", session_id="s"))

    memory = await context.store.get("memory")

    assert "4711" not in memory.to_json()
    assert str(database) not in json.dumps(context.to_dict())


async def test_editing_the_state_loses_nothing(memori: Memori) -> None:
    agent = FunctionAgent(llm=Model("Noted.").llm)
    context = Context(agent)
    await agent.run("My boat is called Beagle.", ctx=context, memory=MemoriMemory(entity_id="ada", session_id="s"))

    async with context.store.edit_state() as state:
        await state["memory"].aput(ChatMessage("And it is red."))

    memory = await context.store.get("memory")
    assert [m.content for m in memory.get_all()] == ["My boat is called Beagle.", "Noted.", "And it is red."]


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda memory: memory.model_copy(),
        lambda memory: MemoriMemory.from_dict(memory.to_dict()),
        lambda memory: MemoriMemory.model_validate_json(memory.model_dump_json()),
    ],
    ids=["deepcopy", "model_copy", "from_dict", "model_validate_json"],
)
def test_a_copy_is_the_same_memory(memori: Memori, copied: Callable[[MemoriMemory], MemoriMemory]) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s", process_id="p", recall_limit=3, insert_method="system")
    memory.put(ChatMessage("Hello."))

    twin = copied(memory)

    assert twin == memory
    assert twin.get_all() == [ChatMessage("Hello.")]


def test_a_turn_goes_on_in_a_restored_memory_with_identical_bytes(memori: Memori) -> None:
    # A durable state store restores the memory for every step.
    memori.remember("Ada sails.", attribution=Attribution("ada"))
    memory = MemoriMemory(entity_id="ada", session_id="s")
    memory.put(ChatMessage("Does Ada sail?"))
    before = memory.get()
    memori.remember("Ada sails a dinghy.", attribution=Attribution("ada"))

    after = MemoriMemory.from_dict(memory.to_dict()).get("Does Ada sail?")

    assert "Ada sails." in (before[0].content or "")
    assert after == before


async def saved_by_an_agent() -> str:
    agent = FunctionAgent(llm=Model("Noted.").llm)
    context = Context(agent)
    memory = MemoriMemory(entity_id="ada", session_id="s")
    await agent.run("My boat is called Beagle.", ctx=context, memory=memory)
    return json.dumps(context.to_dict())


async def test_another_process_restores_it_through_the_environment(
    memori: Memori, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await saved_by_an_agent()
    monkeypatch.setenv("MEMORI_DATABASE_URL", f"sqlite:///{database}")

    done = subprocess.run([sys.executable, "-c", RESTORE], input=saved, capture_output=True, text=True, check=True)

    assert done.stdout == "['My boat is called Beagle.', 'Noted.']\n"


async def test_a_process_without_the_connection_is_told_how_to_register_it(
    memori: Memori, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await saved_by_an_agent()
    monkeypatch.delenv("MEMORI_DATABASE_URL", raising=False)

    done = subprocess.run([sys.executable, "-c", RESTORE], input=saved, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("ConfigurationError No Memori object is registered as 'default'")
    assert "register(Memori(...))" in done.stdout
    assert "MEMORI_DATABASE_URL" in done.stdout


def test_a_connection_is_found_by_its_name(memori: Memori, tmp_path: Path) -> None:
    here = MemoriMemory(entity_id="ada", session_id="s")
    there = MemoriMemory(entity_id="ada", session_id="s", connection="archive")
    with register(Memori(f"sqlite:///{tmp_path / 'archive.db'}", extractor="none", embedder="hashing"), "archive"):
        there.put(ChatMessage("Archived."))

        assert here.get_all() == []
        assert there.get_all() == [ChatMessage("Archived.")]


def test_a_named_connection_never_falls_back_to_another_database(
    memori: Memori, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORI_DATABASE_URL", f"sqlite:///{database}")

    with pytest.raises(errors.ConfigurationError, match=r"registered as 'eu'.*'default'.*name='eu'"):
        MemoriMemory(entity_id="ada", session_id="s", connection="eu").get_all()


def test_one_memori_object_serves_a_url_for_the_whole_process(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_registered", {})
    monkeypatch.setenv("MEMORI_DATABASE_URL", f"sqlite:///{database}")

    with connections.connected() as memori:
        assert connections.connected() is memori


def test_only_a_memori_object_can_be_registered() -> None:
    with pytest.raises(TypeError, match="got str"):
        register("sqlite:///memory.db")  # type: ignore[arg-type]


def test_a_connection_is_not_a_url() -> None:
    with pytest.raises(ValidationError, match="named, never given as a URL"):
        MemoriMemory(entity_id="ada", session_id="s", connection="postgresql://ada:secret@db/x")


@pytest.mark.parametrize("field", ["entity_id", "session_id", "process_id", "connection"])
def test_a_memory_cannot_be_turned_into_somebody_elses(field: str) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s")

    with pytest.raises(ValidationError, match="frozen"):
        setattr(memory, field, "bob")


@pytest.mark.parametrize("blank", ["", "  ", "\x00"])
@pytest.mark.parametrize("field", ["entity_id", "session_id", "process_id"])
def test_a_blank_identity_is_refused(field: str, blank: str) -> None:
    with pytest.raises(ValidationError, match=field):
        MemoriMemory.model_validate({"entity_id": "ada", "session_id": "s", field: blank})


@pytest.mark.parametrize("missing", ["entity_id", "session_id"])
def test_an_identity_is_never_made_up(missing: str) -> None:
    given: dict[str, Any] = {"entity_id": "ada", "session_id": "s"}
    del given[missing]

    with pytest.raises(ValidationError, match=missing):
        MemoriMemory.from_defaults(**given)


async def test_a_tool_that_edits_the_state_in_the_middle_of_a_run_loses_nothing(memori: Memori) -> None:
    async def note(ctx: Context, text: str) -> str:
        async with ctx.store.edit_state() as state:
            state["note"] = text
            await state["memory"].aput(ChatMessage(f"Note: {text}"))
        return "noted"

    note.__annotations__["ctx"] = Context  # LlamaIndex compares the annotation itself, which this module postpones
    agent = FunctionAgent(tools=[note], llm=Model(tool_call("note", text="red"), "Noted.").llm)
    context = Context(agent)
    await agent.run("My boat is red.", ctx=context, memory=MemoriMemory(entity_id="ada", session_id="s"))

    memory = await context.store.get("memory")
    assert [m.content for m in memory.get_all()] == ["My boat is red.", "Note: red", None, "noted", "Noted."]


class OnDisk:
    """Where a durable state store keeps a run's state: text, of which nothing in this process is a part."""

    def __init__(self) -> None:
        self.saved: str | None = None

    async def load(self) -> Any:
        from workflows.context.state_store import StateRecord

        return None if self.saved is None else StateRecord.model_validate_json(self.saved)

    async def save(self, record: Any) -> None:
        self.saved = record.model_dump_json()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[OnDisk]:
        yield self


async def test_a_memory_in_a_durable_state_store_goes_on_where_it_was(memori: Memori) -> None:
    state_store = pytest.importorskip(
        "workflows.context.state_store", reason="install llama-index-workflows with durable state stores: >= 2.26"
    )
    if not hasattr(state_store, "StateStoreFacade"):
        pytest.skip("install llama-index-workflows with durable state stores: >= 2.26")
    disk = OnDisk()
    store = state_store.StateStoreFacade(disk)
    await store.set("memory", MemoriMemory(entity_id="ada", session_id="s"))
    await (await store.get("memory")).aput(ChatMessage("First."))
    async with store.edit_state() as state:
        await state["memory"].aput(ChatMessage("Second."))

    again = await state_store.StateStoreFacade(disk).get("memory")

    assert isinstance(again, MemoriMemory)
    assert [message.content for message in again.get_all()] == ["First.", "Second."]
    assert "First." not in str(disk.saved)


async def test_a_context_keeps_the_person_of_its_first_run(memori: Memori) -> None:
    agent = FunctionAgent(llm=Model("Noted.").llm)
    context = Context(agent)
    await agent.run("I am Ada.", ctx=context, memory=MemoriMemory(entity_id="ada", session_id="s"))

    # LlamaIndex's own behaviour, which is why the README says: a new Context for another person.
    await agent.run("I am Bob.", ctx=context, memory=MemoriMemory(entity_id="bob", session_id="s"))

    assert MemoriMemory(entity_id="bob", session_id="s").get_all() == []


async def test_a_memory_given_to_the_agent_and_not_to_the_run_is_ignored_by_llama_index(memori: Memori) -> None:
    memory = MemoriMemory(entity_id="ada", session_id="s")
    agent = FunctionAgent(llm=Model("Noted.").llm, memory=memory)  # type: ignore[call-arg]

    await agent.run("Hello.")

    assert memory.get_all() == []
    await agent.run("Hello.", memory=memory)
    assert len(memory.get_all()) == 2
