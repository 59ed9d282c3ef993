from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.core.llm.memories import WatchedMemory
from tests.loopback import LoopbackServer, async_openai, openai


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[OpenAI]:
    with openai(server) as client:
        yield client


@pytest.fixture
async def async_client(server: LoopbackServer) -> AsyncIterator[AsyncOpenAI]:
    async with async_openai(server) as client:
        yield client


@pytest.fixture
def memory() -> Iterator[WatchedMemory]:
    memory = WatchedMemory()
    yield memory
    memory.executor.close()
