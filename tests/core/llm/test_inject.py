"""What memory adds to a request, and all that it leaves alone."""

import copy
import subprocess
import sys

import pytest

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What do I like?"}
TEA = block("likes tea")


@pytest.fixture(autouse=True)
def known(memory):
    memory.known["ada"] = "likes tea"


def test_the_block_goes_into_the_last_human_message(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    before = [SYSTEM, {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]

    client.chat.completions.create(model="m", messages=[*before, USER])

    assert server.last.messages == [*before, {"role": "user", "content": f"{TEA}\n\nWhat do I like?"}]


def test_a_list_of_parts_gets_one_part_more(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]

    client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])

    assert server.last.messages == [{"role": "user", "content": [*parts, {"type": "text", "text": TEA}]}]


def test_the_block_can_go_into_a_system_message(client, memory, server):
    memory.registry(inject="system").register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[SYSTEM, USER])
    client.chat.completions.create(model="m", messages=[USER])
    developer = {"role": "developer", "content": "Be kind."}
    client.chat.completions.create(model="m", messages=[developer, USER])

    assert [call.messages for call in server.calls] == [
        [SYSTEM, {"role": "system", "content": TEA}, USER],
        [{"role": "system", "content": TEA}, USER],
        [developer, {"role": "developer", "content": TEA}, USER],
    ]


def test_nothing_is_added_when_nothing_is_relevant(client, memory, server):
    memory.known.clear()
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[SYSTEM, USER])

    assert server.last.messages == [SYSTEM, USER]


def test_nothing_is_recalled_when_automatic_recall_is_off(client, memory, server):
    memory.auto_ingest = False
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[USER])

    assert server.last.messages == [USER]
    assert memory.queries == []
    assert len(memory.turns) == 1


@pytest.mark.parametrize(
    "messages",
    [
        [SYSTEM],
        [{"role": "assistant", "content": "Hello."}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}],
    ],
    ids=["system only", "assistant only", "empty", "image only"],
)
def test_nothing_is_added_when_nobody_asked_anything(client, memory, server, messages):
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=messages)

    assert server.last.messages == messages
    assert memory.queries == []


def test_nothing_the_caller_owns_changes(client, memory):
    memory.registry().register(client, attribution=ADA)
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "What do I like?"}]},
    ]
    before = copy.deepcopy(messages)

    for _ in range(4):
        client.chat.completions.create(model="m", messages=messages, extra_headers={"x": "y"})

    assert messages == before


def test_four_calls_do_not_accumulate_blocks(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    messages = []

    for number in range(4):
        messages.append({"role": "user", "content": f"question {number}"})
        answer = client.chat.completions.create(model="m", messages=messages)
        messages.append(answer.choices[0].message)

    assert str(server.last.messages).count("<memori_context>") == 1


def test_a_kept_copy_of_the_block_is_not_stored_or_asked_for(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    client.chat.completions.create(model="m", messages=[USER])
    kept = server.last.messages[0]
    server.say(Answer(f"You like tea. {TEA}"))

    client.chat.completions.create(model="m", messages=[kept])
    client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": [{"type": "text", "text": TEA}, {"type": "text", "text": "Really?"}]}],
    )

    assert [turn.texts[0] for turn in memory.turns] == [
        ("user", "What do I like?"),
        ("user", "What do I like?"),
        ("user", "Really?"),
    ]
    assert memory.turns[1].texts[1] == ("assistant", "You like tea. ")
    assert [query for query, *_ in memory.queries] == ["What do I like?", "What do I like?", "Really?"]


def test_what_the_request_says_already_is_excluded_from_recall(client, memory):
    memory.registry().register(client, attribution=ADA)
    hello = {"role": "assistant", "content": "Hello."}

    client.chat.completions.create(model="m", messages=[SYSTEM, hello, USER])

    assert memory.queries == [("What do I like?", ADA, ("Be brief.", "Hello.", "What do I like?"))]


def test_every_step_of_a_turn_sends_the_same_bytes(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    steps = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]

    client.chat.completions.create(model="m", messages=[SYSTEM, USER])
    memory.known["ada"] = "likes coffee now"
    client.chat.completions.create(model="m", messages=[SYSTEM, USER, *steps])

    first, second = (call.messages for call in server.calls)
    assert second == [*first, *steps]
    assert len(memory.queries) == 1


def test_a_turn_that_began_without_memory_stays_without(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    memory.known.clear()
    client.chat.completions.create(model="m", messages=[USER])
    memory.known["ada"] = "likes tea"

    client.chat.completions.create(model="m", messages=[USER, {"role": "assistant", "content": "Let me see."}])

    assert server.last.messages[0] == USER


def test_a_question_asked_again_is_answered_with_what_is_known_by_then(client, memory, server):
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[USER])
    memory.known["ada"] = "likes coffee"
    client.chat.completions.create(model="m", messages=[USER])

    assert block("likes coffee") in server.last.messages[0]["content"]


def test_another_user_with_the_same_words_never_gets_the_same_block(client, memory, server):
    memory.registry().register(client)
    step = {"role": "assistant", "content": "Let me see."}
    for name in ("ada", "bob"):
        memory.speaker.set(ADA if name == "ada" else type(ADA)("bob"))
        client.chat.completions.create(model="m", messages=[USER])
        client.chat.completions.create(model="m", messages=[USER, step])

    assert ["likes tea" in str(call.messages) for call in server.calls] == [True, True, False, False]


@pytest.mark.parametrize("opening", ["<memori_context>", "<memori_context "])
def test_a_message_of_openings_alone_is_read_in_no_time(opening):
    # A search that began anew at each of them held the event loop for hours.
    code = f"from memori.llm.base import spoken; assert spoken([{opening!r} * 200_000]) == {opening!r} * 200_000"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
