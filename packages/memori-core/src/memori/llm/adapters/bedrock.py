"""Amazon Bedrock through boto3: Converse, and Anthropic's messages in InvokeModel, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.client import BaseClient
from botocore.response import StreamingBody

from ...model import Message, ToolCall
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, provenance, spoken
from .messages import Messages


class BedrockAdapter(Adapter):
    """A client of boto3 for `bedrock-runtime`."""

    def methods(self, client: Any) -> Sequence[Method]:
        """`converse`, `converse_stream`, `invoke_model` and `invoke_model_with_response_stream`."""
        # Clients of aiobotocore are awaited, and have the same base.
        if not isinstance(client, BaseClient) or not type(client).__module__.startswith("botocore."):
            return ()
        if client.meta.service_model.service_name != "bedrock-runtime":
            return ()
        return [
            Method("converse", Converse()),
            Method("converse_stream", Converse(stream=True)),
            Method("invoke_model", InvokeModel()),
            Method("invoke_model_with_response_stream", InvokeModel(stream=True)),
        ]


class Converse(Dialect):
    """Bedrock's own messages, the same for every model."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Leave everything as it is: the SDK takes lists only."""
        return dict(arguments)

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the instructions and the messages. A stored prompt has none."""
        native = arguments.get("messages")
        if not native:
            return None
        asked = _last_human(native)
        messages = [Message("system", text) for text in _texts(arguments.get("system") or ())]
        human = None
        for index, message in enumerate(native):
            messages += _messages(message)
            if index == asked:
                human = len(messages) - 1
        return Request(
            messages=tuple(messages),
            human=human,
            query="" if asked is None else spoken(_texts(native[asked]["content"])),
            stream=self._stream,
            model=arguments.get("modelId"),
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block at the end of the last human message or of the instructions."""
        asked = _last_human(arguments["messages"])
        if where == "system" or asked is None:
            return {**arguments, "system": [*(arguments.get("system") or ()), {"text": block}]}
        messages = list(arguments["messages"])
        messages[asked] = {**messages[asked], "content": [*messages[asked]["content"], {"text": block}]}
        return {**arguments, "messages": messages}

    def answer(self, response: Any) -> Message | None:
        """Read what the model said and called; what it thought is its own."""
        said = _said(response["output"]["message"]["content"])
        return said and replace(said, payload=provenance(id=None, model=None, usage=response.get("usage")))

    def listen(self, response: Any, hear: Callable[[Any], Any]) -> Any:
        """Listen to the events."""
        return {**response, "stream": hear(response["stream"])}

    def gather(self) -> Gatherer:
        """Begin to read events."""
        return _Events()


class _Events(Gatherer):
    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._usage: Mapping[str, Any] | None = None
        self._finished = False

    def add(self, chunk: Any) -> None:
        for kind, event in chunk.items():
            if kind == "contentBlockStart":
                # The input of a tool is JSON that comes in pieces.
                used = event["start"].get("toolUse")
                self._blocks[event["contentBlockIndex"]] = {"toolUse": {**used, "input": ""}} if used else {}
            elif kind == "contentBlockDelta":
                block = self._blocks.setdefault(event["contentBlockIndex"], {})
                delta = event["delta"]
                if "text" in delta:
                    block["text"] = block.get("text", "") + delta["text"]
                elif "toolUse" in delta and "toolUse" in block:
                    block["toolUse"]["input"] += delta["toolUse"]["input"]
            elif kind == "messageStop":
                self._finished = True
            elif kind == "metadata":
                self._usage = event.get("usage")

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        said = _said([block for _, block in sorted(self._blocks.items())])
        return said and replace(said, payload=provenance(id=None, model=None, usage=self._usage))


class InvokeModel(Dialect):
    """Anthropic's messages as the body of a request; bodies for other models are left alone."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream
        self._messages = Messages()

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Leave everything as it is: a body is text or bytes."""
        return dict(arguments)

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the body."""
        body = _anthropic(arguments)
        request = body and self._messages.read(body)
        if not request:
            return None
        # The body of an answer is there to be read too, in as many pieces as the caller likes.
        return replace(request, stream=True, model=arguments.get("modelId"))

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block into the body."""
        body = json.dumps(self._messages.add_context(_anthropic(arguments) or {}, block, where))
        return {**arguments, "body": body if isinstance(arguments["body"], str) else body.encode()}

    def answer(self, response: Any) -> Message | None:
        """Read a decoded body."""
        return self._messages.answer(response)

    def listen(self, response: Any, hear: Callable[[Any], Any]) -> Any:
        """Listen to the events, or to the bytes of the body."""
        body = response["body"]
        if not isinstance(body, StreamingBody):
            return {**response, "body": hear(body)}
        # Every way of reading it ends there.
        body._raw_stream = hear(body._raw_stream)
        return response

    def gather(self) -> Gatherer:
        """Begin to read events, or bytes."""
        return _Chunks(self._messages.gather()) if self._stream else _Body(self)


class _Chunks(Gatherer):
    """Anthropic's events in those of Bedrock."""

    def __init__(self, events: Gatherer) -> None:
        self._events = events

    def add(self, chunk: Any) -> None:
        if "chunk" in chunk:
            self._events.add(json.loads(chunk["chunk"]["bytes"]))

    @property
    def finished(self) -> bool:
        return self._events.finished

    def message(self) -> Message | None:
        return self._events.message()


class _Body(Gatherer):
    """A body that is only an answer when all of it has been read."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._data = bytearray()

    def add(self, chunk: Any) -> None:
        self._data += chunk

    @property
    def finished(self) -> bool:
        try:
            json.loads(self._data)
        except ValueError:
            return False
        return True

    def message(self) -> Message | None:
        return self._dialect.answer(json.loads(self._data)) if self.finished else None


def _anthropic(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body of a request, if it is one of Anthropic's messages."""
    body = arguments.get("body")
    if not isinstance(body, str | bytes | bytearray):
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "anthropic_version" in found and found.get("messages") else None


def _last_human(native: Sequence[Mapping[str, Any]]) -> int | None:
    """The last user message in which a human speaks: others only give the results of tools."""
    for index in range(len(native) - 1, -1, -1):
        if native[index]["role"] == "user" and any("toolResult" not in part for part in native[index]["content"]):
            return index
    return None


def _messages(native: Mapping[str, Any]) -> Iterator[Message]:
    """Read one message of a request: the results of tools in it are messages of their own."""
    role, content = native["role"], native["content"]
    if role == "assistant":
        yield _said(content) or Message("assistant", "")
        return
    if role != "user":
        raise KeyError(role)
    results = [part["toolResult"] for part in content if "toolResult" in part]
    for result in results:
        yield Message("tool", spoken(_texts(result["content"], marked=True)), tool_call_id=result["toolUseId"])
    own = [part for part in content if "toolResult" not in part]
    if own or not results:
        yield Message("user", spoken(_texts(own, marked=True)))


def _said(content: Sequence[Mapping[str, Any]]) -> Message | None:
    """The message of an assistant's blocks, or None when it says nothing and calls nothing."""
    calls = []
    for part in content:
        if used := part.get("toolUse"):
            given = used["input"]
            arguments = given or "{}" if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            calls.append(ToolCall(id=used["toolUseId"], name=used["name"], arguments=arguments))
    text = spoken(_texts(content))
    return Message("assistant", text, tool_calls=tuple(calls)) if text or calls else None


def _texts(content: Sequence[Mapping[str, Any]], *, marked: bool = False) -> list[str]:
    """The texts of a content. `marked`: something stands for each part that is no text, such as "[image]"."""
    texts = []
    for part in content:
        if "text" in part:
            texts.append(part["text"])
        elif "json" in part:
            texts.append(json.dumps(part["json"], ensure_ascii=False, default=str))
        elif marked and "cachePoint" not in part:
            texts += [f"[{kind}]" for kind in part]
    return texts
