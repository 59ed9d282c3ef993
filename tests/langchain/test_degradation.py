"""When memory fails or hangs, an agent's run is what it would have been without it."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from memori import Attribution, Memori, MissingAttributionError, RecallOptions, telemetry
from memori_langchain import MemoriMiddleware
from memori_langchain.boundary import aattempt, attempt

from tests.langchain.models import Scripted, agent, calls, says
from tests.langchain.test_middleware import look_up, thread


def script() -> Scripted:
    return says(calls("look_up", place="Porto"), AIMessage("On the coast."))


def chat(model: Scripted, memori: Memori) -> Any:
    return agent(model, [look_up], middleware=[MemoriMiddleware(memori)], checkpointer=InMemorySaver())


QUESTION = {"messages": [HumanMessage("Porto?", id="h")]}
TOLD = [("human", "Porto?"), ("ai", ""), ("tool", "Porto is on the coast."), ("ai", "On the coast.")]


def run(model: Scripted, memori: Memori) -> list[tuple[str, str]]:
    result = chat(model, memori).invoke(QUESTION, thread("t"), context={"user_id": "ada"})
    return [(one.type, one.text) for one in result["messages"]]


async def arun(model: Scripted, memori: Memori) -> list[tuple[str, str]]:
    result = await chat(model, memori).ainvoke(QUESTION, thread("t"), context={"user_id": "ada"})
    return [(one.type, one.text) for one in result["messages"]]


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_run_without_a_database_is_the_same_says_so_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    counted: set[str] = set()
    monkeypatch.setattr(telemetry, "count", lambda name, amount=1, **of: counted.add(f"{name} {of.get('what')}"))
    caplog.set_level(logging.DEBUG, "memori_langchain")  # a cause is a warning once in a process
    model = script()
    with Memori(f"sqlite:///{tmp_path}/no/such/folder/m.db", extractor="none", embedder="hashing") as memori:
        told = await arun(model, memori) if awaited else run(model, memori)

    assert told == TOLD
    assert [one.text for one in model.requests[-1]] == [text for _, text in TOLD[:-1]]
    warnings = [one.getMessage() for one in caplog.records if one.name == "memori_langchain"]
    assert {text.partition(" failed")[0] for text in warnings} == {"capture", "recall"}
    assert "StorageUnavailableError" in warnings[0]
    assert counted >= {"failure capture", "failure recall"}


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_closed_memory_is_a_failing_one(memori: Memori, awaited: bool) -> None:
    memori.close()

    assert (await arun(script(), memori) if awaited else run(script(), memori)) == TOLD


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_memory_that_hangs_is_not_waited_for_and_stores_the_turn_later(tmp_path: Path, awaited: bool) -> None:
    hang = threading.Event()

    def redact(text: str) -> str:
        assert hang.wait(60)
        return text

    options = RecallOptions(timeout=0.01)
    where = f"sqlite:///{tmp_path}/m.db"
    with Memori(where, extractor="none", embedder="hashing", recall=options, redact=redact) as memori:
        told = await arun(script(), memori) if awaited else run(script(), memori)
        hang.set()

    assert told == TOLD
    with Memori(where) as memori:
        found = [one.message.content for one in memori.messages(attribution=Attribution("ada"))]
    assert sorted(found) == sorted(text for _, text in TOLD)


@pytest.mark.parametrize("awaited", [False, True])
async def test_what_could_not_be_stored_at_first_is_stored_when_the_run_ends(tmp_path: Path, awaited: bool) -> None:
    failures = iter([OSError("disk full")])

    def redact(text: str) -> str:
        for failure in failures:
            raise failure
        return text

    with Memori(f"sqlite:///{tmp_path}/m.db", extractor="none", embedder="hashing", redact=redact) as memori:
        told = await arun(script(), memori) if awaited else run(script(), memori)
        found = [one.message.content for one in memori.messages(attribution=Attribution("ada"))]

    assert told == TOLD
    assert sorted(found) == sorted(text for _, text in TOLD)


async def test_an_error_about_who_is_speaking_is_never_swallowed(memori: Memori) -> None:
    def fail() -> None:
        raise MissingAttributionError("whose?")

    with pytest.raises(MissingAttributionError):
        attempt(memori, "recall", fail)
    with pytest.raises(MissingAttributionError):
        await aattempt(memori, "recall", fail)


async def test_closing_memory_under_a_run_does_not_cancel_the_run(tmp_path: Path) -> None:
    hang, options = threading.Event(), RecallOptions(timeout=60)

    def redact(text: str) -> str:
        hang.wait(60)
        return text

    memori = Memori(f"sqlite:///{tmp_path}/m.db", extractor="none", embedder="hashing", recall=options, redact=redact)
    busy = [memori.executor.submit(hang.wait, 60) for _ in range(8)]
    closing = threading.Timer(0.05, memori.close)
    closing.start()
    threading.Timer(0.3, hang.set).start()

    told = await arun(script(), memori)

    closing.join()
    assert told == TOLD
    assert all(one.done() for one in busy)
