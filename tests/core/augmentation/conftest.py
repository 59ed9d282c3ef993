"""Extractors that behave, and a way to wait for what a worker does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from memori.augmentation.extraction.base import Extractor, Turn
from memori.model import Proposal


class Scripted(Extractor):
    """Answers what `script` says of a message's text; a script may raise, wait, or answer nonsense."""

    version = "scripted/1"

    def __init__(self, script: Callable[[str], object]) -> None:
        super().__init__()
        self.script = script
        self.calls: list[list[str]] = []

    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        said = [turn.messages[0].message.content for turn in turns]
        self.calls.append(said)
        return [self.script(text) for text in said]  # type: ignore[misc]


class Gate:
    """Holds up whoever passes until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        assert self.open.wait(60)


def learns(text: str) -> list[Proposal]:
    """One fact of each message: the message."""
    return [Proposal(f"It was said: {text}", "fact", 0)]


def eventually(condition: Callable[[], object], *, seconds: float = 30) -> bool:
    """Whether it comes true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
