"""Whatever fails in memory, the application's call is as it would be without us."""

import asyncio
import logging
import threading

import openai
import pytest
from memori.errors import OverloadedError, StorageUnavailableError
from memori.llm.adapters.openai import ChatCompletions
from memori.process import BoundedExecutor

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer

USER = {"role": "user", "content": "What do I like?"}


def fail(error):
    def raising():
        raise error

    return raising


@pytest.fixture(params=["context", "record", "both"])
def failing(request, memory):
    memory.known["ada"] = "likes tea"
    if request.param != "record":
        memory.on_context = fail(StorageUnavailableError("the database is down"))
    if request.param != "context":
        memory.on_record = fail(ValueError("a plugin is broken"))
    return memory


def test_a_failing_memory_is_not_felt(client, failing, caplog):
    failing.registry().register(client, attribution=ADA)

    with caplog.at_level(logging.DEBUG, logger="memori.llm"):
        answer = client.chat.completions.create(model="m", messages=[USER])
        pieces = list(client.chat.completions.create(model="m", messages=[USER], stream=True))

    assert answer.choices[0].message.content == "Understood."
    assert len(pieces) == 3
    assert "the database is down" in caplog.text or "a plugin is broken" in caplog.text


async def test_a_failing_memory_is_not_felt_by_async_calls(async_client, failing):
    failing.registry().register(async_client, attribution=ADA)

    answer = await async_client.chat.completions.create(model="m", messages=[USER])
    stream = await async_client.chat.completions.create(model="m", messages=[USER], stream=True)

    assert answer.choices[0].message.content == "Understood."
    assert len([chunk async for chunk in stream]) == 3


def test_a_call_does_not_wait_for_a_stalled_recall(client, memory, server):
    stalled = threading.Event()
    memory.known["ada"] = "likes tea"
    memory.on_context = stalled.wait
    memory.registry(recall_budget=0.05).register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=[USER])
    stalled.set()

    assert server.last.messages == [USER]
    assert len(memory.turns) == 1


async def test_an_async_call_does_not_wait_for_a_stalled_recall_and_leaves_the_loop_free(async_client, memory, server):
    stalled = threading.Event()
    memory.known["ada"] = "likes tea"
    memory.on_context = stalled.wait
    memory.registry(recall_budget=0.2).register(async_client, attribution=ADA)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await async_client.chat.completions.create(model="m", messages=[USER])
    ticking.cancel()
    stalled.set()

    assert server.last.messages == [USER]
    assert ticks > 20


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_does_not_wait_for_a_stalled_database_and_loses_nothing(client, memory, stream):
    stalled = threading.Event()
    memory.on_record = stalled.wait
    memory.registry(record_budget=0.05).register(client, attribution=ADA)

    response = client.chat.completions.create(model="m", messages=[USER], stream=stream)
    if stream:
        list(response)
    assert memory.turns == []

    stalled.set()
    assert memory.recorded.acquire(timeout=10)
    assert len(memory.turns) == 1


async def test_an_async_call_does_not_wait_for_a_stalled_database_and_loses_nothing(async_client, memory):
    stalled = threading.Event()
    memory.on_record = stalled.wait
    memory.registry(record_budget=0.05).register(async_client, attribution=ADA)

    await async_client.chat.completions.create(model="m", messages=[USER])
    assert memory.turns == []

    stalled.set()
    assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)


def test_a_loop_that_is_gone_when_memory_answers_is_left_alone(server, memory):
    stalled = threading.Event()
    memory.on_record = stalled.wait
    llm = memory.registry(record_budget=0.05)

    async def call():
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
            llm.register(client, attribution=ADA)
            await client.chat.completions.create(model="m", messages=[USER])

    asyncio.run(call())
    stalled.set()

    assert memory.recorded.acquire(timeout=10)


@pytest.fixture
def crowded(memory):
    """A memory whose executor refuses everything."""
    release = threading.Event()
    memory.executor.close()
    memory.executor = BoundedExecutor(threads=1, backlog=0)
    memory.executor.submit(release.wait)
    yield memory
    release.set()


def test_a_crowded_executor_costs_memory_not_the_call(client, crowded, caplog):
    crowded.registry().register(client, attribution=ADA)

    with caplog.at_level(logging.DEBUG, logger="memori.llm"):
        answer = client.chat.completions.create(model="m", messages=[USER])

    assert answer.choices[0].message.content == "Understood."
    assert OverloadedError.__name__ in caplog.text


async def test_an_executor_that_closes_in_the_middle_does_not_cancel_the_call(async_client, memory):
    release, asked = threading.Event(), threading.Event()
    memory.executor.close()
    memory.executor = BoundedExecutor(threads=1)

    def occupy():
        asked.set()
        release.wait()

    memory.executor.submit(occupy)
    memory.registry().register(async_client, attribution=ADA)
    call = asyncio.create_task(async_client.chat.completions.create(model="m", messages=[USER]))
    await asyncio.to_thread(asked.wait)
    while memory.executor._pending < 2:
        await asyncio.sleep(0)
    closing = threading.Thread(target=memory.executor.close)
    closing.start()
    release.set()

    assert (await call).choices[0].message.content == "Understood."
    closing.join()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_the_providers_own_errors_pass_unchanged_and_store_nothing(client, memory, server, status):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer("no", status=status))

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="m", messages=[USER])

    assert caught.value.status_code == status
    assert caught.value.__cause__ is None or not str(caught.value.__cause__).startswith("memori")
    assert memory.turns == []


async def test_a_cancelled_call_is_cancelled(async_client, memory, server):
    memory.registry().register(async_client, attribution=ADA)
    hold = threading.Event()
    server.say(Answer("late", hold=hold))
    call = asyncio.create_task(async_client.chat.completions.create(model="m", messages=[USER]))
    while not server.calls:
        await asyncio.sleep(0.001)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hold.set()

    assert memory.turns == []


@pytest.mark.parametrize("where", ["context", "record"])
def test_an_interrupt_is_not_swallowed(client, memory, where):
    setattr(memory, f"on_{where}", fail(KeyboardInterrupt()))
    memory.registry().register(client, attribution=ADA)

    with pytest.raises(KeyboardInterrupt):
        client.chat.completions.create(model="m", messages=[USER])


@pytest.mark.parametrize("method", ["read", "add_context", "answer", "gather"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_adapter_is_not_felt(client, memory, monkeypatch, method, stream):
    def broken(*args):
        raise RuntimeError("not today")

    memory.known["ada"] = "likes tea"
    monkeypatch.setattr(ChatCompletions, method, broken)
    memory.registry().register(client, attribution=ADA)

    response = client.chat.completions.create(model="m", messages=[USER], stream=stream)

    assert len(list(response)) == 3 if stream else response.choices


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "narrator", "content": "Once upon a time"}],
        [{"content": "no role"}],
        [{"role": "user", "content": [{"no": "type"}]}],
        ["just text"],
        "just text",
    ],
)
def test_a_request_that_cannot_be_read_goes_through_untouched(client, memory, server, messages):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)

    client.chat.completions.create(model="m", messages=messages)

    assert server.last.body["messages"] == messages
    assert memory.turns == []


def test_a_generator_that_raises_raises_to_its_owner(client, memory):
    memory.registry().register(client, attribution=ADA)

    def messages():
        yield USER
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        client.chat.completions.create(model="m", messages=messages())


def test_memory_comes_back_when_its_cause_is_gone(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.on_context = fail(StorageUnavailableError("down"))
    memory.registry().register(client, attribution=ADA)
    client.chat.completions.create(model="m", messages=[USER])
    memory.on_context = lambda: None

    client.chat.completions.create(model="m", messages=[USER])

    assert block("likes tea") in server.last.messages[0]["content"]
