"""What a registered client's calls store, and for whom."""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from memori.model import Attribution, ToolCall
from memori.suppression import suppress, suppressed
from openai.types.chat import ChatCompletionMessage, ChatCompletionUserMessageParam

from tests.core.llm.memories import ADA, BOB
from tests.loopback import Answer

USER = {"role": "user", "content": "I live in Paris."}
WEATHER = ToolCall("call_1", "weather", '{"city": "Paris"}')


def test_a_call_stores_the_question_and_the_answer(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say("Noted.")

    answer = client.chat.completions.create(model="m", messages=[USER])

    assert answer.choices[0].message.content == "Noted."
    (turn,) = memory.turns
    assert turn.attribution == ADA
    assert turn.texts == [("user", "I live in Paris."), ("assistant", "Noted.")]
    assert turn.resent == 1


async def test_an_awaited_call_stores_the_question_and_the_answer(async_client, memory):
    memory.registry().register(async_client, attribution=ADA)

    answer = await async_client.chat.completions.create(model="m", messages=[USER])

    assert answer.choices[0].message.content == "Understood."
    assert [turn.texts for turn in memory.turns] == [[("user", "I live in Paris."), ("assistant", "Understood.")]]


def test_instructions_are_not_stored(client, memory):
    memory.registry().register(client, attribution=ADA)
    instructions = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}]

    client.chat.completions.create(model="m", messages=[*instructions, USER])

    (turn,) = memory.turns
    assert [role for role, _ in turn.texts] == ["user", "assistant"]
    assert turn.resent == 1


def test_tool_calls_and_their_results_keep_their_ids(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(tool_calls=(WEATHER,)), "Sunny.")
    messages = [{"role": "user", "content": "How is the weather?"}]

    asked = client.chat.completions.create(model="m", messages=messages).choices[0].message
    messages += [asked, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    client.chat.completions.create(model="m", messages=messages)

    first, second = memory.turns
    assert first.messages[-1].tool_calls == (WEATHER,)
    assert second.resent == 3
    assert second.messages[1].identity == first.messages[1].identity
    assert second.messages[2].tool_call_id == "call_1"
    assert second.texts[2:] == [("tool", "sunny"), ("assistant", "Sunny.")]


def test_custom_tools_and_old_functions_are_read(client, memory):
    memory.registry().register(client, attribution=ADA)
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [custom]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "noon"},
    ]

    client.chat.completions.create(model="m", messages=messages)

    (turn,) = memory.turns
    assert turn.messages[1].tool_calls == (ToolCall("c1", "sql", "select 1"),)
    assert turn.messages[3].tool_calls == (ToolCall("now", "now", "{}"),)
    assert turn.messages[4].tool_call_id == "now"


def test_a_refusal_is_what_the_assistant_said(client, memory):
    memory.registry().register(client, attribution=ADA)
    refused = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}

    client.chat.completions.create(model="m", messages=[USER, refused, USER])

    assert memory.turns[0].texts[1] == ("assistant", "I cannot help with that.")


def test_parts_that_are_not_text_leave_a_mark_but_are_not_asked_for(client, memory):
    memory.registry().register(client, attribution=ADA)
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]

    client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])

    assert memory.turns[0].texts[0] == ("user", "What is this?\n[image]\n[audio]")
    assert [query for query, *_ in memory.queries] == ["What is this?"]


def test_the_speaker_of_a_message_keeps_their_name(client, memory):
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[{**USER, "name": "grace"}])

    assert memory.turns[0].messages[0].name == "grace"


@pytest.mark.parametrize(
    "message",
    [
        USER,
        ChatCompletionUserMessageParam(role="user", content="I live in Paris."),
        ChatCompletionMessage.model_construct(role="user", content="I live in Paris."),
    ],
    ids=["dict", "typed dict", "model"],
)
def test_messages_of_every_type_the_sdk_takes_are_read(client, memory, server, message):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[message])

    assert memory.turns[0].texts[0] == ("user", "I live in Paris.")
    assert server.last.messages[0]["content"].endswith("\n\nI live in Paris.")


def test_messages_that_can_be_read_only_once_reach_provider_and_memory(client, memory, server):
    memory.registry().register(client, attribution=ADA)

    def parts():
        yield {"type": "text", "text": "I live in Paris."}

    client.chat.completions.create(model="m", messages=({"role": "user", "content": parts()} for _ in range(1)))

    assert server.last.messages == [{"role": "user", "content": [{"type": "text", "text": "I live in Paris."}]}]
    assert memory.turns[0].texts[0] == ("user", "I live in Paris.")


def test_a_generator_still_reaches_the_provider_when_nobody_is_named(client, memory, server):
    memory.registry().register(client)

    client.chat.completions.create(model="m", messages=(message for message in [USER]))

    assert server.last.messages == [USER]


def test_an_answer_without_words_stores_the_question(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(""))

    client.chat.completions.create(model="m", messages=[USER])

    assert memory.turns[0].texts == [("user", "I live in Paris.")]


def test_without_an_attribution_a_call_goes_through_untouched_with_one_warning(client, memory, server, caplog):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client)

    with caplog.at_level(logging.WARNING, logger="memori"):
        client.chat.completions.create(model="m", messages=[USER])
        client.with_options(timeout=5).chat.completions.create(model="m", messages=[USER])

    assert [call.messages for call in server.calls] == [[USER], [USER]]
    assert memory.turns == []
    assert memory.queries == []
    assert [record.name for record in caplog.records] == ["memori"]
    assert "register(client, attribution=...)" in caplog.text


def test_the_current_attribution_is_read_at_every_call(client, memory, server):
    memory.registry().register(client)

    for who in (ADA, BOB, ADA):
        memory.speaker.set(who)
        client.chat.completions.create(model="m", messages=[USER])

    assert [turn.attribution for turn in memory.turns] == [ADA, BOB, ADA]


def test_a_callable_is_asked_in_the_callers_context(client, memory):
    request = threading.local()
    request.user = "ada"
    memory.registry().register(client, attribution=lambda: Attribution(request.user))

    client.chat.completions.create(model="m", messages=[USER])

    assert memory.turns[0].attribution == ADA


@pytest.mark.parametrize("speaker", [lambda: None, lambda: "ada", lambda: 1 / 0], ids=["none", "string", "raises"])
def test_a_callable_that_names_nobody_closes_memory_even_if_the_context_names_someone(client, memory, server, speaker):
    memory.speaker.set(BOB)
    memory.registry().register(client, attribution=speaker)

    client.chat.completions.create(model="m", messages=[USER])

    assert server.last.messages == [USER]
    assert memory.turns == []


def test_a_reused_thread_carries_no_identity_over(client, memory, server):
    request = threading.local()
    memory.registry().register(client, attribution=lambda: getattr(request, "who", None))

    def handle(who):
        request.who = who
        try:
            client.chat.completions.create(model="m", messages=[USER])
        finally:
            del request.who

    def stray():
        client.chat.completions.create(model="m", messages=[USER])

    with ThreadPoolExecutor(1) as pool:
        for job in (lambda: handle(ADA), stray, lambda: handle(BOB), stray):
            pool.submit(job).result()

    assert [turn.attribution for turn in memory.turns] == [ADA, BOB]
    assert len(server.calls) == 4


def test_eight_threads_each_keep_their_user(client, memory):
    memory.registry().register(client)
    barrier = threading.Barrier(8)
    failures = []

    def talk(number):
        try:
            memory.speaker.set(Attribution(f"user-{number}"))
            barrier.wait()
            for turn in range(5):
                text = f"{number}/{turn}"
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(memory.turns) == 40
    for turn in memory.turns:
        assert turn.messages[0].content.startswith(turn.attribution.entity_id.removeprefix("user-") + "/")


async def test_gathered_calls_each_keep_their_user(async_client, memory):
    memory.registry().register(async_client)
    calls = []
    for number in range(10):
        memory.speaker.set(Attribution(f"user-{number}"))
        message = {"role": "user", "content": str(number)}
        calls.append(async_client.chat.completions.create(model="m", messages=[message]))
    memory.speaker.set(None)

    await asyncio.gather(*calls)

    spoken = {turn.attribution.entity_id: turn.messages[0].content for turn in memory.turns}
    assert spoken == {f"user-{number}": str(number) for number in range(10)}


def test_suppressed_calls_are_neither_captured_nor_answered(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)

    with suppress():
        client.chat.completions.create(model="m", messages=[USER])

    assert server.last.messages == [USER]
    assert memory.turns == []


def test_memory_that_asks_the_registered_client_itself_is_not_captured(client, memory, server):
    silent = []

    def think():
        silent.append(suppressed())
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "plan the query"}])

    memory.on_context = memory.on_record = think
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[USER])

    assert silent == [True, True]
    assert len(server.calls) == 3
    assert len(memory.turns) == 1


def test_the_sdks_other_ways_to_call_keep_working(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say('{"a": 1}', "raw", "open", "in pieces")

    parsed = client.chat.completions.parse(model="m", messages=[USER], response_format={"type": "json_object"})
    raw = client.chat.completions.with_raw_response.create(model="m", messages=[USER])
    with client.chat.completions.with_streaming_response.create(model="m", messages=[USER]) as response:
        opened = response.parse()
    with client.chat.completions.stream(model="m", messages=[USER]) as stream:
        final = stream.get_final_completion()

    assert parsed.choices[0].message.content == '{"a": 1}'
    assert raw.http_response.status_code == 200
    assert raw.parse().choices[0].message.content == "raw"
    assert opened.choices[0].message.content == "open"
    assert final.choices[0].message.content == "in pieces"
    assert memory.turns[-1].texts[-1] == ("assistant", "in pieces")


async def test_the_sdks_other_ways_to_await_keep_working(async_client, memory, server):
    memory.registry().register(async_client, attribution=ADA)
    server.say("{}", "raw", "in pieces")

    parsed = await async_client.chat.completions.parse(model="m", messages=[USER])
    raw = await async_client.chat.completions.with_raw_response.create(model="m", messages=[USER])
    async with async_client.chat.completions.stream(model="m", messages=[USER]) as stream:
        final = await stream.get_final_completion()

    assert parsed.choices[0].message.content == "{}"
    assert raw.parse().choices[0].message.content == "raw"
    assert final.choices[0].message.content == "in pieces"
    assert memory.turns[-1].texts[-1] == ("assistant", "in pieces")


def test_a_wrong_call_fails_as_it_does_without_us(client, memory):
    memory.registry().register(client, attribution=ADA)

    with pytest.raises(TypeError, match="Missing required arguments"):
        client.chat.completions.create(model="m")
    assert memory.turns == []
