"""Every way of asking a model through an SDK: each reads the whole answer and returns what the SDK gave."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from xai_sdk.chat import user

from tests.loopback import (
    LoopbackServer,
    anthropic,
    async_anthropic,
    async_google,
    async_openai,
    async_xai,
    bedrock,
    google,
    openai,
    xai,
)

QUESTION = "What do I like?"
CHAT = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}
INPUT = {"model": "m", "input": QUESTION}
KEPT = {**INPUT, "store": False}
MESSAGES = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": QUESTION}]}


class Liked(BaseModel):
    drink: str


@dataclass(frozen=True)
class Way:
    """`ask` takes a client and returns the answer, or a coroutine that does, where the client is asynchronous.

    `says`: the answer to be scripted.
    """

    id: str
    client: Callable[[LoopbackServer], Any]
    ask: Callable[[Any], Any]
    asynchronous: bool = False
    says: str = "You like tea."

    def __call__(self, server: LoopbackServer, prepare: Callable[[Any], Any] = lambda client: None) -> Any:
        """Ask with a client of its own, after `prepare` has had it."""
        if not self.asynchronous:
            with self.client(server) as client:
                prepare(client)
                return plain(self.ask(client))

        async def ask() -> Any:
            async with self.client(server) as client:
                prepare(client)
                return plain(await self.ask(client))

        return asyncio.run(ask())


def plain(found: Any) -> Any:
    """What can be compared, without the time and the ids that the server counts up."""
    if isinstance(found, BaseModel):
        return plain(found.model_dump(mode="python", warnings=False))
    if isinstance(found, dict):
        return {key: "" if key in ("id", "item_id", "date") else plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return found


def _sync_ways(name: str, client: Any, asks: dict[str, Callable[[Any], Any]]) -> list[Way]:
    return [Way(f"{name} {what}", client, ask, says=SAYS.get(what, Way.says)) for what, ask in asks.items()]


def _async_ways(name: str, client: Any, asks: dict[str, Callable[[Any], Any]]) -> list[Way]:
    return [Way(f"{name} {what} async", client, ask, True, SAYS.get(what, Way.says)) for what, ask in asks.items()]


def _read(stream: Any) -> Any:
    return stream.__class__, list(stream)


async def _aread(stream: Any) -> Any:
    return stream.__class__, [piece async for piece in stream]


def _helper(manager: Any, final: str) -> Any:
    with manager as stream:
        events = list(stream)
        return events, getattr(stream, final)()


async def _ahelper(manager: Any, final: str) -> Any:
    async with manager as stream:
        events = [event async for event in stream]
        return events, await getattr(stream, final)()


def _streamed(context: Any, read: str) -> Any:
    with context as response:
        found = getattr(response, read)()
        return response.status_code, _read(found) if hasattr(found, "__next__") else found


async def _astreamed(context: Any, read: str) -> Any:
    async with context as response:
        found = await getattr(response, read)()
        return response.status_code, await _aread(found) if hasattr(found, "__anext__") else found


async def _araw(awaitable: Any) -> Any:
    response = await awaitable
    found = response.parse()
    found = await found if asyncio.iscoroutine(found) else found
    return response.status_code, found if not hasattr(found, "__anext__") else await _aread(found)


def _raw(response: Any) -> Any:
    found = response.parse()
    return response.status_code, _read(found) if hasattr(found, "__next__") else found


def _text(manager: Any) -> Any:
    with manager as stream:
        return "".join(stream.text_stream), stream.get_final_text()


async def _atext(manager: Any) -> Any:
    async with manager as stream:
        return "".join([text async for text in stream.text_stream]), await stream.get_final_text()


SAYS = {"parse": '{"drink": "tea"}', "raw parse": '{"drink": "tea"}'}


def _asks(path: str, arguments: dict[str, Any], parse: dict[str, Any], final: str) -> dict[str, Any]:
    """The synchronous ways of one API."""

    def api(client: Any) -> Any:
        for name in path.split("."):
            client = getattr(client, name)
        return client

    return {
        "create": lambda client: api(client).create(**arguments),
        "create stream": lambda client: _read(api(client).create(**arguments, stream=True)),
        "parse": lambda client: api(client).parse(**arguments, **parse),
        "stream": lambda client: _helper(api(client).stream(**arguments), final),
        "raw": lambda client: _raw(api(client).with_raw_response.create(**arguments)),
        "raw stream": lambda client: _raw(api(client).with_raw_response.create(**arguments, stream=True)),
        "streaming parse": lambda client: _streamed(api(client).with_streaming_response.create(**arguments), "parse"),
        "streaming read": lambda client: bool(
            _streamed(api(client).with_streaming_response.create(**arguments), "read")
        ),
        "streaming stream": lambda client: _streamed(
            api(client).with_streaming_response.create(**arguments, stream=True), "parse"
        ),
        "with options": lambda client: api(client.with_options(timeout=9)).create(**arguments),
        "raw of the client": lambda client: _raw(api(client.with_raw_response).create(**arguments)),
    }


def _aasks(path: str, arguments: dict[str, Any], parse: dict[str, Any], final: str) -> dict[str, Any]:
    """The same, awaited."""

    def api(client: Any) -> Any:
        for name in path.split("."):
            client = getattr(client, name)
        return client

    async def create_stream(client: Any) -> Any:
        return await _aread(await api(client).create(**arguments, stream=True))

    async def read(client: Any) -> Any:
        return bool(await _astreamed(api(client).with_streaming_response.create(**arguments), "read"))

    return {
        "create": lambda client: api(client).create(**arguments),
        "create stream": create_stream,
        "parse": lambda client: api(client).parse(**arguments, **parse),
        "stream": lambda client: _ahelper(api(client).stream(**arguments), final),
        "raw": lambda client: _araw(api(client).with_raw_response.create(**arguments)),
        "raw stream": lambda client: _araw(api(client).with_raw_response.create(**arguments, stream=True)),
        "streaming parse": lambda client: _astreamed(api(client).with_streaming_response.create(**arguments), "parse"),
        "streaming read": read,
        "streaming stream": lambda client: _astreamed(
            api(client).with_streaming_response.create(**arguments, stream=True), "parse"
        ),
        "with options": lambda client: api(client.with_options(timeout=9)).create(**arguments),
        "raw of the client": lambda client: _araw(api(client.with_raw_response).create(**arguments)),
    }


_CHAT = ("chat.completions", CHAT, {"response_format": Liked}, "get_final_completion")
_RESPONSES = ("responses", INPUT, {"text_format": Liked}, "get_final_response")
_STATELESS = ("responses", KEPT, {"text_format": Liked}, "get_final_response")
_MESSAGES = ("messages", MESSAGES, {"output_format": Liked}, "get_final_message")
_BETA = ("beta.messages", MESSAGES, {"output_format": Liked}, "get_final_message")

CONTENTS = {"model": "m", "contents": QUESTION}


def _chat_stream(client: Any) -> Any:
    chat = client.chats.create(model="m")
    return list(chat.send_message_stream(QUESTION)), chat.get_history()


async def _contents_stream(client: Any) -> Any:
    return await _aread(await client.aio.models.generate_content_stream(**CONTENTS))


async def _achat_stream(client: Any) -> Any:
    chat = client.aio.chats.create(model="m")
    return [chunk async for chunk in await chat.send_message_stream(QUESTION)], chat.get_history()


_GOOGLE = {
    "contents": lambda client: client.models.generate_content(**CONTENTS),
    "contents stream": lambda client: _read(client.models.generate_content_stream(**CONTENTS)),
    "contents chat": lambda client: client.chats.create(model="m").send_message(QUESTION),
    "contents chat stream": _chat_stream,
}
_AGOOGLE = {
    "contents": lambda client: client.aio.models.generate_content(**CONTENTS),
    "contents stream": _contents_stream,
    "contents chat": lambda client: client.aio.chats.create(model="m").send_message(QUESTION),
    "contents chat stream": _achat_stream,
}

CONVERSE = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": QUESTION}]}]}
INVOKE = {
    "modelId": "m",
    "body": json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": QUESTION}],
        }
    ),
}


def _without_headers(response: Any) -> Any:
    """A response of boto3 without the time of the server."""
    return {key: value for key, value in response.items() if key != "ResponseMetadata"}


def _converse_stream(client: Any) -> Any:
    response = client.converse_stream(**CONVERSE)
    return list(response["stream"]), response["ResponseMetadata"]["HTTPStatusCode"]


def _invoke(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def ask(client: Any) -> Any:
        response = client.invoke_model(**INVOKE)
        return json.loads(read(response["body"])), response["contentType"]

    return ask


def _invoke_stream(client: Any) -> Any:
    response = client.invoke_model_with_response_stream(**INVOKE)
    return [json.loads(event["chunk"]["bytes"]) for event in response["body"]]


_BEDROCK = {
    "converse": lambda client: _without_headers(client.converse(**CONVERSE)),
    "converse stream": _converse_stream,
    "invoke": _invoke(lambda body: body.read()),
    "invoke in chunks": _invoke(lambda body: b"".join(body.iter_chunks(7))),
    "invoke by lines": _invoke(lambda body: b"".join(body.readlines())),
    "invoke stream": _invoke_stream,
}


def _chat(client: Any) -> Any:
    return client.chat.create(model="m", messages=[user(QUESTION)])


def _response(response: Any) -> Any:
    return response.content, response.role, response.finish_reason, [call.id for call in response.tool_calls]


def _xai_stream(client: Any) -> Any:
    pairs = list(_chat(client).stream())
    return [chunk.content for _, chunk in pairs], _response(pairs[-1][0])


async def _axai_stream(client: Any) -> Any:
    pairs = [pair async for pair in _chat(client).stream()]
    return [chunk.content for _, chunk in pairs], _response(pairs[-1][0])


async def _axai(client: Any) -> Any:
    return _response(await _chat(client).sample())


async def _axai_parse(client: Any) -> Any:
    response, parsed = await _chat(client).parse(Liked)
    return _response(response), parsed


def _xai_parse(client: Any) -> Any:
    response, parsed = _chat(client).parse(Liked)
    return _response(response), parsed


_XAI = {"sample": lambda client: _response(_chat(client).sample()), "stream": _xai_stream, "parse": _xai_parse}
_AXAI = {"sample": _axai, "stream": _axai_stream, "parse": _axai_parse}

WAYS = [
    *_sync_ways("xai", xai, _XAI),
    *_async_ways("xai", async_xai, _AXAI),
    *_sync_ways("bedrock", bedrock, _BEDROCK),
    *_sync_ways("google", google, _GOOGLE),
    *_async_ways("google", async_google, _AGOOGLE),
    *_sync_ways("chat", openai, _asks(*_CHAT)),
    *_async_ways("chat", async_openai, _aasks(*_CHAT)),
    *_sync_ways("responses", openai, _asks(*_RESPONSES)),
    *_async_ways("responses", async_openai, _aasks(*_RESPONSES)),
    *_sync_ways("unkept responses", openai, _asks(*_STATELESS)),
    *_sync_ways("messages", anthropic, _asks(*_MESSAGES)),
    *_async_ways("messages", async_anthropic, _aasks(*_MESSAGES)),
    *_sync_ways("beta messages", anthropic, _asks(*_BETA)),
    *_async_ways("beta messages", async_anthropic, _aasks(*_BETA)),
    Way("messages text", anthropic, lambda client: _text(client.messages.stream(**MESSAGES))),
    Way("messages text async", async_anthropic, lambda client: _atext(client.messages.stream(**MESSAGES)), True),
]
