"""A scripted model on this machine: it speaks a provider's wire protocol and answers what it is told to."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from .bedrock import converse, converse_stream, invoke_stream
from .chat_completions import chat_completions
from .contents import contents
from .messages import messages
from .responses import responses
from .wire import JSON, Answer, Call, Script, Wire

WIRES: Mapping[str, Wire] = {
    "/chat/completions": chat_completions,
    "/responses": responses,
    "/messages": messages,
    ":rawPredict": messages,
    ":streamRawPredict": messages,
    ":generateContent": contents,
    ":streamGenerateContent": contents,
    "/converse": converse,
    "/converse-stream": converse_stream,
    "/invoke": messages,
    "/invoke-with-response-stream": invoke_stream,
}
"""The protocols spoken, by the end of their URL paths."""


class LoopbackServer:
    """Serves one script to any number of clients. Use it as a context manager.

    Answers given to `say` come first, in order; then `script` answers. `wires` maps the end of a URL path to its
    protocol.
    """

    def __init__(self, script: Script | None = None, *, wires: Mapping[str, Wire] = WIRES) -> None:
        self.calls: list[Call] = []
        self._script = script or (lambda call: Answer("Understood."))
        self._answers: deque[Answer] = deque()
        self._wires = dict(wires)
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

    def answer(self, call: Call) -> tuple[Wire | None, Answer]:
        """Note a request and choose what to say to it; a path that no protocol has is told so."""
        path = call.path.partition("?")[0]
        wire = next((wire for end, wire in self._wires.items() if path.endswith(end)), None)
        if wire is None:
            return None, Answer(f"no such path: {call.path}", status=404)
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
            if wire is None or answer.status >= 400:
                self._send(answer.status, {"error": {"message": answer.text, "type": "scripted", "code": None}})
            elif call.body.get("stream") or "stream" in call.path.rpartition("/")[2]:
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
            self.send_header("Content-Type", wire.content_type)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, event in enumerate(wire.events(call, answer)):
                if answer.cut == number:
                    self.close_connection = True
                    return
                if answer.hold is not None and number == answer.hold_at:
                    answer.hold.wait()
                data = wire.frame(event)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Stay silent."""

    return Handler
