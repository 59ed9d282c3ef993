"""A wire protocol of a provider, and what goes over it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...model import ToolCall

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


def server_sent(data: str) -> bytes:
    """A server-sent event."""
    return f"data: {data}\n\n".encode()


def named(data: str) -> bytes:
    """A server-sent event that goes by the type which its data has."""
    return f"event: {json.loads(data)['type']}\n".encode() + server_sent(data)


def pieces(text: str) -> list[str]:
    """The words of a text, each with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])] if text else []


Script = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Wire:
    """How a provider spells answers: a whole body, or events, one for each piece.

    `frame`: how the data of an event goes over the wire.
    """

    body: Callable[[Call, Answer], JSON]
    events: Callable[[Call, Answer], Iterator[str]]
    frame: Callable[[str], bytes] = server_sent
    content_type: str = "text/event-stream"
