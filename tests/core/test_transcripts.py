"""Transcripts: what is read, what is refused, and what is kept when a file goes wrong in the middle."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memori.errors import TranscriptError
from memori.model import Message, ToolCall
from memori.transcripts import Transcript, read

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {"role": "user", "content": "I moved to Berlin."}
REPLY = {"role": "assistant", "content": "Noted."}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read_until_error(path: Path) -> tuple[list[Transcript], TranscriptError]:
    found: list[Transcript] = []
    with pytest.raises(TranscriptError) as raised:  # noqa: PT012 - what was yielded first is kept
        for part in read(path):
            found.append(part)
    return found, raised.value


def contents(parts: list[Transcript]) -> list[list[str]]:
    return [[message.content for message in part.messages] for part in parts]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param([HELLO, REPLY], [["I moved to Berlin.", "Noted."]], id="a list of messages"),
        pytest.param({"messages": [HELLO]}, [["I moved to Berlin."]], id="an object with messages"),
        pytest.param(
            [{"messages": [HELLO]}, {"messages": [REPLY]}], [["I moved to Berlin."], ["Noted."]], id="objects"
        ),
        pytest.param([[HELLO], [REPLY]], [["I moved to Berlin."], ["Noted."]], id="a list of lists"),
        pytest.param(HELLO, [["I moved to Berlin."]], id="one message"),
    ],
)
def test_json_is_read_in_every_usual_shape(tmp_path: Path, document: Any, expected: list[list[str]]) -> None:
    path = write(tmp_path / "chat.json", document)

    assert contents(list(read(path))) == expected


def test_json_lines_hold_a_message_each(tmp_path: Path) -> None:
    parts = list(read(write(tmp_path / "chat.jsonl", HELLO, REPLY)))

    assert contents(parts) == [["I moved to Berlin.", "Noted."]]
    assert parts[0].session_id == "chat"


def test_json_lines_hold_a_conversation_each(tmp_path: Path) -> None:
    parts = list(read(write(tmp_path / "chats.jsonl", {"messages": [HELLO]}, {"id": 7, "messages": [REPLY]})))

    assert contents(parts) == [["I moved to Berlin."], ["Noted."]]
    assert [part.session_id for part in parts] == ["chats", "7"]


def test_lines_that_name_a_session_are_kept_apart(tmp_path: Path) -> None:
    lines = ({**HELLO, "session_id": "monday"}, {**REPLY, "session_id": "tuesday"})

    parts = list(read(write(tmp_path / "log.ndjson", *lines)))

    assert [part.session_id for part in parts] == ["monday", "tuesday"]


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(HELLO).encode() + b"\n\n  \n" + json.dumps(REPLY).encode())

    assert contents(list(read(path))) == [["I moved to Berlin.", "Noted."]]


@pytest.mark.parametrize("key", ["created_at", "timestamp", "create_time"])
@pytest.mark.parametrize(
    "value",
    [
        "2023-05-08T13:56:00Z",
        "2023-05-08T15:56:00+02:00",
        "2023-05-08 13:56",
        1683554160,
        1683554160.0,
        1683554160000,
    ],
)
def test_times_are_iso_or_epoch_and_become_utc(tmp_path: Path, key: str, value: Any) -> None:
    [part] = read(write(tmp_path / "chat.json", [{**HELLO, key: value}]))

    assert part.messages[0].created_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert part.messages[0].created_at.utcoffset() == timedelta(0)


def test_messages_without_a_time_take_that_of_their_conversation(tmp_path: Path) -> None:
    conversation = {"create_time": 0, "messages": [HELLO, {**REPLY, "timestamp": 60}]}

    [part] = read(write(tmp_path / "chat.json", conversation))

    assert [message.created_at for message in part.messages] == [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
    ]


def test_tool_calls_and_their_results_are_kept(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]

    [part] = read(write(tmp_path / "chat.json", messages))

    asked, answered = part.messages
    assert asked.tool_calls == (ToolCall("c1", "weather", '{"city":"Oslo"}'),)
    assert asked.content == ""
    assert (answered.role, answered.tool_call_id, answered.content) == ("tool", "c1", "rain")


def test_text_parts_are_joined_and_other_parts_left_out(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "here"}]

    [part] = read(write(tmp_path / "chat.json", [{"role": "user", "content": parts}]))

    assert part.messages[0].content == "Look\nhere"


@pytest.mark.parametrize(
    ("given", "role"), [("developer", "system"), ("function", "tool"), ("human", "user"), ("ai", "assistant")]
)
def test_older_names_of_roles_are_understood(tmp_path: Path, given: str, role: str) -> None:
    [part] = read(write(tmp_path / "chat.json", [{"role": given, "content": "x"}]))

    assert part.messages[0].role == role


def test_a_file_that_grew_gives_the_old_messages_their_old_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "chat.jsonl", HELLO, REPLY, HELLO)
    before = [message.id for part in read(path) for message in part.messages]
    write(path, HELLO, REPLY, HELLO, REPLY)

    after = [message.id for part in read(path) for message in part.messages]

    assert after[:3] == before
    assert len(set(after)) == 4


def test_a_long_session_comes_in_parts_of_one_session(tmp_path: Path) -> None:
    path = write(tmp_path / "chat.jsonl", *[{"role": "user", "content": str(n)} for n in range(7)])

    parts = list(read(path, batch=3))

    assert contents(parts) == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert {part.session_id for part in parts} == {"chat"}


def test_json_lines_are_read_in_bounded_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "chat.jsonl", *[{"role": "user", "content": "x" * 10_000}] * 1_000)

    tracemalloc.start()
    count = sum(len(part.messages) for part in read(path, batch=10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 1_000
    assert peak < path.stat().st_size / 5


LOCOMO = {
    "speaker_a": "Ada",
    "speaker_b": "Bo",
    "session_2_date_time": "12:05 am on 1 June, 2023",
    "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Back again."}],
    "session_1_date_time": "1:56 pm on 8 May, 2023",
    "session_1": [
        {"speaker": "Ada", "dia_id": "D1:1", "text": "Hi!"},
        {"speaker": "Bo", "dia_id": "D1:2", "text": "Look!", "blip_caption": "a photo of a dog"},
    ],
    "session_3_date_time": "1:00 pm on 2 June, 2023",
    "qa": [],
}


@pytest.mark.parametrize("document", [LOCOMO, {"sample_id": "conv-1", "conversation": LOCOMO}, [LOCOMO]])
def test_locomo_sessions_come_in_order_with_speakers_and_times(tmp_path: Path, document: Any) -> None:
    first, second = read(write(tmp_path / "30.json", document))

    assert first.messages == (
        Message("user", "Hi!", name="Ada", created_at=datetime(2023, 5, 8, 13, 56, tzinfo=UTC), id="D1:1"),
        Message(
            "user",
            "Look! [shares a photo of a dog]",
            name="Bo",
            created_at=datetime(2023, 5, 8, 13, 57, tzinfo=UTC),
            id="D1:2",
        ),
    )
    assert second.messages[0].created_at == datetime(2023, 6, 1, 0, 5, tzinfo=UTC)
    assert first.session_id != second.session_id


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(b" \n", "is empty", id="white space"),
        pytest.param(b"[]", "holds no messages", id="no messages"),
        pytest.param(b'{"messages": []}', "holds no messages", id="an empty conversation"),
        pytest.param(b"\x7fELF\x00\x01", "is binary", id="binary"),
        pytest.param('[{"role":"user"}]'.encode("utf-16"), "UTF-16", id="UTF-16"),
        pytest.param('[{"role":"user","content":"Zoë"}]'.encode("latin-1"), "not UTF-8", id="Latin-1"),
        pytest.param(b"[" * 200_000, "not usable JSON", id="nested too deeply"),
        pytest.param(b"42", "neither a message", id="a number"),
        pytest.param(b'[{"conversation": 42}]', "at item 1", id="a conversation that is a number"),
        pytest.param(b'[{"role":"bot","content":"x"}]', "unknown role 'bot'", id="unknown role"),
        pytest.param(b'[{"role":["user"],"content":"x"}]', "unknown role", id="a role that is a list"),
        pytest.param(b'[{"role":"user"}]', "message 1 has no content", id="missing content"),
        pytest.param(b'[{"role":"user","content":{}}]', "content must be text", id="content of a wrong type"),
        pytest.param(b'[{"role":"user","content":"x","timestamp":"noon"}]', "bad timestamp", id="bad time"),
        pytest.param(b'[{"role":"user","content":"x","timestamp":NaN}]', "bad timestamp", id="not a time"),
        pytest.param(b'[{"role":"user","content":"x","timestamp":1e99}]', "bad timestamp", id="far future"),
        pytest.param(b'[{"role":"user","content":"x","timestamp":true}]', "bad timestamp", id="true"),
        pytest.param(b'[{"role":"user","content":"x","name":3}]', "name of type int", id="bad name"),
        pytest.param(b'[{"role":"user","content":"x","id":""}]', "unusable id", id="blank id"),
        pytest.param(b'[{"role":"user","content":"x","tool_calls":4}]', "tool_calls of type int", id="bad calls"),
        pytest.param(b'[{"role":"user","content":"x","tool_calls":[{}]}]', "tool call without", id="bad call"),
        pytest.param(b'{"messages":[3]}', "message 1 is int", id="a message that is a number"),
        pytest.param(
            json.dumps({**LOCOMO, "session_2_date_time": "soon"}).encode(), "has the date 'soon'", id="LoCoMo date"
        ),
        pytest.param(json.dumps({**LOCOMO, "session_2": [{}]}).encode(), "turn 1 has no text", id="LoCoMo text"),
    ],
)
def test_a_bad_file_is_refused_with_its_path_and_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)

    with pytest.raises(TranscriptError) as raised:
        list(read(path))

    assert raised.value.path == path
    assert reason in raised.value.reason
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("missing", ["nothing-here.json", "."])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, missing: str) -> None:
    with pytest.raises(TranscriptError, match="cannot be read"):
        list(read(tmp_path / missing))


def test_a_syntax_error_in_json_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text('[\n{"role": "user", "content": "x"},\n{"role": }\n]')

    with pytest.raises(TranscriptError) as raised:
        list(read(path))

    assert raised.value.line == 3


@pytest.mark.parametrize(
    "bad", ["{not json", '{"role": "bot", "content": "x"}', '{"role": "user"}', "[1]", '"text"', "\udcff"]
)
def test_what_came_before_a_bad_line_is_kept_and_the_line_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "chat.jsonl"
    lines = [json.dumps(HELLO), json.dumps(REPLY), bad, json.dumps(HELLO)]
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))

    found, error = read_until_error(path)

    assert contents(found) == [["I moved to Berlin.", "Noted."]]
    assert error.line == 3


def test_what_came_before_a_bad_message_of_a_conversation_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "chat.json", [{"messages": [HELLO]}, {"messages": [REPLY, {"role": "user"}]}])

    found, error = read_until_error(path)

    assert contents(found) == [["I moved to Berlin."], ["Noted."]]
    assert error.reason == "conversation 2, message 2 has no content."


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memori.transcripts.MAX_LINE", 100)
    path = write(tmp_path / "chat.jsonl", HELLO, {"role": "user", "content": "x" * 200})

    found, error = read_until_error(path)

    assert contents(found) == [["I moved to Berlin."]]
    assert (error.line, "longer than 100 bytes" in error.reason) == (2, True)


ids = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and "\x00" not in text)
texts = st.text(st.characters(codec="utf-8"))
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    name=st.none() | texts.filter(bool),
    created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    id=ids,
    tool_calls=st.lists(st.builds(ToolCall, id=ids, name=texts, arguments=texts), max_size=2).map(tuple),
    tool_call_id=st.none() | ids,
)


def as_openai(message: Message) -> dict[str, Any]:
    raw: dict[str, Any] = {"role": message.role, "content": message.content, "id": message.id}
    if message.name:
        raw["name"] = message.name
    if message.created_at:
        raw["created_at"] = message.created_at.isoformat()
    if message.tool_call_id:
        raw["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        raw["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return raw


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@given(written=st.lists(messages, min_size=1, max_size=5))
def test_every_message_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, written: list[Message]
) -> None:
    raw = [as_openai(message) for message in written]
    path = tmp_path_factory.mktemp("round-trip") / f"chat{suffix}"
    write(path, *(raw if suffix == ".jsonl" else [raw]))

    assert [message for part in read(path) for message in part.messages] == written
