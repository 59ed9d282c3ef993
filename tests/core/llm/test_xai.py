"""xAI's chats: requests are protocol buffers, and the chat that the application holds stays its own."""

import asyncio
import gc
import threading

import pytest
from memori import Memori
from memori.model import ToolCall
from xai_sdk.chat import assistant, image, system, tool_result, user

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer, async_xai, xai

TEA = block("likes tea")
LONG = "one two three four five"
LOOK = ToolCall("t1", "look", '{"at": "sky"}')


@pytest.fixture
def client(server):
    with xai(server) as client:
        yield client


@pytest.fixture(autouse=True)
def known(memory):
    memory.known["ada"] = "likes tea"


def chat(client, *messages, **more):
    return client.chat.create(model="m", messages=list(messages), **more)


def sent(server):
    return [
        (message["role"].removeprefix("ROLE_").lower(), [part["text"] for part in message["content"]])
        for message in server.last.body["messages"]
    ]


def test_nothing_is_put_between_a_call_and_its_result(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(tool_calls=(LOOK,)), "It is blue.")
    talk = chat(client, user("Why is it blue?"))

    talk.append(talk.sample())
    memory.known["ada"] = "likes coffee now"
    talk.append(tool_result("blue", tool_call_id="t1"))
    talk.append(talk.sample())

    assert sent(server) == [("user", ["Why is it blue?", TEA]), ("assistant", [""]), ("tool", ["blue"])]
    assert "memori_context" not in str(talk.messages)
    assert memory.turns[1].texts == [
        ("user", "Why is it blue?"),
        ("assistant", ""),
        ("tool", "blue"),
        ("assistant", "It is blue."),
    ]
    assert memory.turns[0].messages[1].tool_calls == memory.turns[1].messages[1].tool_calls == (LOOK,)
    assert memory.turns[1].messages[2].tool_call_id == "t1"


def test_the_block_can_be_a_message_of_the_system(client, memory, server):
    memory.registry(inject="system").register(client, attribution=ADA)

    chat(client, system("Be brief."), user("Hi."), assistant("Hi."), user("Well?")).sample()

    assert sent(server)[:3] == [("system", ["Be brief."]), ("system", [TEA]), ("user", ["Hi."])]
    assert memory.turns[0].texts[0] == ("user", "Hi.")


def test_pictures_leave_a_mark(client, memory):
    memory.registry().register(client, attribution=ADA)

    chat(client, user("What is this?", image("https://example.com/x.png"))).sample()

    assert memory.turns[0].texts[0] == ("user", "What is this?\n[image]")
    assert memory.queries[0][0] == "What is this?"


@pytest.mark.parametrize("end", ["abandon", "break"])
def test_a_stream_that_is_not_read_to_its_end_is_stored_as_far_as_it_was(client, memory, server, end):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(LONG, cut=2 if end == "break" else None))
    stream = chat(client, user("Tell me.")).stream()

    heard = [next(stream)[1].content, next(stream)[1].content]
    if end == "break":
        with pytest.raises(Exception, match="cut"):
            next(stream)
    del stream
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    (turn,) = memory.turns
    assert (turn.messages[1].content, turn.messages[1].partial) == ("".join(heard), True)


@pytest.mark.parametrize("end", ["close", "cancel"])
async def test_an_async_stream_that_is_not_read_to_its_end_is_stored_as_far_as_it_was(memory, server, end):
    hold, heard = threading.Event(), asyncio.Event()
    server.say(Answer(LONG, hold=hold, hold_at=1))
    async with async_xai(server) as client:
        memory.registry().register(client, attribution=ADA)

        async def read():
            stream = chat(client, user("Tell me.")).stream()
            await anext(stream)
            heard.set()
            await (stream.aclose() if end == "close" else anext(stream))

        reading = asyncio.create_task(read())
        await heard.wait()
        if end == "cancel":
            reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        hold.set()

        assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)
    (turn,) = memory.turns
    assert (turn.messages[1].content, turn.messages[1].partial) == ("one", True)


def test_a_chat_from_before_is_heard_and_a_kept_conversation_is_one_session(tmp_path, client, server):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        earlier = chat(client, user("My name is Ada."), store_messages=True)
        memori.llm.register(client).attribution("ada")
        first = earlier.sample()
        chat(client, user("And now?"), store_messages=True, previous_response_id=first.id).sample()

        assert [one.message.content for one in memori.messages()] == [
            "My name is Ada.",
            "Understood.",
            "And now?",
            "Understood.",
        ]
        assert len({one.session_id for one in memori.messages()}) == 1


def test_usage_and_model_are_kept_with_the_answer(client, memory):
    memory.registry().register(client, attribution=ADA)

    chat(client, user("Hi.")).sample()
    list(chat(client, user("Hi.")).stream())

    for turn in memory.turns:
        payload = turn.messages[1].payload
        assert payload["model"] == "m"
        assert payload["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def test_a_chat_without_messages_is_refused_in_the_sdks_words(client, memory):
    memory.registry().register(client, attribution=ADA)

    with pytest.raises(ValueError, match="No messages provided"):
        client.chat.create(model="m").sample()
