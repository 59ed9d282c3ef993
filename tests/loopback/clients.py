"""SDK clients that talk to the loopback server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from memori.cli.loopback import LoopbackServer
from openai import AsyncOpenAI, OpenAI


@contextmanager
def openai(server: LoopbackServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


@asynccontextmanager
async def async_openai(server: LoopbackServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client
