"""A history comes back as it was, is stored once however often it is given, and belongs to one user."""

import asyncio
import json
import typing
from pathlib import Path

import pytest
from memori import Attribution, ItemWrite, Memori
from memori_pydantic_ai import (
    MemoriMemory,
    aappend_messages,
    aload_messages,
    append_messages,
    load_messages,
    memori_history_processor,
)
from memori_pydantic_ai.native_messages import dumped, loaded
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, messages
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from tests.pydantic_ai.agents import Script, Visitor, as_json, blocks, said, visitor, with_tool
from tests.pydantic_ai.native import REQUEST_PARTS, RESPONSE_PARTS, known, message

ADA, BOB = Attribution("ada"), Attribution("bob")
EVERY_PART = [("request", part) for part in REQUEST_PARTS] + [("response", part) for part in RESPONSE_PARTS]


def turn(number: int) -> list[ModelMessage]:
    return [
        ModelRequest(parts=[UserPromptPart(f"Question {number}.")], run_id=f"run-{number}"),
        ModelResponse(parts=[TextPart(f"Answer {number}.")], run_id=f"run-{number}"),
    ]


def words(history: list[ModelMessage]) -> list[str]:
    return [str(getattr(part, "content", "")) for one in history for part in one.parts]


def every_part() -> list[ModelMessage]:
    """A history of messages with one part each, and the calls before it whose results are in it."""
    natives = [message(kind, part) for kind, part in EVERY_PART if known(kind, part)]
    answered = [part.tool_call_id for one in natives for part in one.parts if isinstance(part, ToolReturnPart)]
    return [ModelResponse(parts=[ToolCallPart("any", {}, call) for call in answered]), *natives]


def test_every_part_that_a_message_can_have_comes_back_as_it_was(memori: Memori) -> None:
    history = every_part()

    append_messages(memori, ADA, "c", history)

    back = load_messages(memori, ADA, "c")
    assert [as_json([one]) for one in back] == [as_json([one]) for one in history]
    assert back == history


def test_there_is_a_sample_of_every_part_of_this_version() -> None:
    unions = (messages.ModelRequestPart, messages.ModelResponsePart)
    kinds = {typing.get_args(one)[0] for union in unions for one in typing.get_args(typing.get_args(union)[0])}
    samples = {type(message(kind, part).parts[0]) for kind, part in EVERY_PART if known(kind, part)}

    assert {one.__name__ for one in kinds - samples} <= {"RetryPromptPart"}  # read as one of the newer two


def holds(new: object, old: object) -> bool:
    """Whether all that is in the old is in the new; a newer version may add fields."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(holds(new.get(key), value) for key, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(new) == len(old) and all(map(holds, new, old))
    return new == old


def test_what_the_oldest_version_stored_is_read_as_it_was(memori: Memori) -> None:
    kept = json.loads((Path(__file__).parent / "stored_by_the_oldest_version.json").read_text("utf-8"))
    writes = [ItemWrite(tuple(one["namespace"]), one["key"], one["value"]) for one in kept["items"]]
    memori.items.write(writes, attribution=ADA)

    history = load_messages(memori, ADA, "c")

    assert kept["written_by"] == "2.62.0"
    by_id = {one["key"]: one["value"] for one in kept["items"]}
    (record,) = [one["value"] for one in kept["items"] if "head_id" in one["value"]]
    for entry_id, native in zip(record["line"], history, strict=True):
        assert holds(dumped(native), by_id[entry_id]["message"])
    assert len(history) > 25
    assert words(history[-2:]) == ["Question 1.", "Answer 1."]
    assert append_messages(memori, ADA, "c", history) == 0


def test_what_was_added_and_the_whole_history_are_both_stored_once(memori: Memori) -> None:
    one, two, three = turn(1), turn(2), turn(3)

    added = [append_messages(memori, ADA, "c", given) for given in (one, two, [*one, *two, *three], [*two, *three])]

    assert added == [2, 2, 2, 0]
    assert load_messages(memori, ADA, "c") == [*one, *two, *three]
    assert load_messages(memori, ADA, "c", limit=3) == [two[1], *three]


def test_a_conversation_is_found_for_its_user_alone(memori: Memori) -> None:
    append_messages(memori, ADA, "c", turn(1))

    assert load_messages(memori, BOB, "c") == []
    append_messages(memori, BOB, "c", turn(2))
    assert words(load_messages(memori, ADA, "c")) == ["Question 1.", "Answer 1."]
    memori.erase("ada")
    assert load_messages(memori, ADA, "c") == []
    assert words(load_messages(memori, BOB, "c")) == ["Question 2.", "Answer 2."]


def test_nothing_is_learnt_from_a_kept_conversation(memori: Memori) -> None:
    append_messages(memori, ADA, "c", turn(1))

    assert said(memori, "ada") == []
    assert memori.augmentation.status().pending == 0


async def test_those_who_append_at_once_lose_nothing(memori: Memori) -> None:
    await asyncio.gather(*(aappend_messages(memori, ADA, "c", turn(number)) for number in range(8)))

    history = await aload_messages(memori, ADA, "c")
    assert sorted(words(history)) == sorted(text for number in range(8) for text in words(turn(number)))
    asked = [one.run_id for one in history]
    assert asked[::2] == asked[1::2]


def test_a_call_that_nobody_answered_waits_for_its_result(memori: Memori) -> None:
    question, _ = turn(1)
    call = ModelResponse(parts=[ToolCallPart("brew", {}, "call-1")])
    result = ModelRequest(parts=[ToolReturnPart("brew", "done", "call-1")])

    assert append_messages(memori, ADA, "c", [question, call]) == 1
    assert load_messages(memori, ADA, "c") == [question]
    with pytest.raises(ValueError, match=r"result\.all_messages\(\)"):
        append_messages(memori, ADA, "c", [result])
    assert append_messages(memori, ADA, "c", [question, call, result]) == 2
    assert load_messages(memori, ADA, "c") == [question, call, result]


async def test_a_paused_run_is_kept_whole_once_it_goes_on(memori: Memori, script: Script) -> None:
    chat = Agent(script.model, output_type=[str, DeferredToolRequests])
    chat.tool_plain(requires_approval=True)(lambda: "brewing")
    paused = await chat.run("Please make tea.")
    assert isinstance(paused.output, DeferredToolRequests)
    await aappend_messages(memori, ADA, "c", paused.all_messages())
    approved = DeferredToolResults(approvals={call.tool_call_id: True for call in paused.output.approvals})

    done = await chat.run(message_history=paused.all_messages(), deferred_tool_results=approved)
    await aappend_messages(memori, ADA, "c", done.all_messages())

    assert as_json(await aload_messages(memori, ADA, "c")) == as_json(done.all_messages())


async def test_a_history_that_ends_in_an_unanswered_call_is_the_frameworks_to_judge(
    memori: Memori, script: Script
) -> None:
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("Tea?")]),
        ModelResponse(parts=[ToolCallPart("brew", {}, "call-1")]),
    ]

    async def outcome(agent: Agent[Visitor, str]) -> tuple[type[BaseException] | None, int]:
        script.sent.clear()
        try:
            await agent.run("Hello?", deps=Visitor("ada"), message_history=history)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same with memory
            return type(error), len(script.sent)
        return None, len(script.sent)

    bare = with_tool(Agent(script.model, deps_type=Visitor))
    remembering = with_tool(Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor)]))
    processing = with_tool(
        Agent(
            script.model,
            deps_type=Visitor,
            capabilities=[ProcessHistory(memori_history_processor(memori, visitor))],
        )
    )

    assert await outcome(bare) == await outcome(remembering) == await outcome(processing)


async def test_no_context_block_is_kept(memori: Memori, script: Script) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)
    memory = MemoriMemory(memori, visitor, inject="history")
    result = await Agent(script.model, deps_type=Visitor, capabilities=[memory]).run("Tea?", deps=Visitor("ada"))

    added = await aappend_messages(memori, ADA, "c", result.all_messages())

    assert added == 2
    assert len(blocks(result.all_messages())) == 1
    assert blocks(await aload_messages(memori, ADA, "c")) == []


def test_a_redactor_sees_the_texts_and_leaves_ids_files_and_signatures(tmp_path: Path) -> None:
    plain = ModelRequest(parts=[UserPromptPart(["My pin is 4711.", messages.BinaryContent(b"4711", media_type="a/b")])])
    call = ModelResponse(
        parts=[
            messages.ThinkingPart("4711?", signature="sig-4711"),
            ToolCallPart("brew", {"kind": "tea", "pin": "4711"}, "call-4711"),
        ]
    )
    result = ModelRequest(parts=[ToolReturnPart("brew", {"kind": "tea", "data": "4711"}, "call-4711")])
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=lambda text: text.replace("4711", "#")) as it:
        append_messages(it, ADA, "c", [plain, call, result])
        append_messages(it, ADA, "c", [plain, call, result])
        kept = load_messages(it, ADA, "c")

        assert [as_json([one]) for one in kept] == [
            as_json([one])
            for one in (
                ModelRequest(
                    parts=[
                        UserPromptPart(
                            ["My pin is #.", messages.BinaryContent(b"4711", media_type="a/b")],
                            timestamp=plain.parts[0].timestamp,  # type: ignore[union-attr]
                        )
                    ]
                ),
                ModelResponse(
                    parts=[
                        messages.ThinkingPart("#?", signature="sig-4711"),
                        ToolCallPart("brew", {"kind": "tea", "pin": "#"}, "call-4711"),
                    ],
                    timestamp=call.timestamp,
                ),
                ModelRequest(
                    parts=[
                        ToolReturnPart(
                            "brew",
                            {"kind": "tea", "data": "#"},
                            "call-4711",
                            timestamp=result.parts[0].timestamp,  # type: ignore[union-attr]
                        )
                    ]
                ),
            )
        ]


def test_a_part_of_a_newer_version_is_kept_as_text(memori: Memori) -> None:
    newer = dumped(message("response", {"part_kind": "text", "content": "Here:"}))
    newer["parts"].append({"part_kind": "hologram", "content": "a dancing cup"})
    newer["mood"] = "bright"
    asked = dumped(message("request", {"part_kind": "user-prompt", "content": "Show me."}))
    asked["parts"].append({"part_kind": "gesture", "content": {"wave": 2}})

    answer, question = loaded(newer), loaded(asked)

    assert words([answer]) == ["Here:", "a dancing cup"]
    assert words([question]) == ["Show me.", '{"wave": 2}']
    assert answer.run_id == question.run_id == "run-1"
