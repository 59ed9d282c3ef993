"""Any LLM of LlamaIndex extracts facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from memori import Attribution, Memori
from memori_llamaindex import LlamaIndexExtractor

from tests.llamaindex.models import Model, hosted, tool_call
from tests.loopback import Answer, LoopbackServer

ADA = Attribution("ada")
SAID = "My boat is called {Beagle}, and {0} is what I call its dinghy."
FACT = {
    "text": "Ada's boat is called {Beagle}.",
    "kind": "fact",
    "message": 0,
    "single_valued": False,
    "triples": [],
    "valid_from": None,
    "valid_to": None,
    "importance": 0.7,
}
ANSWER = {"new": [FACT], "changed": [], "unchanged": [], "process_attributes": [], "summary": "About a boat."}


@contextmanager
def extracting(tmp_path: Path, llm: Any) -> Iterator[Memori]:
    with Memori(f"sqlite:///{tmp_path / 'm.db'}", extractor=LlamaIndexExtractor(llm), embedder="hashing") as memori:
        yield memori


def learnt(memori: Memori) -> list[str]:
    memori.record([("user", SAID)], attribution=ADA)
    assert memori.augmentation.wait(60)
    return [fact.text for fact in memori.facts(attribution=ADA)]


def test_a_model_with_tools_answers_through_one(tmp_path: Path) -> None:
    model = Model(tool_call("memory", **ANSWER))

    with extracting(tmp_path, model.llm) as memori:
        assert learnt(memori) == [FACT["text"]]
        [fact] = memori.facts(attribution=ADA)

    assert len(model.requests) == 1
    assert SAID in model.shown[0]
    assert fact.extractor == "llm/1:Scripted"


async def test_a_model_without_tools_answers_with_json(tmp_path: Path) -> None:
    with LoopbackServer(lambda call: Answer(json.dumps(ANSWER))) as server:
        async with hosted(server) as llm:
            with extracting(tmp_path, llm) as memori:
                assert learnt(memori) == [FACT["text"]]

        [call] = server.calls
    sent = json.dumps(call.messages)
    assert "process_attributes" in sent
    assert json.dumps(SAID)[1:-1] in sent


def test_a_model_that_fails_leaves_the_work_to_the_local_extractor(tmp_path: Path) -> None:
    class Broken(Model):
        def _answer(self, messages: Any) -> ChatMessage:
            raise ValueError("the key sk-secret was refused")

    with extracting(tmp_path, Broken().llm) as memori:
        memori.record([("user", "I live in Lisbon.")], attribution=ADA)
        assert memori.augmentation.wait(60)

        assert any("Lisbon" in fact.text for fact in memori.facts(attribution=ADA))
        assert "secret" not in str(memori.augmentation.status())


def test_an_answer_that_says_nothing_usable_is_asked_for_once_more(tmp_path: Path) -> None:
    model = Model(tool_call("memory", new="boats"), tool_call("memory", **ANSWER))

    with extracting(tmp_path, model.llm) as memori:
        assert learnt(memori) == [FACT["text"]]
    assert len(model.requests) == 2


def test_our_own_calls_are_tagged_and_not_remembered(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    class Watcher(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            seen.append(event.tags)

    model = Model(tool_call("memory", **ANSWER))
    dispatcher, watcher = get_dispatcher(), Watcher()
    with extracting(tmp_path, model.llm) as memori:
        memori.llm.register(model.llm, attribution=ADA)
        dispatcher.add_event_handler(watcher)
        try:
            learnt(memori)
        finally:
            dispatcher.event_handlers.remove(watcher)

        assert [one.message.content for one in memori.messages(attribution=ADA)] == [SAID]
    assert seen
    assert all(tags.get("memori.internal") is True for tags in seen)


def test_what_is_no_llm_is_told_so() -> None:
    with pytest.raises(TypeError, match="got str"):
        LlamaIndexExtractor("gpt-5")  # type: ignore[arg-type]
