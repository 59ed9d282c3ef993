"""xAI, as a server of gRPC speaks it: the same script as over HTTP, with requests as JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from xai_sdk.proto import chat_pb2 as chat
from xai_sdk.proto import chat_pb2_grpc, sample_pb2, usage_pb2

from .server import LoopbackServer
from .wire import Answer, Call, pieces

_numbers = itertools.count(1)
_STATUSES = {400: grpc.StatusCode.INVALID_ARGUMENT, 429: grpc.StatusCode.RESOURCE_EXHAUSTED}


class _Chat(chat_pb2_grpc.ChatServicer):  # type: ignore[misc]
    def __init__(self, server: LoopbackServer) -> None:
        self._server = server

    def GetCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        answer = self._answer(request, context)
        message = chat.CompletionMessage(role=chat.ROLE_ASSISTANT, content=answer.text, tool_calls=_calls(answer))
        output = chat.CompletionOutput(message=message, finish_reason=_reason(answer))
        return chat.GetChatCompletionResponse(outputs=[output], **_source(request))

    def GetCompletionChunk(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 - the service's name
        answer = self._answer(request, context)
        source = _source(request)
        deltas = [chat.Delta(role=chat.ROLE_ASSISTANT, content=piece) for piece in pieces(answer.text)]
        deltas.append(chat.Delta(role=chat.ROLE_ASSISTANT, tool_calls=_calls(answer)))
        for number, delta in enumerate(deltas):
            if answer.cut == number:
                context.abort(grpc.StatusCode.INTERNAL, "cut")
            if answer.hold is not None and answer.hold_at == number:
                answer.hold.wait()
            last = number == len(deltas) - 1
            output = chat.CompletionOutputChunk(delta=delta, finish_reason=_reason(answer) if last else 0)
            yield chat.GetChatCompletionChunk(outputs=[output], **source)

    def _answer(self, request: Any, context: Any) -> Answer:
        body = MessageToDict(request, preserving_proto_field_name=True)
        _, answer = self._server.answer(Call("/xai/chat/completions", {}, body))
        if answer.status >= 400:
            context.abort(_STATUSES.get(answer.status, grpc.StatusCode.INTERNAL), answer.text)
        return answer


@contextmanager
def serving(server: LoopbackServer) -> Iterator[str]:
    """Serve the script of a server over gRPC too; gives the address."""
    grpc_server = grpc.server(ThreadPoolExecutor(4))
    chat_pb2_grpc.add_ChatServicer_to_server(_Chat(server), grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        grpc_server.stop(None).wait()


def _source(request: Any) -> dict[str, Any]:
    usage = usage_pb2.SamplingUsage(prompt_tokens=3, completion_tokens=5, total_tokens=8)
    return {"id": f"r-{next(_numbers)}", "model": request.model, "usage": usage}


def _calls(answer: Answer) -> list[Any]:
    return [
        chat.ToolCall(
            id=call.id,
            type=chat.TOOL_CALL_TYPE_CLIENT_SIDE_TOOL,
            function=chat.FunctionCall(name=call.name, arguments=call.arguments),
        )
        for call in answer.tool_calls
    ]


def _reason(answer: Answer) -> Any:
    return sample_pb2.REASON_TOOL_CALLS if answer.tool_calls else sample_pb2.REASON_STOP
