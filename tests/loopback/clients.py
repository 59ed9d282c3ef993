"""SDK clients that talk to the loopback server. It needs no certificates, which take long to load."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anthropic as anthropic_sdk
import boto3
import httpx
import openai as openai_sdk
import xai_sdk
from anthropic import Anthropic, AsyncAnthropic
from botocore.config import Config
from google.genai import Client
from google.genai.types import HttpOptions
from memori.cli.loopback import LoopbackServer
from memori.cli.loopback.xai import serving
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


def _google(server: LoopbackServer, **more: Any) -> Client:
    options = HttpOptions(base_url=server.url.removesuffix("/v1"), client_args={"verify": False}, **more)
    return Client(api_key="none", vertexai=False, http_options=options)


@contextmanager
def google(server: LoopbackServer) -> Iterator[Client]:
    client = _google(server)
    yield client
    client.close()


@asynccontextmanager
async def async_google(server: LoopbackServer) -> AsyncIterator[Client]:
    # Its other transport subclasses what aiohttp warns not to.
    async with httpx.AsyncClient(verify=False) as http:
        client = _google(server, httpx_async_client=http)
        yield client
        client.close()


_aws = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")


@contextmanager
def bedrock(server: LoopbackServer) -> Iterator[Any]:
    once = Config(retries={"total_max_attempts": 1}, tcp_keepalive=False)
    client = _aws.client("bedrock-runtime", endpoint_url=server.url.removesuffix("/v1"), config=once)
    yield client
    client.close()


@contextmanager
def xai(server: LoopbackServer) -> Iterator[xai_sdk.Client]:
    with serving(server) as address:
        client = xai_sdk.Client(api_key="none", api_host=address, use_insecure_channel=True)
        yield client
        client.close()


@asynccontextmanager
async def async_xai(server: LoopbackServer) -> AsyncIterator[xai_sdk.AsyncClient]:
    with serving(server) as address:
        client = xai_sdk.AsyncClient(api_key="none", api_host=address, use_insecure_channel=True)
        yield client
        await client.close()
