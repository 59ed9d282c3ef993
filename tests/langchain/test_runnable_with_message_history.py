"""The history under RunnableWithMessageHistory, keyed by person and session."""

import asyncio
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig
from langchain_core.runnables.history import RunnableWithMessageHistory
from memori import InvalidAttributionError, Memori, StorageError
from memori_langchain import MemoriChatMessageHistory

from tests.langchain.models import Scripted, says

pytestmark = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")


def chat(memori: Memori, model: Scripted, **options: Any) -> Runnable[Any, Any]:
    def session(*, entity_id: str, session_id: str) -> BaseChatMessageHistory:
        return MemoriChatMessageHistory(memori, entity_id=entity_id, session_id=session_id, **options)

    keys = [ConfigurableFieldSpec(id=name, annotation=str) for name in ("entity_id", "session_id")]
    prompt = ChatPromptTemplate([MessagesPlaceholder("history"), ("user", "{question}")])
    return RunnableWithMessageHistory(
        prompt | model,
        session,
        input_messages_key="question",
        history_messages_key="history",
        history_factory_config=keys,
    )


def keyed(entity_id: str, session_id: str) -> RunnableConfig:
    return {"configurable": {"entity_id": entity_id, "session_id": session_id}}


def stored(memori: Memori, entity_id: str, session_id: str) -> list[BaseMessage]:
    return MemoriChatMessageHistory(memori, entity_id=entity_id, session_id=session_id).messages


def echo() -> Scripted:
    return Scripted(reply=lambda messages: "re: " + " | ".join(one.text for one in messages))


def test_each_key_has_a_conversation_of_its_own(memori: Memori) -> None:
    runnable = chat(memori, echo())
    keys = [(entity, session) for entity in ("ada", "bob") for session in ("1", "2")]

    for entity, session in keys:
        runnable.invoke({"question": f"I am {entity} in {session}"}, keyed(entity, session))
    answers = [runnable.invoke({"question": "Who?"}, keyed(*key)).text for key in keys]

    assert answers == [f"re: I am {e} in {s} | re: I am {e} in {s} | Who?" for e, s in keys]


async def test_conversations_at_once_stay_apart(memori: Memori) -> None:
    runnable = chat(memori, echo())

    async def talk(entity: str) -> str:
        await runnable.ainvoke({"question": f"I am {entity}"}, keyed(entity, "s"))
        answer: AIMessage = await runnable.ainvoke({"question": "Who?"}, keyed(entity, "s"))
        return answer.text

    answers = await asyncio.gather(*(talk(f"user {n}") for n in range(20)))

    assert answers == [f"re: I am user {n} | re: I am user {n} | Who?" for n in range(20)]


def test_a_streamed_answer_is_stored_as_one_message(memori: Memori) -> None:
    runnable = chat(memori, says("In the blue box."))

    pieces = list(runnable.stream({"question": "Where is it?"}, keyed("ada", "s")))

    assert len(pieces) > 3
    question, answer = stored(memori, "ada", "s")
    assert question == HumanMessage("Where is it?")
    assert type(answer) is AIMessage
    assert answer.text == "In the blue box. "


async def test_an_answer_streamed_asynchronously_is_stored_as_one_message(memori: Memori) -> None:
    runnable = chat(memori, says("In the blue box."))

    pieces = [piece async for piece in runnable.astream({"question": "Where is it?"}, keyed("ada", "s"))]

    assert len(pieces) > 3
    assert [type(one) for one in stored(memori, "ada", "s")] == [HumanMessage, AIMessage]


def test_an_empty_key_is_refused_before_the_model_is_called(memori: Memori) -> None:
    model = echo()

    with pytest.raises(InvalidAttributionError, match="session_id is blank"):
        chat(memori, model).invoke({"question": "hi"}, keyed("ada", ""))
    with pytest.raises(InvalidAttributionError, match="entity_id is blank"):
        chat(memori, model).invoke({"question": "hi"}, keyed(" ", "s"))

    assert model.requests == []


def test_a_limited_history_keeps_storing_everything(memori: Memori) -> None:
    model = echo()
    runnable = chat(memori, model, limit=2)

    for number in range(3):
        runnable.invoke({"question": f"{number}"}, keyed("ada", "s"))

    assert len(stored(memori, "ada", "s")) == 6
    assert len(model.requests[-1]) == 3


def test_a_stream_that_is_given_up_stores_nothing_and_the_next_call_is_stored(memori: Memori) -> None:
    runnable = chat(memori, says("one two three", "again"))

    stream = runnable.stream({"question": "Count."}, keyed("ada", "s"))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    runnable.invoke({"question": "Count again."}, keyed("ada", "s"))

    assert [message.text for message in stored(memori, "ada", "s")] == ["Count again.", "again"]


def test_calls_of_one_session_at_once_drop_nothing(memori: Memori) -> None:
    other = MemoriChatMessageHistory(memori, entity_id="ada", session_id="s")

    def reply(messages: list[BaseMessage]) -> str:
        other.add_messages([HumanMessage("meanwhile"), AIMessage("indeed")])
        return "done"

    chat(memori, Scripted(reply=reply)).invoke({"question": "first"}, keyed("ada", "s"))

    assert [message.text for message in stored(memori, "ada", "s")] == ["meanwhile", "indeed", "first", "done"]


def test_a_failing_database_leaves_the_answer_and_is_logged(
    memori: Memori, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StorageError("the disk is full")

    runnable = chat(memori, says("still here"))
    monkeypatch.setattr(MemoriChatMessageHistory, "add_messages", fail)

    assert runnable.invoke({"question": "hi"}, keyed("ada", "s")).text == "still here"
    assert "the disk is full" in caplog.text
