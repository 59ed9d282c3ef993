"""A scripted model on this machine: it speaks a provider's wire protocol and answers what it is told to."""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from ..model import ToolCall

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived. `body` is the decoded JSON."""

    path: str
    headers: Mapping[str, str]
    body: JSON

    @property
    def messages(self) -> list[JSON]:
        """The messages of the request."""
        found: list[JSON] = self.body["messages"]
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says. A status of 400 or more makes `text` an error message.

    When streamed, the text goes out word by word. `cut`: drop the connection after so many pieces. `hold`: wait until
    this is set, before the answer, or before piece number `hold_at` of a stream.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    status: int = 200
    cut: int | None = None
    hold: threading.Event | None = None
    hold_at: int = 0


Script = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Wire:
    """How a provider spells answers: a whole body, or the data of server-sent events, one for each piece.

    `named`: each event goes by the type that its data has.
    """

    body: Callable[[Call, Answer], JSON]
    events: Callable[[Call, Answer], Iterator[str]]
    named: bool = False


class LoopbackServer:
    """Serves one script to any number of clients. Use it as a context manager.

    Answers given to `say` come first, in order; then `script` answers. `wires` maps the end of a URL path to its
    protocol.
    """

    def __init__(self, script: Script | None = None, *, wires: Mapping[str, Wire] | None = None) -> None:
        self.calls: list[Call] = []
        self._script = script or (lambda call: Answer("Understood."))
        self._answers: deque[Answer] = deque()
        self._wires = dict(wires if wires is not None else WIRES)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="memori-loopback", daemon=True
        )

    @property
    def url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def last(self) -> Call:
        """The newest request."""
        return self.calls[-1]

    def say(self, *answers: Answer | str) -> None:
        """Answer the next requests with these."""
        self._answers.extend(Answer(answer) if isinstance(answer, str) else answer for answer in answers)

    def start(self) -> LoopbackServer:
        """Begin to serve, in a thread of its own."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> LoopbackServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def answer(self, call: Call) -> tuple[Wire, Answer]:
        """Note a request and choose what to say to it."""
        path = call.path.partition("?")[0]
        wire = next((wire for end, wire in self._wires.items() if path.endswith(end)), None)
        if wire is None:
            return chat_completions, Answer(f"no such path: {call.path}", status=404)
        self.calls.append(call)
        try:
            return wire, self._answers.popleft()
        except IndexError:
            return wire, self._script(call)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is part of the play."""


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            call = Call(self.path, dict(self.headers), json.loads(self.rfile.read(size)))
            wire, answer = server.answer(call)
            if answer.status >= 400:
                self._send(answer.status, {"error": {"message": answer.text, "type": "scripted", "code": None}})
            elif call.body.get("stream") or call.path.rpartition(":")[2].startswith("stream"):
                self._stream(wire, call, answer)
            else:
                if answer.hold is not None:
                    answer.hold.wait()
                self._send(200, wire.body(call, answer))

        def _send(self, status: int, body: JSON) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, wire: Wire, call: Call, answer: Answer) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, event in enumerate(wire.events(call, answer)):
                if answer.cut == number:
                    self.close_connection = True
                    return
                if answer.hold is not None and number == answer.hold_at:
                    answer.hold.wait()
                name = f"event: {json.loads(event)['type']}\n" if wire.named else ""
                data = f"{name}data: {event}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Stay silent."""

    return Handler


_numbers = itertools.count(1)


def _completion(call: Call, kind: str, choice: JSON) -> JSON:
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": kind,
        "created": 0,
        "model": call.body.get("model", "scripted"),
        "choices": [{"index": 0, **choice}],
    }


def _openai_calls(answer: Answer) -> list[JSON]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.tool_calls
    ]


def _reason(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def _openai_body(call: Call, answer: Answer) -> JSON:
    message: JSON = {"role": "assistant", "content": answer.text or None}
    if answer.tool_calls:
        message["tool_calls"] = _openai_calls(answer)
    body = _completion(call, "chat.completion", {"message": message, "finish_reason": _reason(answer)})
    return {**body, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def _openai_events(call: Call, answer: Answer) -> Iterator[str]:
    def event(delta: JSON, reason: str | None = None) -> str:
        return json.dumps(_completion(call, "chat.completion.chunk", {"delta": delta, "finish_reason": reason}))

    yield event({"role": "assistant", "content": ""})
    for piece in pieces(answer.text):
        yield event({"content": piece})
    for index, made in enumerate(_openai_calls(answer)):
        function = made["function"]
        head = {"name": function["name"], "arguments": ""}
        yield event({"tool_calls": [{**made, "index": index, "function": head}]})
        for piece in pieces(function["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, _reason(answer))
    yield "[DONE]"


def pieces(text: str) -> list[str]:
    """The words of a text, each with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])] if text else []


chat_completions = Wire(_openai_body, _openai_events)
"""OpenAI's chat completions."""

WIRES: Mapping[str, Wire] = {"/chat/completions": chat_completions}
"""The protocols spoken, by the end of their URL paths."""
