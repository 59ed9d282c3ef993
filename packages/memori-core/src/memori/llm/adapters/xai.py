"""xAI's SDK: chats sampled, streamed and parsed, synchronous and asynchronous, where they call gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xai_sdk import AsyncClient, Client
from xai_sdk.proto import chat_pb2 as chat

from ...model import Message, Role, ToolCall
from ..base import Adapter, Dialect, Gatherer, Inject, Method, Request, provenance, spoken

_ROLES: Mapping[int, Role] = {
    chat.ROLE_USER: "user",
    chat.ROLE_ASSISTANT: "assistant",
    chat.ROLE_SYSTEM: "system",
    chat.ROLE_DEVELOPER: "system",
    chat.ROLE_FUNCTION: "tool",
    chat.ROLE_TOOL: "tool",
}


class XAIAdapter(Adapter):
    """`xai_sdk.Client` and `AsyncClient`. Every way of asking ends in one of two calls, also of chats made before."""

    def methods(self, client: Any) -> Sequence[Method]:
        """The calls behind `sample`, `parse` and `stream`."""
        if not isinstance(client, Client | AsyncClient):
            return ()
        awaited = isinstance(client, AsyncClient)
        return [
            Method("chat._stub.GetCompletion", Completions(), asynchronous=awaited, positional=("request",)),
            Method(
                "chat._stub.GetCompletionChunk",
                Completions(stream=True),
                asynchronous=awaited,
                lazy=awaited,
                positional=("request",),
            ),
        ]


class Completions(Dialect):
    """Requests and answers as the messages of protocol buffers that they are. Only the first choice is remembered."""

    def __init__(self, *, stream: bool = False) -> None:
        self._stream = stream

    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the messages."""
        request = arguments["request"]
        native = list(request.messages)
        asked = _last_human(native)
        return Request(
            messages=tuple(_message(message) for message in native),
            human=asked,
            query="" if asked is None else spoken(_texts(native[asked])),
            stream=self._stream,
            stateful=request.store_messages,
            thread=request.previous_response_id or None,
        )

    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Put the block at the end of the last human message, or as a message after the leading system ones."""
        request = chat.GetCompletionsRequest()
        request.CopyFrom(arguments["request"])
        asked = _last_human(request.messages)
        if where == "user" and asked is not None:
            request.messages[asked].content.append(chat.Content(text=block))
            return {**arguments, "request": request}
        messages = list(request.messages)
        place = next((i for i, one in enumerate(messages) if _ROLES[one.role] != "system"), len(messages))
        messages.insert(place, chat.Message(role=chat.ROLE_SYSTEM, content=[chat.Content(text=block)]))
        del request.messages[:]
        request.messages.extend(messages)
        return {**arguments, "request": request}

    def answer(self, response: Any) -> Message | None:
        """Read the first choice, or all that the steps of an agent on the provider's side said."""
        gatherer = _Chunks()
        for output in response.outputs:
            gatherer.take(output.index, output.message, finished=True)
        gatherer.source(response)
        return gatherer.message()

    def gather(self) -> Gatherer:
        """Begin to read chunks."""
        return _Chunks()


class _Chunks(Gatherer):
    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._calls: dict[str, ToolCall] = {}
        self._source: dict[str, Any] = {}
        self._finished = False

    def add(self, chunk: Any) -> None:
        for output in chunk.outputs:
            self.take(output.index, output.delta, finished=bool(output.finish_reason))
        self.source(chunk)

    def take(self, index: int, piece: Any, *, finished: bool) -> None:
        """Take a piece of a choice. A call of a tool comes in one piece; its latest state counts."""
        self._finished = self._finished or finished
        if piece.role in (chat.ROLE_ASSISTANT, chat.INVALID_ROLE):
            self._texts[index] = self._texts.get(index, "") + piece.content
        for call in piece.tool_calls:
            if call.type in (chat.TOOL_CALL_TYPE_CLIENT_SIDE_TOOL, chat.TOOL_CALL_TYPE_INVALID):
                self._calls[call.id] = _call(call)

    def source(self, answer: Any) -> None:
        """Take where an answer or a part of it comes from."""
        usage = {field.name: value for field, value in answer.usage.ListFields() if isinstance(value, int)}
        self._source |= provenance(id=answer.id or None, model=answer.model or None, usage=usage)

    @property
    def finished(self) -> bool:
        return self._finished

    def message(self) -> Message | None:
        content = spoken([self._texts[min(self._texts)]]) if self._texts else ""
        if not content and not self._calls:
            return None
        return Message("assistant", content, tool_calls=tuple(self._calls.values()), payload=self._source)


def _last_human(native: Sequence[Any]) -> int | None:
    """The last message of a user; what stands for a compacted conversation says nothing."""
    return next((i for i in range(len(native) - 1, -1, -1) if native[i].role == chat.ROLE_USER), None)


def _message(native: Any) -> Message:
    """Read one message of a request. Raises `KeyError` for a role that is none of xAI's."""
    return Message(
        _ROLES[native.role],
        spoken(_texts(native, marked=True)),
        name=native.name or None,
        tool_calls=tuple(map(_call, native.tool_calls)),
        tool_call_id=native.tool_call_id or None,
    )


def _call(native: Any) -> ToolCall:
    return ToolCall(id=native.id, name=native.function.name, arguments=native.function.arguments)


def _texts(native: Any, *, marked: bool = False) -> list[str]:
    """The texts of a message. `marked`: something stands for each part that is no text, such as "[image]"."""
    texts = []
    for part in native.content:
        kind = part.WhichOneof("content")
        if kind == "text":
            texts.append(part.text)
        elif marked and kind:
            texts.append(f"[{kind.removesuffix('_url')}]")
    return texts
