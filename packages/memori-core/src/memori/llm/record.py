"""Record a finished call within a time budget; what takes longer goes on in the background."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from ..model import Attribution, Message
from ..suppression import suppress
from ..telemetry import failure
from .base import Memory, Request
from .inject import settled
from .threads import Thread, Threads

log = logging.getLogger("memori.llm")


@dataclass(frozen=True, slots=True)
class Turn:
    """One call: what was asked, whose memory it is about, fixed when the call was made, and the block it was given."""

    request: Request
    attribution: Attribution
    block: str = ""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Hands turns to a memory. `budget` is the most seconds a call waits for its turn to be stored.

    No method raises an `Exception`: a turn that cannot be stored is logged and counted.
    """

    memory: Memory
    budget: float = 2.0
    threads: Threads = field(default_factory=Threads)

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
        if answer is not None and turn.request.model:
            answer = replace(answer, payload={"model": turn.request.model, **(answer.payload or {})})
        messages = said if answer is None else (*said, answer)
        if not messages:
            return
        try:
            with suppress():
                receipt = self.memory.record_turn(messages, attribution=self._whose(turn), resent=len(said))
        except Exception as error:  # noqa: BLE001 - the application already has its answer
            failure(log, "recording a registered client's call", error)

            return
        if turn.request.stateful:
            thread = Thread(receipt.session_id, turn.block)
            for name in (turn.request.thread, answer and (answer.payload or {}).get("id")):
                if name:
                    self.threads.put(turn.attribution, name, thread)

    def _whose(self, turn: Turn) -> Attribution:
        """In which session: the named one, or that of the state which the provider goes on from."""
        who, name = turn.attribution, turn.request.thread
        known = self.threads.get(who, name) if name and who.session_id is None else None
        return who.with_session(known.session_id) if known else who

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
