"""Let the threads that write to one SQLite file stand in line.

SQLite has one writer at a time. Who waits asks again and again, with longer and longer pauses: under load some wait for
a second while others pass. In line each takes its turn; only other processes are still waited for by asking.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ...process import on_fork


class _Line:
    """First come, first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._busy = False

    def enter(self, patience: float) -> bool:
        """Wait for the turn, at most `patience` seconds; say whether it came."""
        with self._lock:
            if not self._busy:
                self._busy = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(patience):
            return True
        with self._lock:
            if called.is_set():
                return True
            self._waiting.remove(called)
        return False

    def leave(self) -> None:
        """Call the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False


_lines: dict[str, _Line] = {}
_making = threading.Lock()


def _after_fork() -> None:
    # Those who stood in line are not in the child.
    global _making
    _making = threading.Lock()
    _lines.clear()


on_fork(_after_fork)


@contextmanager
def in_line(file: str | None, patience: float) -> Iterator[None]:
    """Hold the turn to write to a file; None is a database that nobody else writes to.

    Who has waited for `patience` seconds goes on without a turn: the database then says that it is locked.
    """
    if file is None:
        yield
        return
    with _making:
        line = _lines.setdefault(file, _Line())
    mine = line.enter(patience)
    try:
        yield
    finally:
        if mine:
            line.leave()
