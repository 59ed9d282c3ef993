"""LangChainExtractor: any chat model of LangChain learns from what is said, out of sight of the agent's run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from memori import Attribution, LLMExtractor, Memori
from memori_langchain import LangChainExtractor, MemoriCallbackHandler, MemoriMiddleware

from tests.langchain.models import Scripted, agent, says
from tests.loopback import LoopbackServer

ADA = Attribution("ada")
LEARNT = json.dumps({"new": [{"text": "Ada's boat is called Plover.", "kind": "fact", "message": 0}]})


class Remembering(Scripted):
    """Has no structured output, as local models may not."""

    def with_structured_output(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def learnt(where: Path, extractor: LLMExtractor, *said: str) -> list[str]:
    with Memori(f"sqlite:///{where}/m.db", embedder="hashing", extractor=extractor) as memori:
        for text in said:
            memori.record(("user", text), attribution=ADA)
        assert memori.augmentation.wait(60)
        return [one.text for one in memori.facts(attribution=ADA)]


def test_a_model_with_structured_output_is_asked_once_for_json(tmp_path: Path, server: LoopbackServer) -> None:
    server.say(LEARNT)
    model = ChatOpenAI(model="m", base_url=server.url, api_key="unused", max_retries=0)  # type: ignore[arg-type]

    assert learnt(tmp_path, LangChainExtractor(model), "My boat is called Plover.") == ["Ada's boat is called Plover."]

    [call] = server.calls
    assert call.body["response_format"]["json_schema"]["name"] == "Memory"
    assert "My boat is called Plover." in str(call.body["messages"])


def test_a_model_without_it_is_shown_the_schema(tmp_path: Path) -> None:
    model = Remembering(reply=lambda _: f"```json\n{LEARNT}\n```")

    assert learnt(tmp_path, LangChainExtractor(model), "My boat is called Plover.") == ["Ada's boat is called Plover."]

    assert "process_attributes" in model.last_request


def test_an_answer_that_is_no_json_is_asked_for_again(tmp_path: Path) -> None:
    answers = iter(["Sure! It is called Plover.", LEARNT])
    model = Remembering(reply=lambda _: next(answers))

    assert learnt(tmp_path, LangChainExtractor(model), "My boat is called Plover.") == ["Ada's boat is called Plover."]

    assert len(model.requests) == 2


def test_when_the_model_fails_what_was_said_is_learnt_all_the_same(tmp_path: Path) -> None:
    def fail(_: list[BaseMessage]) -> str:
        raise RuntimeError("bad key sk-secret")

    assert learnt(tmp_path, LangChainExtractor(Remembering(reply=fail)), "I moved to Lisbon last spring.")


async def test_a_run_shows_nothing_of_it(tmp_path: Path) -> None:
    class Watching(BaseCallbackHandler):
        seen: int = 0

        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            self.seen += 1

    model = Remembering(reply=lambda _: LEARNT)
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", extractor=LangChainExtractor(model)) as memori:
        memori.llm.register(model, attribution=ADA)
        watching = Watching()
        chat = agent(says("Noted."), middleware=[MemoriMiddleware(memori)])
        config: RunnableConfig = {"callbacks": [watching, MemoriCallbackHandler(memori, entity_id="bob")]}
        given = {"messages": [("user", "My boat is called Plover.")]}

        stream = chat.astream(given, config, context={"user_id": "ada"}, stream_mode="messages")
        text = "".join([piece.text async for piece, _ in stream])
        assert memori.augmentation.wait(60)

        assert text.strip() == "Noted."
        assert watching.seen == 1
        assert [one.text for one in memori.facts(attribution=ADA)] == ["Ada's boat is called Plover."]
        assert [one.message.role for one in memori.messages(attribution=ADA)] == ["user", "assistant"]


def test_models_are_told_apart_and_what_is_no_model_is_refused() -> None:
    versions = {
        LangChainExtractor(Remembering(reply=lambda _: AIMessage("")), **options).version
        for options in ({}, {"name": "mine"})
    }

    assert len(versions) == 2
    with pytest.raises(TypeError, match="takes a LangChain chat model, got str"):
        LangChainExtractor("gpt-5")  # type: ignore[arg-type]
