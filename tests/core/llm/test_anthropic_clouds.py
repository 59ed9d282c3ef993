"""Anthropic's clients for other clouds, with credentials that nobody checks."""

import asyncio

import anthropic
import pytest

from tests.core.llm.memories import ADA, block
from tests.core.llm.ways import MESSAGES, QUESTION

TEA = block("likes tea")
AWS = {"aws_region": "r", "aws_access_key": "x", "aws_secret_key": "x"}
CLOUDS = {
    "Bedrock": AWS,
    "BedrockMantle": AWS,
    "Vertex": {"region": "r", "project_id": "p", "access_token": "x"},
}
every_cloud = pytest.mark.parametrize("cloud", CLOUDS)
every_call = pytest.mark.parametrize("call", ["create", "create stream", "stream"])


def client_of(cloud, prefix, server, http):
    kind = getattr(anthropic, f"{prefix}{cloud}")
    return kind(**CLOUDS[cloud], base_url=server.url, max_retries=0, http_client=http)


def ask(client, call):
    if call == "stream":
        with client.messages.stream(**MESSAGES) as stream:
            return stream.get_final_text()
    if call == "create":
        return client.messages.create(**MESSAGES).content[0].text
    events = client.messages.create(**MESSAGES, stream=True)
    return "".join(event.delta.text for event in events if event.type == "content_block_delta")


async def ask_async(client, call):
    if call == "stream":
        async with client.messages.stream(**MESSAGES) as stream:
            return await stream.get_final_text()
    if call == "create":
        return (await client.messages.create(**MESSAGES)).content[0].text
    events = await client.messages.create(**MESSAGES, stream=True)
    return "".join([event.delta.text async for event in events if event.type == "content_block_delta"])


def assert_heard_between(memory, server):
    """Of three calls the second was through a registered client."""
    plain = {"role": "user", "content": QUESTION}
    assert [call.messages for call in server.calls] == [
        [plain],
        [{**plain, "content": f"{TEA}\n\n{QUESTION}"}],
        [plain],
    ]
    assert [turn.texts for turn in memory.turns] == [[("user", QUESTION), ("assistant", "Understood.")]]


@every_cloud
@every_call
def test_a_client_for_another_cloud_is_heard(memory, server, cloud, call):
    memory.known["ada"] = "likes tea"
    llm = memory.registry()
    with anthropic.DefaultHttpxClient(verify=False) as http:
        client = client_of(cloud, "Anthropic", server, http)
        answers = [ask(client, call)]
        llm.register(client, attribution=ADA)
        answers.append(ask(client, call))
        llm.unregister(client)
        answers.append(ask(client, call))

    assert answers == ["Understood."] * 3
    assert_heard_between(memory, server)


@every_cloud
@every_call
def test_an_async_client_for_another_cloud_is_heard(memory, server, cloud, call):
    async def answers():
        llm = memory.registry()
        async with anthropic.DefaultAsyncHttpxClient(verify=False) as http:
            client = client_of(cloud, "AsyncAnthropic", server, http)
            yield await ask_async(client, call)
            llm.register(client, attribution=ADA)
            yield await ask_async(client, call)
            llm.unregister(client)
            yield await ask_async(client, call)

    async def collected():
        return [answer async for answer in answers()]

    memory.known["ada"] = "likes tea"

    assert asyncio.run(collected()) == ["Understood."] * 3
    assert_heard_between(memory, server)
