"""MemoriChatMessageHistory: what is added comes back whole, in order, once, and to nobody else."""

import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from memori import Attribution, InvalidAttributionError, Memori, Message, StorageError, ToolCall
from memori_langchain import MemoriChatMessageHistory, list_conversations
from memori_langchain.messages import to_memori

MESSAGES: list[BaseMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("Wie wird das Wetter in Zürich?", name="Ada", id="q-1"),
    HumanMessage(
        [
            {"type": "text", "text": "And what is this?"},
            {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
        ]
    ),
    AIMessage(
        [{"type": "reasoning", "reasoning": "Ask the forecast."}, {"type": "text", "text": "One moment."}],
        tool_calls=[{"name": "forecast", "args": {"city": "Zürich", "days": [1, 2]}, "id": "call-1"}],
        invalid_tool_calls=[{"name": "forecast", "args": "{", "id": "call-2", "error": "cut off"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        response_metadata={"model_name": "m", "finish_reason": "tool_calls"},
        additional_kwargs={"signature": "c2ln"},
        id="not a uuid",
    ),
    AIMessage(
        content_blocks=[
            {"type": "text", "text": "See", "annotations": [{"type": "citation", "url": "x", "cited_text": "y"}]},
            {"type": "non_standard", "value": {"deep": [1, {"x": None}]}},
        ],
        response_metadata={"output_version": "v1"},
    ),
    HumanMessage(content_blocks=[{"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}], example=True),
    ToolMessage([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}], tool_call_id="c-3"),
    ToolMessage("no such day", tool_call_id="call-1", name="forecast", status="error", artifact={"rows": [[1, None]]}),
    ChatMessage(content="It will rain.", role="critic"),
    FunctionMessage(content="4", name="count"),
    AIMessage("Rain, I am told. 🌧"),
]


def history(memori: Memori, entity_id: str = "ada", session_id: str = "s", **options: Any) -> MemoriChatMessageHistory:
    return MemoriChatMessageHistory(memori, entity_id=entity_id, session_id=session_id, **options)


def texts(history: MemoriChatMessageHistory) -> list[str]:
    return [message.text for message in history.messages]


def test_every_type_of_message_comes_back_as_it_was_added(memori: Memori) -> None:
    history(memori).add_messages(MESSAGES)

    assert history(memori).messages == MESSAGES


async def test_every_type_of_message_comes_back_as_it_was_added_when_awaited(memori: Memori) -> None:
    await history(memori).aadd_messages(MESSAGES)

    assert await history(memori).aget_messages() == MESSAGES


def test_a_chunk_of_a_stream_is_added_as_the_message_it_adds_up_to(memori: Memori) -> None:
    chunk = AIMessageChunk(
        content="Rain.", id="a", tool_call_chunks=[{"name": "f", "args": '{"x": 1}', "id": "c", "index": 0}]
    )

    history(memori).add_messages([chunk])

    expected = AIMessage("Rain.", id="a", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}])
    assert history(memori).messages == [expected]


def test_an_artifact_that_json_cannot_hold_costs_only_itself(memori: Memori) -> None:
    history(memori).add_messages([ToolMessage("done", tool_call_id="c", artifact=[threading.Lock(), {("a", 1): 2}, 3])])

    [back] = history(memori).messages
    assert isinstance(back, ToolMessage)
    assert (back.content, back.tool_call_id) == ("done", "c")
    assert "lock" in back.artifact[0]
    assert back.artifact[1:] == [{}, 3]


def test_an_artifact_that_contains_itself_leaves_what_was_said(memori: Memori) -> None:
    circle: list[Any] = []
    circle.append(circle)

    history(memori).add_messages([ToolMessage("done", tool_call_id="c", artifact=circle)])

    assert history(memori).messages == [ToolMessage("done", tool_call_id="c")]


def test_an_id_is_stored_once_and_words_without_one_as_often_as_they_are_said(memori: Memori) -> None:
    chat = history(memori)

    chat.add_messages([HumanMessage("ok", id="h-1"), AIMessage("good", id="a-1")])
    chat.add_messages([HumanMessage("ok", id="h-1"), AIMessage("good", id="a-1"), AIMessage("twin", id="a-1")])
    chat.add_user_message("ok")
    chat.add_user_message("ok")
    chat.add_ai_message("good")

    assert texts(chat) == ["ok", "good", "ok", "ok", "good"]


def test_all_messages_are_added_or_none(memori: Memori) -> None:
    chat = history(memori)

    with pytest.raises(TypeError, match="RemoveMessage"):
        chat.add_messages([HumanMessage("hi"), RemoveMessage(id="x")])

    assert chat.messages == []


@pytest.mark.parametrize("blank", ["", "  ", None])
@pytest.mark.parametrize("which", ["entity_id", "session_id"])
def test_a_blank_id_is_refused_before_anything_is_stored(memori: Memori, which: str, blank: Any) -> None:
    with pytest.raises(InvalidAttributionError, match=which):
        MemoriChatMessageHistory(memori, **{"entity_id": "ada", "session_id": "s", which: blank})


def test_a_blank_process_is_refused(memori: Memori) -> None:
    with pytest.raises(InvalidAttributionError, match="process_id"):
        history(memori, process_id="")


def test_people_and_sessions_do_not_see_each_other(memori: Memori) -> None:
    for entity in ("ada", "bob"):
        for session in ("1", "2"):
            history(memori, entity, session).add_user_message(f"{entity} in {session}")

    assert texts(history(memori, "ada", "1")) == ["ada in 1"]
    assert texts(history(memori, "ada", "2")) == ["ada in 2"]
    assert texts(history(memori, "bob", "1")) == ["bob in 1"]
    assert texts(history(memori, "carol", "1")) == []


def test_a_limit_keeps_the_newest_and_begins_with_a_human_message(memori: Memori) -> None:
    call = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "c"}])
    history(memori).add_messages(
        [HumanMessage("one"), call, ToolMessage("r", tool_call_id="c"), AIMessage("1"), HumanMessage("two"), call]
    )

    assert texts(history(memori, limit=2)) == ["two", ""]
    assert texts(history(memori, limit=4)) == ["two", ""], "no tool result without its call"
    assert texts(history(memori, limit=6)) == ["one", "", "r", "1", "two", ""]
    assert texts(history(memori, limit=1)) == []


def test_a_session_shorter_than_the_limit_is_given_whole(memori: Memori) -> None:
    history(memori).add_messages([SystemMessage("Be brief."), HumanMessage("hi")])

    assert texts(history(memori, limit=3)) == ["Be brief.", "hi"]


async def test_an_awaited_limit_is_the_same(memori: Memori) -> None:
    await history(memori).aadd_messages([AIMessage("1"), HumanMessage("two"), AIMessage("2")])

    assert [message.text for message in await history(memori, limit=3).aget_messages()] == ["two", "2"]


def test_a_limit_below_one_is_refused(memori: Memori) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        history(memori, limit=0)


def test_clear_empties_one_session_and_keeps_what_was_learnt(memori: Memori) -> None:
    fern = HumanMessage("My cat is called Fern.", id="h-1")
    history(memori).add_messages([fern])
    history(memori, session_id="other").add_user_message("Hello.")
    assert memori.augmentation.wait(60)

    history(memori).clear()

    assert texts(history(memori)) == []
    assert texts(history(memori, session_id="other")) == ["Hello."]
    assert memori.recall("cat", attribution=Attribution("ada"))[0].text == "My cat is called Fern."
    history(memori).add_messages([fern])
    assert history(memori).messages == [fern]


async def test_aclear_empties_the_session(memori: Memori) -> None:
    await history(memori).aadd_messages([HumanMessage("hi")])

    await history(memori).aclear()

    assert await history(memori).aget_messages() == []


def test_what_is_added_is_remembered_for_its_person_alone(memori: Memori) -> None:
    history(memori).add_messages([HumanMessage("My cat is called Fern."), AIMessage("A fine name.")])

    assert memori.augmentation.wait(60)
    assert "Fern" in memori.recall("What is the cat called?", attribution=Attribution("ada"))[0].text
    assert memori.recall("What is the cat called?", attribution=Attribution("bob")) == []


def test_messages_another_program_stored_are_read_as_plain_ones(memori: Memori) -> None:
    stored = [
        Message("user", "hi", name="Ada", id="h"),
        Message("assistant", "", tool_calls=(ToolCall("c", "f", '{"x": 1}'), ToolCall("d", "f", "nonsense"))),
        Message("tool", "r", tool_call_id="c"),
        Message("system", "brief", payload={"type": "a type of the future", "data": {}}),
    ]
    memori.record(stored, attribution=Attribution("ada", session_id="s"))

    called = [{"name": "f", "args": {"x": 1}, "id": "c"}, {"name": "f", "args": {"input": "nonsense"}, "id": "d"}]
    assert history(memori).messages == [
        HumanMessage("hi", name="Ada", id="h"),
        AIMessage("", tool_calls=called),
        ToolMessage("r", tool_call_id="c"),
        SystemMessage("brief"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "hologram", "data": {"content": "hi"}},
        {"type": "human", "data": {"content": {"shape": "unknown"}}},
        {"type": "ai", "data": {}},
        {"type": "human", "data": "hi"},
    ],
)
def test_a_message_that_a_newer_version_wrote_is_shown_as_its_text(memori: Memori, payload: Any) -> None:
    memori.record(Message("user", "hi", payload=payload), attribution=Attribution("ada", session_id="s"))

    assert history(memori).messages == [HumanMessage("hi")]
    [kept] = memori.messages(attribution=Attribution("ada", session_id="s"))
    assert kept.message.payload == payload


def test_an_entitys_conversations_are_listed_newest_first_and_can_be_opened(memori: Memori) -> None:
    history(memori, session_id="monday").add_user_message("one")
    history(memori, session_id="tuesday").add_messages([HumanMessage("two"), AIMessage("2")])
    history(memori, entity_id="bob").add_user_message("other")

    listed = list_conversations(memori, entity_id="ada")

    assert [(one.session_id, one.message_count) for one in listed] == [("tuesday", 2), ("monday", 1)]
    assert texts(history(memori, session_id=listed[0].session_id)) == ["two", "2"]
    assert [one.session_id for one in list_conversations(memori, entity_id="ada", limit=1, offset=1)] == ["monday"]
    with pytest.raises(InvalidAttributionError):
        list_conversations(memori, entity_id="")


def test_a_summary_written_as_a_human_message_is_not_taken_for_the_users_words() -> None:
    summary = HumanMessage("Ada likes tea.", additional_kwargs={"lc_source": "summarization"})

    assert to_memori(summary).role == "system"


def test_what_a_redactor_takes_out_does_not_come_back(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/m.db"
    with Memori(
        where, extractor="none", embedder="hashing", redact=lambda text: text.replace("4711", "[pin]")
    ) as memori:
        history(memori).add_messages([HumanMessage("My pin is 4711."), HumanMessage("Hello.", name="Ada")])

        assert history(memori).messages == [HumanMessage("My pin is [pin]."), HumanMessage("Hello.", name="Ada")]
    assert b"4711" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("given", ["hi", ("user", "hi"), {"role": "user", "content": "hi"}, None, 7])
def test_what_is_no_message_of_langchain_is_refused(memori: Memori, given: Any) -> None:
    with pytest.raises(TypeError, match="is no LangChain message"):
        history(memori).add_messages([HumanMessage("first"), given])

    assert texts(history(memori)) == []


async def test_a_failing_database_is_an_error_because_this_is_the_history(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/no/such/folder/m.db") as memori:
        chat = history(memori)

        with pytest.raises(StorageError):
            chat.add_user_message("hi")
        with pytest.raises(StorageError):
            _ = chat.messages
        with pytest.raises(StorageError):
            chat.clear()
        with pytest.raises(StorageError):
            await chat.aadd_messages([HumanMessage("hi")])
        with pytest.raises(StorageError):
            await chat.aget_messages()
        with pytest.raises(StorageError):
            await chat.aclear()


async def test_awaiting_leaves_the_event_loop_alone(tmp_path: Path) -> None:
    threads: list[int] = []

    def redact(text: str) -> str:
        threads.append(threading.get_ident())
        return text

    with Memori(f"sqlite:///{tmp_path}/m.db", extractor="none", embedder="hashing", redact=redact) as memori:
        await history(memori).aadd_messages([HumanMessage("hi")])

    assert threads
    assert threading.get_ident() not in threads
