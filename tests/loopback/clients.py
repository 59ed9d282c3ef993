"""SDK clients that talk to the loopback server. It needs no certificates, which take long to load."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anthropic as anthropic_sdk
import openai as openai_sdk
from anthropic import Anthropic, AsyncAnthropic
from memori.cli.loopback import LoopbackServer
from openai import AsyncOpenAI, OpenAI


@contextmanager
def openai(server: LoopbackServer) -> Iterator[OpenAI]:
    http = openai_sdk.DefaultHttpxClient(verify=False)
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, http_client=http) as client:
        yield client


@asynccontextmanager
async def async_openai(server: LoopbackServer) -> AsyncIterator[AsyncOpenAI]:
    http = openai_sdk.DefaultAsyncHttpxClient(verify=False)
    async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0, http_client=http) as client:
        yield client


@contextmanager
def anthropic(server: LoopbackServer) -> Iterator[Anthropic]:
    http = anthropic_sdk.DefaultHttpxClient(verify=False)
    url = server.url.removesuffix("/v1")
    with Anthropic(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        yield client


@asynccontextmanager
async def async_anthropic(server: LoopbackServer) -> AsyncIterator[AsyncAnthropic]:
    http = anthropic_sdk.DefaultAsyncHttpxClient(verify=False)
    url = server.url.removesuffix("/v1")
    async with AsyncAnthropic(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        yield client
