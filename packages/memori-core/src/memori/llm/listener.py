"""Gather what a stream delivers, and record it once however it ends."""

from __future__ import annotations

import _thread
import logging
import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ..model import Message
from ..telemetry import failure
from .base import Gatherer
from .record import Recorder, Turn

log = logging.getLogger("memori.llm")


class Listener:
    """Gathers what a stream delivers. The first end it is told of counts; all later ones do nothing.

    It is in `listening` until then, so that whoever closes the memory can record what is still open.
    """

    def __init__(self, gatherer: Gatherer, turn: Turn, recorder: Recorder, listening: set[Listener]) -> None:
        self.recorder = recorder
        self._gatherer = gatherer
        self._turn = turn
        self._listening = listening
        self._ended = threading.Lock()
        self._handed_over = threading.Event()
        self._begun = False
        listening.add(self)

    def hear(self, chunk: Any) -> None:
        """Take a chunk that the application is about to receive."""
        self._begun = True
        try:
            self._gatherer.add(chunk)
        except Exception as error:  # noqa: BLE001 - an odd chunk must not reach the application as an error
            failure(log, "reading a streamed answer", error)

    def end(self, *, whole: bool = False) -> Future[None] | None:
        """Begin to store what was received. `whole`: the stream came to its end."""
        if not self._ended.acquire(blocking=False):
            return None
        try:
            return self.recorder.start(self._turn, self._answer(whole=whole))
        finally:
            self._hand_over()

    def fail(self) -> Future[None] | None:
        """The same after an error. One that came first is that of a request which was only then made: it is dropped."""
        if self._begun:
            return self.end()
        self.forget()
        return None

    def end_here(self) -> None:
        """Store what was received in this thread, or wait until the thread that is at it has handed it over."""
        if not self._ended.acquire(blocking=False):
            self._handed_over.wait(self.recorder.budget)
            return
        try:
            self.recorder.store(self._turn, self._answer(whole=False))
        finally:
            self._hand_over()

    def forget(self) -> None:
        """Leave it unrecorded."""
        self._ended.acquire(blocking=False)
        self._hand_over()

    def abandoned(self) -> None:
        """End from a finaliser, which may run in the middle of anything.

        A raw thread: the executor's locks may be held by the very code that the garbage collector interrupted.
        """
        if self._ended.locked():
            return
        try:
            _thread.start_new_thread(self.end, ())
        except RuntimeError:  # the interpreter is going down and nothing else runs
            self.end_here()

    def _hand_over(self) -> None:
        self._listening.discard(self)
        self._handed_over.set()

    def _answer(self, *, whole: bool) -> Message | None:
        try:
            message = self._gatherer.message()
            if message is None or whole or self._gatherer.finished:
                return message
            return replace(message, partial=True)
        except Exception as error:  # noqa: BLE001 - the question is worth storing without its answer
            failure(log, "reading a streamed answer", error)
            return None
