"""However long the storage takes, the event loop goes round, and nothing of it runs there."""

import asyncio
import threading

import pytest
from memori import Memori

from tests.core.llm.memories import ADA
from tests.core.llm.ways import CHAT, CONTENTS, MESSAGES
from tests.loopback import async_anthropic, async_google, async_openai


async def google_stream(client):
    return [chunk async for chunk in await client.aio.models.generate_content_stream(**CONTENTS)]


CALLS = {
    "openai": (async_openai, lambda client: client.chat.completions.create(**CHAT)),
    "anthropic": (async_anthropic, lambda client: client.messages.create(**MESSAGES)),
    "google stream": (async_google, google_stream),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_the_loop_goes_round_while_the_storage_is_slow(tmp_path, monkeypatch, server, call):
    make, ask = call
    loop, ticked, threads = threading.get_ident(), threading.Semaphore(0), set()

    def until_the_loop_ticks(method):
        def wait(*args, **kwargs):
            threads.add(threading.get_ident())
            while ticked.acquire(blocking=False):
                pass
            # On the thread of the loop this would fail, and the call would go on without memory.
            if not ticked.acquire(timeout=10):
                raise TimeoutError("the loop stood still")
            return method(*args, **kwargs)

        return wait

    async def tick():
        while True:
            ticked.release()
            await asyncio.sleep(0.001)

    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        for number in range(30):
            await memori.aremember(f"I like tea number {number}.", attribution=ADA)
        storage = memori.config.storage
        ticking = asyncio.create_task(tick())
        with monkeypatch.context() as slow:
            for name in ("state", "changes_since", "facts", "append"):
                slow.setattr(storage, name, until_the_loop_ticks(getattr(storage, name)))
            async with make(server) as client:
                memori.llm.register(client, attribution=ADA)
                await ask(client)
        ticking.cancel()

        assert "memori_context" in str(server.last.body)
        assert len(memori.messages(attribution=ADA)) == 2
    assert threads
    assert loop not in threads
