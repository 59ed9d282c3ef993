"""Say who "I" and "you" are in a message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ....model import Message
from ..base import Turn

_ROLE_NAMES = frozenset({"user", "human", "assistant", "ai", "system", "bot", "tool", "me", "you"})
_NAME = re.compile(r"[^\W_](?:[\w .'’-]{0,62}[\w.])?")
_AGENT = re.compile(r"bot\b|agent|assistant|\bai\b|gpt|claude|gemini|llm|model", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks or is spoken to: by name, else as "the user" or "the assistant"."""

    name: str | None
    role: str

    @property
    def text(self) -> str:
        """How a statement calls them."""
        return self.name or f"the {self.role}"

    @property
    def node(self) -> str:
        """How triples and slots call them."""
        return self.name or self.role


@dataclass(frozen=True, slots=True)
class Cast:
    """The two ends of one message. `listener` is known only where "you" can only mean one person.

    `by_name`: whether slots tell people apart by name. They don't until a second one speaks, so that what "I" said and
    what "Ada" says later is said of the same user.
    """

    speaker: Speaker
    listener: Speaker | None
    among_people: bool
    by_name: bool = False

    @property
    def by_machine(self) -> bool:
        """Whether an assistant without a person's name speaks."""
        return self.speaker.role == "assistant" and not self.among_people


def speaking_name(message: Message) -> str | None:
    """The message's name where it reads like one; ids, roles and anything with marks in it do not."""
    name = " ".join((message.name or "").replace("_", " ").split())
    if not _NAME.fullmatch(name) or name.casefold() in _ROLE_NAMES:
        return None
    letters, digits = sum(c.isalpha() for c in name), sum(c.isdigit() for c in name)
    return name if digits <= 3 and digits < letters else None


def cast_of(turn: Turn, message: Message) -> Cast:
    """Tell who speaks `message`. The attribution's entity id is opaque and never used as a name."""
    around = [stored.message for stored in (*turn.context, *turn.messages)]
    names = {name for other in around if (name := _person(other))}
    by_name = len(names) > 1
    if message.role == "user":
        return Cast(Speaker(speaking_name(message), "user"), None, len(names) > 1, by_name)
    if _person(message) and len(names) > 1:
        return Cast(Speaker(speaking_name(message), "assistant"), None, True, by_name)
    users = {speaking_name(other) for other in around if other.role == "user"}
    listener = Speaker(users.pop(), "user") if len(users) == 1 else Speaker(None, "user") if not users else None
    return Cast(Speaker(speaking_name(message), "assistant"), listener, False, by_name)


def _person(message: Message) -> str | None:
    if message.role not in {"user", "assistant"}:
        return None
    name = speaking_name(message)
    return None if name is None or (message.role == "assistant" and _AGENT.search(name)) else name
