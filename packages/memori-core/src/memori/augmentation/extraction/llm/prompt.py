"""What the model is told: instructions from files, everything else as JSON data."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from ....model import Message, StoredMessage
from ..base import Turn

MOST_EARLIER = 10
MOST_MEMORIES = 10
_LONGEST = 8000
_TRUSTED = ("user_input", "assistant")
_INJECTED = re.compile(r"<memori_context\b[^<>]*>.*?(?:</memori_context>|\Z)", re.DOTALL | re.IGNORECASE)


def readable(message: Message) -> bool:
    """Whether the model is shown a message: what tools, pages and prompts say is never extracted from."""
    return (
        message.role in ("user", "assistant")
        and message.source_class in _TRUSTED
        and any(char.isalnum() for char in _own(message))
    )


def ask(turn: Turn) -> list[Message]:
    """The instructions and the turn. Memories go by small numbers: no id of the database is shown."""
    said = [
        {"index": index, **_message(stored)} for index, stored in enumerate(turn.messages) if readable(stored.message)
    ]
    data = {
        "messages": said,
        "earlier": [_message(stored) for stored in turn.context[-MOST_EARLIER:] if readable(stored.message)],
        "memories": [
            {"id": number, "kind": fact.kind, "text": fact.text}
            for number, fact in enumerate(turn.memories[:MOST_MEMORIES])
        ],
        "summary": turn.summary or "",
    }
    return [Message("system", _file("extract.md")), Message("user", json.dumps(data, ensure_ascii=False))]


def ask_again(messages: list[Message], answer: str, problem: str) -> list[Message]:
    """The same with what was wrong about the first answer."""
    repair = _file("repair.md").replace("{problem}", problem)
    return [*messages, Message("assistant", answer[:_LONGEST] or "{}"), Message("user", repair)]


def _message(stored: StoredMessage) -> dict[str, Any]:
    message = stored.message
    said: dict[str, Any] = {"role": message.role, "text": _own(message)[:_LONGEST]}
    if message.name:
        said["speaker"] = message.name
    if message.created_at:
        said["said_at"] = message.created_at.isoformat()
    return said


def _own(message: Message) -> str:
    """What a message says itself: a block of ours, whole or cut off, is memory already."""
    return _INJECTED.sub("", message.content).strip()


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath("prompts", name).read_text("utf-8").strip()
