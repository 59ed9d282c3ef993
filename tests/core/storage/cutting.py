"""A TCP proxy that cuts the connection in the middle of a commit."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.engine import URL

When = Literal["before", "after"]
_COMMIT = re.compile(rb"\bCOMMIT\b")


@dataclass
class Proxy:
    """`url` leads through the proxy. `cut` arms it: the next COMMIT that passes is the last thing that does.

    "before": the server never sees the COMMIT. "after": the server answers it, and the client never hears.
    """

    url: str
    _armed: list[When] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self, when: When) -> None:
        with self._lock:
            self._armed.append(when)

    @property
    def armed(self) -> bool:
        """Whether a cut is still waiting for its COMMIT."""
        with self._lock:
            return bool(self._armed)

    def take(self, sent: bytes) -> When | None:
        with self._lock:
            return self._armed.pop(0) if self._armed and _COMMIT.search(sent) else None


@contextmanager
def proxied(url: URL) -> Iterator[Proxy]:
    """A proxy before the server of the URL, on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    through = url.difference_update_query(["host"]).set(host="127.0.0.1", port=listening.getsockname()[1])
    proxy = Proxy(through.render_as_string(hide_password=False))
    open_sockets: list[socket.socket] = [listening]

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = _reach(url)
                open_sockets.extend((client, server))
                answering = threading.Event()
                threading.Thread(target=_forward, args=(client, server, proxy, answering), daemon=True).start()
                threading.Thread(target=_answer, args=(server, client, answering), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        for one in open_sockets:
            _hang_up(one)
        accepting.join(timeout=5)


def _forward(client: socket.socket, server: socket.socket, proxy: Proxy, deaf: threading.Event) -> None:
    """Pass on what the client says, until it is to be cut off."""
    with suppress(OSError):
        while sent := client.recv(65_536):
            when = proxy.take(sent)
            if when == "before":
                break
            if when == "after":
                deaf.set()
            server.sendall(sent)
    if not deaf.is_set():
        _hang_up(client, server)


def _answer(server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
    """Pass on what the server says; an answer that the client must not hear is read, and then both are cut off."""
    with suppress(OSError):
        while said := server.recv(65_536):
            if deaf.is_set():
                break
            client.sendall(said)
    _hang_up(client, server)


def _reach(url: URL) -> socket.socket:
    folder = url.query.get("host")
    if isinstance(folder, str):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{url.port or 5432}")
        return server
    return socket.create_connection((url.host or "127.0.0.1", url.port or 3306))


def _hang_up(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
