"""What is said in Pydantic AI's messages arrives in Memori's, once, with the native message beside it."""

from dataclasses import replace
from datetime import UTC, datetime

from memori import Message
from memori_pydantic_ai.blocks import is_block, with_block, without_blocks
from memori_pydantic_ai.turns import to_messages
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
BLOCK = "<memori_context>\n- Ada drinks tea.\n</memori_context>"


def request(*parts: object) -> ModelRequest:
    return ModelRequest(parts=list(parts), run_id="run-1", instructions="Be kind.")  # type: ignore[arg-type]


def core(message: Message) -> Message:
    return replace(message, id=None, payload=None)


CONVERSATION: list[ModelMessage] = [
    request(SystemPromptPart("You brew."), UserPromptPart("Tea, please.", timestamp=AT)),
    ModelResponse(
        parts=[ThinkingPart("Which tea?"), TextPart("Let me see."), ToolCallPart("brew", {"tea": "grün"}, "c1")],
        timestamp=AT,
    ),
    request(
        ToolReturnPart("brew", {"minutes": 3}, "c1", timestamp=AT),
        RetryFeedbackPart("Say more.", retry=RetryInfo("no_output")),
    ),
    ModelResponse(parts=[TextPart("Three minutes.")], timestamp=AT, state="interrupted"),
]


def test_people_the_model_and_tools_are_heard_and_nobody_else() -> None:
    user, call, result, answer = map(core, to_messages(CONVERSATION))

    assert user == Message("user", "Tea, please.", created_at=AT)
    assert (call.role, call.content) == ("assistant", "Let me see.")
    assert [(one.id, one.name, one.arguments) for one in call.tool_calls] == [("c1", "brew", '{"tea": "grün"}')]
    assert result == Message("tool", '{"minutes":3}', name="brew", created_at=AT, tool_call_id="c1")
    assert answer == Message("assistant", "Three minutes.", created_at=AT, partial=True)


def test_a_payload_is_a_native_message_again() -> None:
    for message in to_messages(CONVERSATION):
        (native,) = ModelMessagesTypeAdapter.validate_python([message.payload])

        assert list(map(core, to_messages([native]))) == [core(message)]
        assert getattr(native, "instructions", None) is None


def test_a_message_keeps_its_id_through_json_and_wherever_it_stands() -> None:
    ids = [message.id for message in to_messages(CONVERSATION)]
    reloaded = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(CONVERSATION))

    assert [message.id for message in to_messages(reloaded)] == ids
    assert [message.id for message in to_messages(reloaded[2:])] == ids[2:]
    assert len(set(ids)) == len(ids)


def test_the_same_words_said_twice_have_two_ids_in_one_run_and_across_runs_and_times() -> None:
    yes = request(UserPromptPart("Yes.", timestamp=AT))
    later = replace(yes, parts=[UserPromptPart("Yes.", timestamp=AT.replace(hour=10))], run_id=None)
    histories = [[yes, yes], [yes, replace(yes, run_id="run-2")], [replace(yes, run_id=None), later]]

    for history in histories:
        first, second = to_messages(history)
        assert first.id != second.id


def test_a_run_that_is_run_again_says_the_same_however_late_it_is() -> None:
    first = request(UserPromptPart("Yes.", timestamp=AT))
    again = request(UserPromptPart("Yes.", timestamp=AT.replace(hour=10)))

    assert [one.id for one in to_messages([first])] == [one.id for one in to_messages([again])]


def test_what_is_no_text_is_named() -> None:
    prompt = UserPromptPart(
        [
            "Look:",
            BinaryContent(b"...", media_type="image/png"),
            BinaryContent(b"...", media_type="application/pdf"),
            DocumentUrl("https://example.com/leaves.pdf"),
            CachePoint(),
        ]
    )
    (message,) = to_messages([request(prompt)])

    assert message.content == "Look:\n[image]\n[document]\n[document]"


def test_an_answer_that_says_and_calls_nothing_is_no_message() -> None:
    thinking = ModelResponse(parts=[ThinkingPart("Hm."), FilePart(BinaryContent(b".", media_type="image/png"))])

    assert to_messages([thinking, request(UserPromptPart(""))]) == []


def test_a_block_is_never_taken_for_something_said() -> None:
    bare = request(UserPromptPart(["Tea, please.", BLOCK], timestamp=AT))

    assert [message.content for message in to_messages(with_block(CONVERSATION, BLOCK, "run-1"))] == [
        message.content for message in to_messages(CONVERSATION)
    ]
    assert [message.content for message in to_messages([bare])] == ["Tea, please."]
    assert to_messages([request(UserPromptPart([TextContent(BLOCK, metadata={"origin": "memori"})]))]) == []


def test_a_block_is_told_by_its_tag_whatever_it_says() -> None:
    tagged = TextContent("Ada drinks tea.", metadata={"origin": "memori"})

    assert is_block(tagged)
    assert not is_block(replace(tagged, metadata={"origin": "the shop"}))


def test_a_person_may_write_about_the_block() -> None:
    assert not is_block("What does <memori_context> mean?")


def test_taking_a_block_out_undoes_putting_it_in() -> None:
    with_it = with_block(CONVERSATION, BLOCK, "run-1")

    assert without_blocks(with_it) == CONVERSATION
    assert with_it[1:] == CONVERSATION[1:]
    assert with_it != CONVERSATION
    assert all(kept is given for kept, given in zip(without_blocks(CONVERSATION), CONVERSATION, strict=True))


def test_the_block_comes_after_tool_results_when_nobody_asked_anything() -> None:
    result = request(ToolReturnPart("brew", "done", "c1", timestamp=AT))
    (changed,) = with_block([result], BLOCK, "run-1")

    assert [part.part_kind for part in changed.parts] == ["tool-return", "user-prompt"]
