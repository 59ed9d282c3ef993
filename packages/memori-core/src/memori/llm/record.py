"""Record a finished call within a time budget; what takes longer goes on in the background."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass

from ..model import Attribution, Message
from ..suppression import suppress
from ..telemetry import failure
from .base import Memory, Request
from .inject import settled

log = logging.getLogger("memori.llm")


@dataclass(frozen=True, slots=True)
class Turn:
    """One call: what was asked, and whose memory it is about, fixed when the call was made."""

    request: Request
    attribution: Attribution


@dataclass(frozen=True, slots=True)
class Recorder:
    """Hands turns to a memory. `budget` is the most seconds a call waits for its turn to be stored.

    No method raises an `Exception`: a turn that cannot be stored is logged and counted.
    """

    memory: Memory
    budget: float = 2.0

    def start(self, turn: Turn, answer: Message | None) -> Future[None] | None:
        """Begin to store the turn; None when the work was refused."""
        try:
            return self.memory.executor.submit(self.store, turn, answer)
        except RuntimeError:  # the interpreter is exiting and its threads take no more work
            self.store(turn, answer)
            return None
        except Exception as error:  # noqa: BLE001 - the application already has its answer
            failure(log, "recording a registered client's call", error)
            return None

    def store(self, turn: Turn, answer: Message | None) -> None:
        """Store the turn in this thread."""
        said = turn.request.said
        messages = said if answer is None else (*said, answer)
        if not messages:
            return
        try:
            with suppress():
                self.memory.record_turn(messages, attribution=turn.attribution, resent=len(said))
        except Exception as error:  # noqa: BLE001 - the application already has its answer
            failure(log, "recording a registered client's call", error)

    def wait(self, storing: Future[None] | None) -> None:
        """Wait for a turn, so that the next call already knows of it."""
        if storing is None:
            return
        try:
            storing.result(self.budget)
        except Exception as error:  # noqa: BLE001 - late, or dropped because the executor closed
            self._late(error)

    async def await_(self, storing: Future[None] | None) -> None:
        """The same without blocking the event loop."""
        if storing is None:
            return
        try:
            await settled(storing, self.budget)
        except Exception as error:  # noqa: BLE001 - late, or dropped because the executor closed
            self._late(error)

    def _late(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            error = TimeoutError(f"not stored within {self.budget:g} s; it goes on in the background")
        failure(log, "waiting for a registered client's call to be recorded", error)
