"""Find the context block for a request: within a time budget, and the same bytes for every step of a turn."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..model import Attribution
from ..process import on_fork
from ..suppression import suppress
from ..telemetry import failure
from .base import Memory, Request
from .threads import Threads

log = logging.getLogger("memori.llm")

T = TypeVar("T")
Key = tuple[Attribution, bytes]


class BlockCache:
    """The blocks of turns in progress, so that a tool step sends the bytes its turn began with.

    At most `size` blocks, each kept for `seconds`.
    """

    def __init__(self, *, size: int = 1024, seconds: float = 900.0) -> None:
        self._size = size
        self._seconds = seconds
        self._blocks: OrderedDict[Key, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        on_fork(self._after_fork)

    def get(self, key: Key) -> str | None:
        """The block of the turn; "" when it has none, None when the turn is not known."""
        with self._lock:
            expires, block = self._blocks.get(key, (0.0, ""))
        return block if expires > time.monotonic() else None

    def put(self, key: Key, block: str) -> None:
        """Keep the block for the rest of the turn."""
        with self._lock:
            self._blocks[key] = (time.monotonic() + self._seconds, block)
            self._blocks.move_to_end(key)
            while len(self._blocks) > self._size:
                self._blocks.popitem(last=False)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Recaller:
    """Asks a memory for context blocks. `budget` is the most seconds a call waits for one."""

    memory: Memory
    cache: BlockCache
    budget: float = 2.0
    threads: Threads = field(default_factory=Threads)

    def block(self, request: Request, attribution: Attribution) -> str:
        """The block for a request, or "" when there is nothing to add. Never raises an `Exception`."""
        key, known = self._known(request, attribution)
        if known is not None:
            return known
        try:
            text = self._start(request, attribution).result(self.budget)
        except Exception as error:  # noqa: BLE001 - the host's call must go on without memory
            text = self._missed(error)
        self.cache.put(key, text)
        return text

    async def ablock(self, request: Request, attribution: Attribution) -> str:
        """The same without blocking the event loop."""
        key, known = self._known(request, attribution)
        if known is not None:
            return known
        try:
            text = await settled(self._start(request, attribution), self.budget)
        except Exception as error:  # noqa: BLE001 - the host's call must go on without memory
            text = self._missed(error)
        self.cache.put(key, text)
        return text

    def _known(self, request: Request, attribution: Attribution) -> tuple[Key, str | None]:
        key = attribution, _turn(request)
        if request.human is None and request.thread is not None:
            # A tool step sends its results alone, and the instructions anew.
            begun = self.threads.get(attribution, request.thread)
            return key, begun.block if begun else ""
        if not self.memory.auto_ingest or not request.query.strip():
            return key, ""
        # Only a later step of a turn reuses its block: a question asked again may have another answer by now.
        is_step = request.human is not None and request.human < len(request.messages) - 1
        return key, self.cache.get(key) if is_step else None

    def _start(self, request: Request, attribution: Attribution) -> Future[str]:
        return self.memory.executor.submit(self._recall, request, attribution)

    def _recall(self, request: Request, attribution: Attribution) -> str:
        exclude = [message.content for message in request.messages if message.content]
        with suppress():
            opening = request.thread is None and not any(one.role == "assistant" for one in request.messages)
            return self.memory.context(request.query, attribution=attribution, exclude=exclude, opening=opening).text

    def _missed(self, error: Exception) -> str:
        if isinstance(error, TimeoutError) and not str(error):
            error = TimeoutError(f"no answer within {self.budget:g} s; the call went on without memory")
        failure(log, "recall for a registered client", error)
        return ""


async def settled(future: Future[T], budget: float) -> T:
    """Await a future of our executor for at most `budget` seconds; it is never cancelled from here.

    Not `asyncio.wrap_future`: a future dropped when the executor closes would cancel the host's task with it, and a
    late result would be delivered to a loop that may be gone.
    """
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def wake(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finished.set)

    future.add_done_callback(wake)
    await asyncio.wait_for(finished.wait(), budget)
    return future.result()


def _turn(request: Request) -> bytes:
    """A digest of the conversation up to and including its last human message."""
    digest = hashlib.blake2b(digest_size=16)
    for message in request.messages[: (request.human or 0) + 1]:
        if message.role != "system":
            digest.update(repr(message.identity).encode("utf-8", "surrogatepass"))
    return digest.digest()
