"""A memory that fails costs the run nothing; a user who is unknown costs it everything."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from memori import (
    Attribution,
    InvalidAttributionError,
    Memori,
    Message,
    MissingAttributionError,
    errors,
    hookimpl,
)
from memori_pydantic_ai import MemoriMemory, MemoriToolset, boundary, memori_history_processor
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability, ProcessHistory
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from tests.pydantic_ai.agents import Script, Visitor, blocks, said, visitor, with_tool

ADA = Visitor("ada")
Chat = Agent[Visitor, str]
Attach = Callable[[Memori], AbstractCapability[Visitor]]


def capability(memori: Memori) -> AbstractCapability[Visitor]:
    return MemoriMemory(memori, visitor, recall_timeout=0.05)


def processor(memori: Memori) -> AbstractCapability[Visitor]:
    return ProcessHistory(memori_history_processor(memori, visitor, recall_timeout=0.05))


AttachTo = Callable[[Memori, Callable[[RunContext[Visitor]], Attribution], Script], Agent[Visitor, str]]


def with_capability(memori: Memori, who: Callable[[RunContext[Visitor]], Attribution], script: Script) -> Chat:
    return with_tool(Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, who)]))


def with_processor(memori: Memori, who: Callable[[RunContext[Visitor]], Attribution], script: Script) -> Chat:
    processor = ProcessHistory(memori_history_processor(memori, who))
    return with_tool(Agent(script.model, deps_type=Visitor, capabilities=[processor]))


def with_toolset(memori: Memori, who: Callable[[RunContext[Visitor]], Attribution], script: Script) -> Chat:
    return Agent(TestModel(), deps_type=Visitor, toolsets=[MemoriToolset(memori, who)])


attached_to_any = pytest.mark.parametrize("attach", [with_capability, with_processor, with_toolset])
attached = pytest.mark.parametrize("attach", [capability, processor])


@contextmanager
def memory_in(path: Path, *plugins: object) -> Iterator[Memori]:
    with Memori(f"sqlite:///{path}", extractor="none", embedder="hashing", plugins=plugins) as memori:
        yield memori


@attached
async def test_a_broken_database_leaves_the_run_as_it_was(
    tmp_path: Path, script: Script, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori")
    path = tmp_path / "memory.db"
    path.write_bytes(b"this is no database" * 1000)
    with memory_in(path) as memori:
        agent = Agent(script.model, deps_type=Visitor, capabilities=[attach(memori)])

        result = await agent.run("Hello.", deps=ADA)

    assert result.output == "Noted, thank you."
    assert [message.kind for message in result.all_messages()] == ["request", "response"]
    assert blocks(script.sent[0]) == []
    failures = [record.getMessage() for record in caplog.records if record.name == "memori.pydantic_ai"]
    assert any(message.startswith("recall for an agent's run failed: ") for message in failures)
    assert any(message.startswith("storing an agent's run failed: ") for message in failures)


@attached
async def test_a_closed_memory_leaves_the_run_as_it_was(memori: Memori, script: Script, attach: Attach) -> None:
    memori.close()

    result = await Agent(script.model, deps_type=Visitor, capabilities=[attach(memori)]).run("Hello.", deps=ADA)

    assert result.output == "Noted, thank you."


class Gate:
    """A plugin that holds every recall or every write until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()


class SlowRecall(Gate):
    @hookimpl
    def memori_plan_query(self, query: str) -> str:
        self.open.wait(30)
        return query


class SlowRecord(Gate):
    @hookimpl
    def memori_before_record(self, messages: Sequence[Message]) -> None:
        self.open.wait(30)


@attached
async def test_a_slow_recall_does_not_hold_up_the_run(
    tmp_path: Path, script: Script, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memori")
    slow = SlowRecall()
    with memory_in(tmp_path / "memory.db", slow) as memori:
        memori.remember("Ada drinks tea.", attribution=Attribution("ada"))

        result = await Agent(script.model, deps_type=Visitor, capabilities=[attach(memori)]).run("Tea?", deps=ADA)
        slow.open.set()

    assert result.output == "Noted, thank you."
    assert blocks(script.sent[0]) == []
    assert "not done within 0.05 s" in caplog.text


async def test_a_slow_write_is_finished_after_the_run(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "STORE_LIMIT", 0.05)
    slow = SlowRecord()
    with memory_in(tmp_path / "memory.db", slow) as memori:
        await Agent(script.model, deps_type=Visitor, capabilities=[capability(memori)]).run("Tea?", deps=ADA)
        slow.open.set()

    with memory_in(tmp_path / "memory.db") as memori:
        assert said(memori, "ada") == [("user", "Tea?"), ("assistant", "Noted, thank you.")]


@pytest.mark.skipif(
    not hasattr(AbstractCapability, "prepare_model_request"), reason="needs pydantic-ai-slim 2.64 or newer"
)
async def test_a_run_that_is_being_cancelled_waits_for_its_write(tmp_path: Path) -> None:
    slow = SlowRecord()
    with memory_in(tmp_path / "memory.db", slow) as memori:
        memory = MemoriMemory(memori, visitor, inject="off", capture="all")

        with anyio.CancelScope() as scope:

            async def cancel(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
                scope.cancel()
                threading.Timer(0.3, slow.open.set).start()
                await anyio.sleep_forever()
                return ModelResponse(parts=[TextPart("Never heard.")])

            await Agent(FunctionModel(cancel), deps_type=Visitor, capabilities=[memory]).run("Tea?", deps=ADA)

        assert scope.cancelled_caught
        assert said(memori, "ada")[0] == ("user", "Tea?")


async def test_a_write_that_waits_for_its_turn_outlives_the_run(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "STORE_LIMIT", 0.05)
    slow = SlowRecord()
    users = [f"user-{number:02}" for number in range(20)]
    with memory_in(tmp_path / "memory.db", slow) as memori:
        agent = Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor, inject="off")])
        await asyncio.gather(*(agent.run("Tea?", deps=Visitor(user)) for user in users))
        slow.open.set()
        async with asyncio.timeout(30):
            while not all(len(said(memori, user)) == 2 for user in users):
                await asyncio.sleep(0.01)

        assert memori.augmentation.wait(10)


async def test_a_memory_closed_in_the_middle_of_a_run_does_not_cancel_it(tmp_path: Path, script: Script) -> None:
    slow = SlowRecord()
    with memory_in(tmp_path / "memory.db", slow) as memori:
        memori.config.storage.build()
        busy = [memori.executor.submit(slow.open.wait, 30) for _ in range(8)]
        agent = Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor, inject="off")])
        run = asyncio.ensure_future(agent.run("Tea?", deps=ADA))
        while not script.sent:
            await asyncio.sleep(0.01)
        closing = threading.Thread(target=memori.close)
        closing.start()
        result = await run
        slow.open.set()
        closing.join()

    assert result.output == "Noted, thank you."
    assert all(one.result() for one in busy)


@attached
@pytest.mark.parametrize(
    ("user", "raised"),
    [(" ", errors.InvalidAttributionError), ("x" * 300, errors.InvalidAttributionError)],
)
async def test_a_user_who_cannot_be_named_ends_the_run_before_anything_is_asked_or_stored(
    memori: Memori, script: Script, attach: Attach, user: str, raised: type[Exception]
) -> None:
    agent = Agent(script.model, deps_type=Visitor, capabilities=[attach(memori)])

    with pytest.raises(raised):
        await agent.run("Hello.", deps=Visitor(user))

    assert script.sent == []
    assert memori.augmentation.status().pending == 0


async def an_async_function(ctx: object) -> Attribution:
    return Attribution("ada")


@attached_to_any
@pytest.mark.parametrize(
    ("give", "raised", "told"),
    [
        (lambda ctx: "ada", TypeError, r"got str: attribution=lambda ctx: Attribution\(ctx\.deps\.user_id\)"),
        (lambda ctx: None, MissingAttributionError, r"returned None"),
        (an_async_function, TypeError, "is async; it must be a plain one"),
        (lambda ctx: Attribution(ctx.deps["user"]), TypeError, "not subscriptable"),
    ],
)
async def test_an_attribution_that_is_none_ends_the_run_before_anything_is_asked_or_stored(
    memori: Memori,
    attach: AttachTo,
    give: Callable[[object], Attribution],
    raised: type[Exception],
    told: str,
) -> None:
    calling = Script()

    with pytest.raises(raised, match=told):
        await attach(memori, give, calling).run("Hello.", deps=ADA)

    assert memori.augmentation.status().done + memori.augmentation.status().pending == 0
    assert said(memori, "ada") == []


@attached_to_any
async def test_an_attribution_that_changes_in_the_middle_of_a_run_stores_nothing_as_the_others(
    memori: Memori, attach: AttachTo
) -> None:
    names = iter(["ada", *["bob"] * 20])
    calling = Script()

    with suppress(InvalidAttributionError):
        await attach(memori, lambda ctx: Attribution(next(names)), calling).run("Hello.", deps=ADA)

    assert said(memori, "bob") == []
    assert memori.facts(attribution=Attribution("bob")) == []


@pytest.mark.parametrize("make", [MemoriMemory, MemoriToolset, memori_history_processor])
def test_what_cannot_be_a_memory_or_an_attribution_is_told_where_it_is_given(
    memori: Memori, make: Callable[[object, object], object]
) -> None:
    with pytest.raises(TypeError, match=r"must be a Memori object, got str"):
        make("sqlite:///memory.db", Attribution("ada"))
    with pytest.raises(TypeError, match=r"attribution must be a memori\.Attribution or a function .* got str"):
        make(memori, "ada")


async def test_what_the_redactor_takes_out_is_nowhere_in_the_database(tmp_path: Path, script: Script) -> None:
    path = tmp_path / "memory.db"
    with Memori(
        f"sqlite:///{path}",
        extractor="none",
        embedder="hashing",
        redact=lambda text: text.replace("hunter2", "[password]"),
    ) as memori:
        await Agent(script.model, deps_type=Visitor, capabilities=[capability(memori)]).run(
            "My password is hunter2.", deps=ADA
        )
        assert memori.augmentation.wait(10)
        assert said(memori, "ada")[0] == ("user", "My password is [password].")

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"[password]" in stored
    assert b"hunter2" not in stored
