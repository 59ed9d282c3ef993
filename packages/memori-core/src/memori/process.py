"""Threads and forks: one bounded executor of our own, and one owner of what happens in a forked child."""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from .errors import OverloadedError

P = ParamSpec("P")
R = TypeVar("R")

_fork_callbacks: list[Callable[[], Callable[[], None] | None]] = []


def on_fork(callback: Callable[[], None]) -> None:
    """Call `callback` in every forked child, in the order of registration.

    A bound method is held weakly, so registering does not keep its object alive. What the parent opened must be
    dropped without being touched or freed there: a session, index or engine may hang or close the parent's socket.
    """
    reference: Callable[[], Callable[[], None] | None]
    reference = weakref.WeakMethod(callback) if hasattr(callback, "__self__") else lambda: callback
    _fork_callbacks.append(reference)


class _ForkGate:
    """Keeps a fork out of what a child cannot inherit half-done: an SQLite transaction holds locks for its process.

    A fork waits for those inside, at most `patience` seconds, and lets nobody in meanwhile.
    """

    def __init__(self, *, patience: float = 10.0) -> None:
        self._patience = patience
        self._condition = threading.Condition()
        self._inside = 0
        self._forking = False

    def __enter__(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._forking, self._patience)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def before_fork(self) -> None:
        with self._condition:
            self._forking = True
            self._condition.wait_for(lambda: not self._inside, self._patience)

    def after_in_parent(self) -> None:
        with self._condition:
            self._forking = False
            self._condition.notify_all()

    def after_in_child(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._forking = False


fork_gate = _ForkGate()
"""Entered around what a fork must not interrupt."""


def _in_child() -> None:
    fork_gate.after_in_child()
    for reference in _fork_callbacks:
        if (callback := reference()) is not None:
            callback()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=fork_gate.before_fork, after_in_parent=fork_gate.after_in_parent, after_in_child=_in_child
    )


class BoundedExecutor:
    """A small thread pool that refuses work rather than queueing it without end.

    A stalled database then costs the host at most `threads` threads and `backlog` waiting calls. Every call runs in a
    copy of the submitter's context. Threads start on first use and are gone after a fork.
    """

    def __init__(self, *, threads: int = 8, backlog: int = 256) -> None:
        self._threads = threads
        self._limit = threads + backlog
        self._lock = threading.Lock()
        self._pending = 0
        self._pool: ThreadPoolExecutor | None = None
        on_fork(self._after_fork)

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start the call. Raises `OverloadedError` when too many are waiting."""
        context = contextvars.copy_context()
        with self._lock:
            if self._pending >= self._limit:
                raise OverloadedError(
                    f"{self._pending} memory operations are already waiting; this one was refused. "
                    "The database or the embedder is slower than the calls that need it."
                )
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="memori")
            self._pending += 1
            try:
                future = self._pool.submit(lambda: context.run(function, *args, **kwargs))
            except BaseException:
                self._pending -= 1
                raise
        future.add_done_callback(self._finished)
        return future

    def close(self) -> None:
        """Finish what is running, drop what is waiting."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _finished(self, _: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._pool = None
        self._pending = 0
