"""Remember what belongs to a conversation that a provider keeps: its session, and the block of its turn."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from ..model import Attribution
from ..process import on_fork


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a kept conversation is stored, and what its last turn was given."""

    session_id: str
    block: str


class Threads:
    """Kept conversations by who speaks and the provider's id: at most `size`, the newest; blocks for `seconds`."""

    def __init__(self, *, size: int = 4096, seconds: float = 900.0) -> None:
        self._size = size
        self._seconds = seconds
        self._known: OrderedDict[tuple[Attribution, str], tuple[float, Thread]] = OrderedDict()
        self._lock = threading.Lock()
        on_fork(self._after_fork)

    def get(self, attribution: Attribution, name: str) -> Thread | None:
        """The conversation of that id, if it is this speaker's and was heard of in this process."""
        with self._lock:
            expires, thread = self._known.get((attribution.with_session(None), name), (0.0, None))
        return thread if thread is None or expires > time.monotonic() else replace(thread, block="")

    def put(self, attribution: Attribution, name: str, thread: Thread) -> None:
        """Keep what belongs to the conversation."""
        with self._lock:
            key = attribution.with_session(None), name
            self._known[key] = time.monotonic() + self._seconds, thread
            self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
