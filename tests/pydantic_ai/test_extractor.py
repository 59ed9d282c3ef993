"""A model of Pydantic AI extracts facts, beside nobody's conversation; the local extractor takes over when it fails."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from memori import Attribution, Memori, ToolCall
from memori_pydantic_ai import MemoriMemory, PydanticAIExtractor
from memori_pydantic_ai.background_loop import LOOP
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.loopback import Answer, LoopbackServer
from tests.pydantic_ai.agents import Script, Visitor, said, visitor

ADA = Attribution("ada")
FOUND: dict[str, Any] = {
    "new": [
        {
            "text": "Ada lives in Berlin.",
            "kind": "fact",
            "message": 0,
            "single_valued": True,
            "triples": [
                {
                    "subject": "Ada",
                    "predicate": "lives in",
                    "object": "Berlin",
                    "subject_type": "person",
                    "object_type": "place",
                }
            ],
            "valid_from": None,
            "valid_to": None,
            "importance": 0.7,
        }
    ],
    "changed": [],
    "unchanged": [],
    "process_attributes": [],
    "summary": "Ada moved.",
}


class Extracting:
    """A model that answers with the document, in the way it is asked for."""

    def __init__(self, *documents: dict[str, Any] | Exception) -> None:
        self.documents = list(documents)
        self.sent: list[list[ModelMessage]] = []

    def reply(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.sent.append(messages)
        document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
        if isinstance(document, Exception):
            raise document
        (tool,) = info.output_tools
        return ModelResponse([ToolCallPart(tool.name, document)])

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(self.reply)


@contextmanager
def memory(tmp_path: Path, model: Model | str, **options: float) -> Iterator[Memori]:
    extractor = PydanticAIExtractor(model, **options)
    with Memori(f"sqlite:///{tmp_path / 'extracted.db'}", extractor=extractor, embedder="hashing") as it:
        yield it


def facts(memori: Memori) -> list[str]:
    assert memori.augmentation.wait(60)
    return [fact.text for fact in memori.facts(attribution=ADA)]


def test_what_a_model_finds_is_known_and_the_conversation_was_its_question(tmp_path: Path) -> None:
    extracting = Extracting(FOUND)
    with memory(tmp_path, extracting.model) as memori:
        memori.record([("user", "I moved to Berlin.")], attribution=ADA)

        assert facts(memori) == ["Ada lives in Berlin."]
        (fact,) = memori.facts(attribution=ADA)
        assert "function" in fact.extractor
    (sent,) = extracting.sent
    assert "I moved to Berlin." in str(sent)


def test_an_answer_that_does_not_fit_is_asked_for_again(tmp_path: Path) -> None:
    extracting = Extracting({"new": "Berlin"}, FOUND)
    with memory(tmp_path, extracting.model) as memori:
        memori.record([("user", "I moved to Berlin.")], attribution=ADA)

        assert facts(memori) == ["Ada lives in Berlin."]
    assert len(extracting.sent) == 2


@pytest.mark.parametrize("make", [lambda: Extracting(RuntimeError("key sk-secret refused")).model, lambda: "no:model"])
def test_when_the_model_fails_the_local_extractor_takes_over(
    tmp_path: Path, make: Callable[[], Model | str], caplog: pytest.LogCaptureFixture
) -> None:
    with memory(tmp_path, make()) as memori:
        memori.record([("user", "I moved to Berlin in May.")], attribution=ADA)

        assert any("Berlin" in text for text in facts(memori))
    assert "the local extractor takes over" in caplog.text
    assert "sk-secret" not in caplog.text


def test_a_model_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def endless(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.Event().wait()
        return ModelResponse([TextPart("Never.")])

    with memory(tmp_path, FunctionModel(endless), timeout=0.05) as memori:
        memori.record([("user", "I moved to Berlin in May.")], attribution=ADA)

        assert any("Berlin" in text for text in facts(memori))


async def test_extraction_is_nobodys_conversation_even_where_its_model_is_registered(
    tmp_path: Path, script: Script
) -> None:
    extracting = Extracting(FOUND).model
    with memory(tmp_path, extracting) as memori:
        memori.llm.register(extracting, attribution=ADA)
        agent = Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor)])

        await agent.run("I moved to Berlin.", deps=Visitor("ada"))

        assert await asyncio.to_thread(facts, memori) == ["Ada lives in Berlin."]
        assert [role for role, _ in said(memori, "ada")] == ["user", "assistant"]


def test_it_asks_a_provider_over_the_wire_for_the_schema(tmp_path: Path) -> None:
    with LoopbackServer() as server:
        server.say(Answer(tool_calls=(ToolCall("call-1", "final_result", json.dumps(FOUND)),)))
        model = OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=server.url, api_key="none"))
        with memory(tmp_path, model) as memori:
            memori.record([("user", "I moved to Berlin.")], attribution=ADA)

            assert facts(memori) == ["Ada lives in Berlin."]
        LOOP.run(model.client.close(), timeout=10)
        (tool,) = server.last.body["tools"]
    assert set(tool["function"]["parameters"]["properties"]) == set(FOUND)


def test_what_is_no_model_is_refused(script: Script) -> None:
    with pytest.raises(TypeError, match=r"of an agent, pass agent\.model"):
        PydanticAIExtractor(Agent(script.model))  # type: ignore[arg-type]
