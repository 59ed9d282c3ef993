"""However the reader of a helper or of a raw response stops, what was received is stored, once."""

import asyncio
import gc
import threading

import pytest
from anthropic import AsyncAnthropic
from memori.model import Message
from openai import AsyncOpenAI

from tests.core.llm.memories import ADA
from tests.loopback import Answer, anthropic, async_anthropic, async_openai, openai

LONG = "one two three four five"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Tell me."}]}
MESSAGES = {**CHAT, "max_tokens": 9}
INPUT = {"model": "m", "input": "Tell me."}

# Each streams through a helper, and shows the words of an event.
HELPERS = {
    "chat": (openai, lambda client: client.chat.completions.stream(**CHAT), "content.delta", "delta"),
    "responses": (openai, lambda client: client.responses.stream(**INPUT), "response.output_text.delta", "delta"),
    "messages": (anthropic, lambda client: client.messages.stream(**MESSAGES), "text", "text"),
    "beta messages": (anthropic, lambda client: client.beta.messages.stream(**MESSAGES), "text", "text"),
}
ASYNC = {openai: async_openai, anthropic: async_anthropic}
every_helper = pytest.mark.parametrize("helper", HELPERS.values(), ids=HELPERS)


def only_answer(memory) -> Message | None:
    (turn,) = memory.turns
    assert turn.texts[0] == ("user", "Tell me.")
    return turn.messages[1] if len(turn.messages) > 1 else None


def assert_partial(memory) -> None:
    answer = only_answer(memory)
    assert answer is not None
    assert answer.partial
    assert answer.content
    assert LONG.startswith(answer.content)
    assert answer.content != LONG


@every_helper
def test_leaving_the_block_early_keeps_what_was_heard(helper, memory, server):
    make, ask, kind, words = helper
    server.say(LONG)
    with make(server) as client:
        memory.registry().register(client, attribution=ADA)
        with ask(client) as stream:
            for event in stream:
                if event.type == kind and getattr(event, words):
                    break

        assert_partial(memory)


@every_helper
async def test_leaving_the_async_block_early_keeps_what_was_heard(helper, memory, server):
    make, ask, kind, words = helper
    server.say(LONG)
    async with ASYNC[make](server) as client:
        memory.registry().register(client, attribution=ADA)
        async with ask(client) as stream:
            async for event in stream:
                if event.type == kind and getattr(event, words):
                    break

        assert_partial(memory)


@every_helper
def test_an_error_in_the_block_is_the_readers_and_keeps_what_was_heard(helper, memory, server):
    make, ask, kind, words = helper
    server.say(LONG)
    with make(server) as client:
        memory.registry().register(client, attribution=ADA)

        def read():
            with ask(client) as stream:
                for event in stream:
                    if event.type == kind and getattr(event, words):
                        raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            read()

    assert_partial(memory)


@every_helper
def test_a_broken_connection_reaches_the_reader_and_keeps_what_was_heard(helper, memory, server):
    make, ask, kind, words = helper
    server.say(Answer(LONG, cut=5), Answer(LONG, cut=5))
    with make(server) as client:
        with pytest.raises(Exception) as alone, ask(client) as stream:  # noqa: PT011 - each SDK has its own
            list(stream)
        memory.registry().register(client, attribution=ADA)
        heard = []

        def read():
            with ask(client) as stream:
                heard.extend(getattr(event, words) for event in stream if event.type == kind)

        with pytest.raises(type(alone.value)) as remembered:
            read()

    assert str(remembered.value) == str(alone.value)
    answer = only_answer(memory)
    assert answer is not None
    assert (answer.content, answer.partial) == ("".join(heard), True)


@every_helper
async def test_a_cancelled_reader_is_cancelled_and_what_was_heard_is_kept(helper, memory, server):
    make, ask, kind, words = helper
    hold, heard = threading.Event(), asyncio.Event()
    server.say(Answer(LONG, hold=hold, hold_at=4))
    async with ASYNC[make](server) as client:
        memory.registry().register(client, attribution=ADA)

        async def read():
            async with ask(client) as stream:
                async for event in stream:
                    if event.type == kind and getattr(event, words):
                        heard.set()

        reader = asyncio.create_task(read())
        await heard.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        hold.set()

        assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)
    assert_partial(memory)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_a_raw_response_that_nobody_parses_stores_what_was_read(server, memory, stream, read):
    server.say(LONG)
    with openai(server) as client:
        memory.registry().register(client, attribution=ADA)
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=stream) as response:
            if read:
                response.read()

    answer = only_answer(memory)
    assert (answer and answer.content) == (LONG if read and not stream else None)


def test_a_raw_response_that_is_dropped_stores_the_question(server, memory):
    server.say(LONG)
    with anthropic(server) as client:
        memory.registry().register(client, attribution=ADA)
        response = client.messages.with_raw_response.create(**MESSAGES, stream=True)
        response.http_response.close()
        del response
        gc.collect()

        assert memory.recorded.acquire(timeout=10)
    assert only_answer(memory) is None


def test_a_stream_outlives_the_raw_response_it_came_from(server, memory):
    server.say(LONG)
    with openai(server) as client:
        memory.registry().register(client, attribution=ADA)
        stream = client.chat.completions.with_raw_response.create(**CHAT, stream=True).parse()
        gc.collect()
        list(stream)

    answer = only_answer(memory)
    assert answer is not None
    assert (answer.content, answer.partial) == (LONG, False)


async def test_the_attribution_of_a_helper_is_that_of_its_call(server, memory):
    async with async_anthropic(server) as claude, async_openai(server) as gpt:
        llm = memory.registry()
        clients: list[AsyncAnthropic | AsyncOpenAI] = [claude, gpt]
        for client in clients:
            llm.register(client)
        memory.speaker.set(ADA)
        managers = [claude.messages.stream(**MESSAGES), gpt.chat.completions.stream(**CHAT)]
        memory.speaker.set(None)

        for manager in managers:
            async with manager as stream:
                async for _ in stream:
                    pass

    assert [turn.attribution for turn in memory.turns] == [ADA, ADA]
