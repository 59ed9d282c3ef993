"""A streamed answer is heard in full or in part, once, however its reader behaves."""

import asyncio
import gc
import threading

import openai
import pytest
from memori.model import ToolCall
from openai import AsyncStream, Stream

from tests.core.llm.memories import ADA, BOB, block
from tests.loopback import Answer

USER = {"role": "user", "content": "Tell me."}
LONG = "one two three four five"


def text(chunk):
    return chunk.choices[0].delta.content or ""


def only_answer(memory):
    (turn,) = memory.turns
    assert turn.texts[0] == ("user", "Tell me.")
    assert turn.resent == 1
    answer = turn.messages[1]
    return answer.content, answer.partial


@pytest.fixture
def stream(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(LONG)
    return lambda **more: client.chat.completions.create(model="m", messages=[USER], stream=True, **more)


@pytest.fixture
def astream(async_client, memory, server):
    memory.registry().register(async_client, attribution=ADA)
    server.say(LONG)
    return lambda **more: async_client.chat.completions.create(model="m", messages=[USER], stream=True, **more)


def test_a_stream_read_to_its_end_is_stored_whole(stream, memory):
    assert "".join(text(chunk) for chunk in stream()) == LONG

    assert only_answer(memory) == (LONG, False)


async def test_an_async_stream_read_to_its_end_is_stored_whole(astream, memory):
    assert "".join([text(chunk) async for chunk in await astream()]) == LONG

    assert only_answer(memory) == (LONG, False)


def test_a_stream_is_answered_with_what_is_known(stream, memory, server):
    memory.known["ada"] = "likes tea"

    list(stream())

    assert server.last.messages[0]["content"] == f"{block('likes tea')}\n\nTell me."


def test_tool_calls_are_gathered_from_their_pieces(client, memory, server):
    calls = (ToolCall("a", "weather", '{"city": "New York"}'), ToolCall("b", "time", "{}"))
    memory.registry().register(client, attribution=ADA)
    server.say(Answer("Let me see.", tool_calls=calls))

    list(client.chat.completions.create(model="m", messages=[USER], stream=True))

    answer = memory.turns[0].messages[1]
    assert (answer.content, answer.tool_calls) == ("Let me see.", calls)


def test_a_closed_stream_is_stored_as_far_as_it_was_read(stream, memory):
    chunks = stream()
    for _ in range(3):
        next(chunks)
    chunks.close()
    chunks.close()

    assert only_answer(memory) == ("one two", True)


async def test_a_closed_async_stream_is_stored_as_far_as_it_was_read(astream, memory):
    chunks = await astream()
    for _ in range(3):
        await anext(chunks)
    await chunks.close()
    await chunks.aclose()

    assert only_answer(memory) == ("one two", True)


def test_leaving_a_with_block_closes_the_stream(stream, memory):
    with stream() as chunks:
        next(chunks)
        next(chunks)

    assert chunks.response.is_closed
    assert only_answer(memory) == ("one", True)


async def test_leaving_an_async_with_block_closes_the_stream(astream, memory):
    async with await astream() as chunks:
        await anext(chunks)
        await anext(chunks)

    assert chunks.response.is_closed
    assert only_answer(memory) == ("one", True)


def test_an_abandoned_stream_is_stored_as_far_as_it_was_read(stream, memory):
    chunks = stream()
    for chunk in chunks:
        if text(chunk):
            break
    chunks.response.close()
    del chunks, chunk
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    assert only_answer(memory) == ("one", True)


async def test_an_abandoned_async_stream_is_stored_as_far_as_it_was_read(astream, memory):
    chunks = await astream()
    async for chunk in chunks:
        if text(chunk):
            break
    await chunks.response.aclose()
    del chunks, chunk
    gc.collect()

    assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)
    assert only_answer(memory) == ("one", True)


def test_a_stream_abandoned_before_its_first_word_stores_the_question(stream, memory):
    chunks = stream()
    chunks.close()

    assert memory.turns[0].texts == [("user", "Tell me.")]


def test_a_reader_that_stops_after_the_last_word_has_read_it_all(stream, memory):
    chunks = stream()
    for chunk in chunks:
        if chunk.choices[0].finish_reason:
            break
    chunks.close()

    assert only_answer(memory) == (LONG, False)


def test_a_broken_connection_reaches_the_reader_and_keeps_what_was_heard(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(LONG, cut=3))

    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(model="m", messages=[USER], stream=True))

    assert only_answer(memory) == ("one two", True)


async def test_a_broken_async_connection_reaches_the_reader_and_keeps_what_was_heard(async_client, memory, server):
    memory.registry().register(async_client, attribution=ADA)
    server.say(Answer(LONG, cut=3))

    chunks = await async_client.chat.completions.create(model="m", messages=[USER], stream=True)
    with pytest.raises(openai.APIConnectionError):
        async for _ in chunks:
            pass

    assert only_answer(memory) == ("one two", True)


async def test_a_cancelled_reader_is_cancelled_and_what_was_heard_is_kept(async_client, memory, server):
    memory.registry().register(async_client, attribution=ADA)
    hold, heard = threading.Event(), asyncio.Event()
    server.say(Answer(LONG, hold=hold, hold_at=3))

    async def read():
        async with await async_client.chat.completions.create(model="m", messages=[USER], stream=True) as chunks:
            async for chunk in chunks:
                if text(chunk) == " two":
                    heard.set()

    reader = asyncio.create_task(read())
    await heard.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    hold.set()

    assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)
    assert only_answer(memory) == ("one two", True)


def test_an_interrupt_while_reading_is_not_swallowed(stream, memory, monkeypatch):
    chunks = stream()
    next(chunks)
    next(chunks)

    def interrupted():
        raise KeyboardInterrupt
        yield

    chunks._iterator = interrupted()
    with pytest.raises(KeyboardInterrupt):
        next(chunks)
    chunks.close()

    assert memory.recorded.acquire(timeout=10)
    assert only_answer(memory) == ("one", True)


def test_a_stream_keeps_its_whole_interface(stream):
    chunks = stream()

    assert isinstance(chunks, Stream)
    assert chunks.response.status_code == 200
    assert chunks.response.headers["content-type"] == "text/event-stream"
    with chunks as same:
        assert same is chunks
        assert iter(chunks) is chunks
        assert len(list(chunks)) == 7


async def test_an_async_stream_keeps_its_whole_interface(astream):
    chunks = await astream()

    assert isinstance(chunks, AsyncStream)
    assert chunks.response.status_code == 200
    async with chunks as same:
        assert same is chunks
        assert len([chunk async for chunk in chunks]) == 7


def test_a_stream_read_in_another_thread_keeps_the_identity_of_its_call(client, memory):
    memory.registry().register(client)
    memory.speaker.set(ADA)
    chunks = client.chat.completions.create(model="m", messages=[USER], stream=True)
    memory.speaker.set(BOB)

    thread = threading.Thread(target=lambda: list(chunks))
    thread.start()
    thread.join()

    assert [turn.attribution for turn in memory.turns] == [ADA]


async def test_an_async_stream_read_in_another_task_keeps_the_identity_of_its_call(async_client, memory):
    memory.registry().register(async_client)
    memory.speaker.set(ADA)
    chunks = await async_client.chat.completions.create(model="m", messages=[USER], stream=True)
    memory.speaker.set(BOB)

    async def read():
        return [chunk async for chunk in chunks]

    await asyncio.create_task(read())

    assert [turn.attribution for turn in memory.turns] == [ADA]


def test_streams_still_open_are_stored_when_the_memory_closes(client, memory, server):
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    server.say(LONG)
    chunks = client.chat.completions.create(model="m", messages=[USER], stream=True)
    next(chunks)
    next(chunks)

    memory.executor.close()
    llm.close()
    assert only_answer(memory) == ("one", True)

    assert len(list(chunks)) == 5
    assert len(memory.turns) == 1


def test_a_stream_whose_chunks_cannot_be_read_reaches_the_reader(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(LONG)
    chunks = client.chat.completions.create(model="m", messages=[USER], stream=True)
    chunks._iterator = iter(["not", "a", "chunk"])

    assert list(chunks) == ["not", "a", "chunk"]
    assert memory.turns[0].texts == [("user", "Tell me.")]
