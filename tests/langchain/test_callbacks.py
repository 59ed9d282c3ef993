"""The callback handlers store what a chain asks and is answered, and nothing that is not theirs."""

import asyncio
import copy
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from memori import Attribution, InvalidAttributionError, Memori, suppress
from memori_langchain import AsyncMemoriCallbackHandler, MemoriCallbackHandler

from tests.langchain.models import Scripted, says

Make = Callable[..., BaseCallbackHandler]


@pytest.fixture(params=[MemoriCallbackHandler, AsyncMemoriCallbackHandler], ids=["sync", "async"])
def handler(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["invoke", "stream"])
def how(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


async def run(runnable: Any, given: Any, handler: BaseCallbackHandler, how: str = "invoke", **metadata: Any) -> None:
    """Run it the way the handler is made for."""
    config = {"callbacks": [handler], "metadata": metadata}
    if isinstance(handler, AsyncMemoriCallbackHandler):
        if how == "stream":
            _ = [piece async for piece in runnable.astream(given, config)]
        else:
            await runnable.ainvoke(given, config)
    elif how == "stream":
        _ = list(runnable.stream(given, config))
    else:
        runnable.invoke(given, config)


def stored(memori: Memori, entity_id: str, session_id: str | None = None) -> list[tuple[str, str]]:
    found = memori.messages(attribution=Attribution(entity_id, session_id=session_id))
    return [(one.message.role, one.message.content.strip()) for one in found]


async def test_a_chain_is_stored_for_the_person_and_conversation_of_its_metadata(
    memori: Memori, handler: Make, how: str
) -> None:
    one = handler(memori)
    chain = ChatPromptTemplate([("system", "Be brief."), ("user", "{q}")]) | says("Noted.", "Teal.", "Hm.")

    await run(chain, {"q": "I like teal."}, one, how, user_id="ada", conversation_id="c")
    await run(chain, {"q": "Which colour?"}, one, how, entity_id="ada", thread_id="d")
    await run(chain, {"q": "Who am I?"}, one, how, user_id="bob")

    assert stored(memori, "ada", "c") == [("user", "I like teal."), ("assistant", "Noted.")]
    assert stored(memori, "ada", "d") == [("user", "Which colour?"), ("assistant", "Teal.")]
    assert stored(memori, "bob") == [("user", "Who am I?"), ("assistant", "Hm.")]


async def test_a_history_that_is_sent_again_is_stored_once(memori: Memori, handler: Make) -> None:
    one, model = handler(memori, entity_id="ada", session_id="s"), says("Hello Ada.", "Ada.")
    history = [HumanMessage("I am Ada.")]

    await run(model, history, one)
    again = [*history, AIMessage("Hello Ada."), HumanMessage("Who am I?")]
    before = copy.deepcopy(again)
    await run(model, again, one)

    assert again == before
    assert [text for _, text in stored(memori, "ada", "s")] == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]


async def test_usage_and_calls_come_along(memori: Memori, handler: Make) -> None:
    answer = AIMessage(
        "",
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    )

    await run(says(answer), "hi", handler(memori, entity_id="ada"))

    message = memori.messages(attribution=Attribution("ada"))[-1].message
    assert message.tool_calls[0].arguments == '{"x": 1}'
    assert message.payload is not None
    assert message.payload["data"]["usage_metadata"]["total_tokens"] == 7


async def test_a_call_that_nobody_owns_is_not_stored_and_said_once(
    memori: Memori, handler: Make, caplog: pytest.LogCaptureFixture
) -> None:
    one, model = handler(memori), says("a", "b", "c")

    await run(model, "hi", one)
    await run(model, "hi", one)

    assert memori.messages(attribution=Attribution("ada")) == []
    assert [record.name for record in caplog.records if "whose it is" in record.message] == ["memori_langchain"]
    with memori.scope("ada"):
        await run(model, "hello", one, thread_id="t")
    assert stored(memori, "ada", "t") == [("user", "hello"), ("assistant", "c")]


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_id_is_refused(memori: Memori, handler: Make, blank: str) -> None:
    with pytest.raises(InvalidAttributionError, match="entity_id"):
        handler(memori, entity_id=blank)


async def test_a_blank_id_in_the_metadata_stores_nothing(
    memori: Memori, handler: Make, caplog: pytest.LogCaptureFixture
) -> None:
    await run(says("a"), "hi", handler(memori), user_id=" ", thread_id="t")

    assert "blank" in caplog.text
    assert memori.messages(attribution=Attribution("ada")) == []


async def test_what_a_tool_asks_a_model_is_its_own_affair(memori: Memori, handler: Make) -> None:
    inner = RunnableLambda(lambda text: text) | says("INNER", "INNER")

    @tool
    def sync_tool(query: str) -> str:
        """Ask another model."""
        return inner.invoke(query).text

    @tool
    async def async_tool(query: str) -> str:
        """Ask another model."""
        return (await inner.ainvoke(query)).text

    one = handler(memori, entity_id="ada")
    chosen = async_tool if isinstance(one, AsyncMemoriCallbackHandler) else sync_tool
    chain = says("Here it is.") | RunnableLambda(lambda message: {"query": message.text}) | chosen

    await run(chain, "Ask the other.", one)

    assert stored(memori, "ada") == [("user", "Ask the other."), ("assistant", "Here it is.")]
    await run(says("Later."), "And now?", one)
    assert len(stored(memori, "ada")) == 4


async def test_summaries_and_what_memory_itself_asks_are_not_stored(memori: Memori, handler: Make) -> None:
    one = handler(memori, entity_id="ada")
    notice = HumanMessage("Ada likes tea.", additional_kwargs={"lc_source": "summarization"})

    await run(says("SUMMARY"), "Summarise.", one, lc_source="summarization")
    with suppress():
        await run(says("quiet"), "hi", one)
    await run(says("Tea."), [SystemMessage("Hm."), notice, HumanMessage("What do I like?")], one)

    assert stored(memori, "ada") == [("user", "What do I like?"), ("assistant", "Tea.")]


async def test_a_failing_model_stores_nothing_and_keeps_nothing(memori: Memori, handler: Make) -> None:
    def fail(_: Any) -> str:
        raise RuntimeError("the model is down")

    one: Any = handler(memori, entity_id="ada")
    with pytest.raises(RuntimeError, match="the model is down"):
        await run(Scripted(reply=fail), "hi", one)

    assert memori.messages(attribution=Attribution("ada")) == []
    assert one._runs._asked == {}


async def test_of_a_stream_that_is_given_up_what_came_is_stored_as_partial(memori: Memori, handler: Make) -> None:
    one: Any = handler(memori, entity_id="ada")
    model = says("one two three four five")

    if isinstance(one, AsyncMemoriCallbackHandler):
        pieces = model.astream("Count.", {"callbacks": [one]})
        async for _ in pieces:
            break
        await pieces.aclose()  # type: ignore[attr-defined]
    else:
        stream = model.stream("Count.", {"callbacks": [one]})
        next(iter(stream))
        stream.close()  # type: ignore[attr-defined]

    question, answer = [found.message for found in memori.messages(attribution=Attribution("ada"))]
    assert (question.content, answer.content.strip(), answer.partial) == ("Count.", "one", True)
    assert one._runs._asked == {}


async def test_twenty_people_share_one_handler(memori: Memori, handler: Make) -> None:
    one, model = handler(memori), Scripted(reply=lambda messages: f"re: {messages[-1].text}")
    people = [f"user-{number}" for number in range(20)]

    config = [{"callbacks": [one], "metadata": {"user_id": person}} for person in people]
    await asyncio.gather(*(model.ainvoke(f"I am {p}", c) for p, c in zip(people, config, strict=True)))  # type: ignore[arg-type]

    for person in people:
        assert stored(memori, person) == [("user", f"I am {person}"), ("assistant", f"re: I am {person}")]


async def test_each_of_a_batch_is_stored(memori: Memori, handler: Make) -> None:
    model = Scripted(reply=lambda messages: f"re: {messages[-1].text}")

    one = handler(memori)
    metadata = [{"user_id": "ada"}, {"user_id": "bob"}]
    configs: Any = [{"callbacks": [one], "metadata": told} for told in metadata]
    _ = await model.abatch(["a", "b"], configs) if "Async" in type(one).__name__ else model.batch(["a", "b"], configs)

    assert stored(memori, "ada") == [("user", "a"), ("assistant", "re: a")]
    assert stored(memori, "bob") == [("user", "b"), ("assistant", "re: b")]


async def test_a_failing_database_does_not_reach_the_chain(
    tmp_path: Path, handler: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with Memori(f"sqlite:///{tmp_path}/no/such/m.db") as memori, caplog.at_level(logging.DEBUG, "memori_langchain"):
        await run(says("fine"), "hi", handler(memori, entity_id="ada"))

    assert "capture failed" in caplog.text


class Flaky(Scripted):
    """Breaks after the first word."""

    def _stream(self, *args: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        yield next(super()._stream(*args, **options))
        raise RuntimeError("cut off")


async def test_an_answer_that_breaks_off_is_stored_as_far_as_it_came(memori: Memori, handler: Make) -> None:
    one = handler(memori, entity_id="ada")

    with pytest.raises(RuntimeError, match="cut off"):
        await run(Flaky(reply=lambda _: "one two"), "Count.", one, "stream")

    assert stored(memori, "ada") == [("user", "Count."), ("assistant", "one")]
