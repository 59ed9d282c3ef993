"""Threads and forks: one bounded executor of our own, and one owner of what happens in a forked child."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

from .errors import ClosedError, OverloadedError

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
    """Keeps a fork out of what a child cannot inherit half-done: the locks of a transaction or of an import.

    A fork waits for those inside, at most `patience` seconds, and lets nobody in meanwhile. Threads may enter again
    while they are inside.
    """

    def __init__(self, *, patience: float = 10.0) -> None:
        self._patience = patience
        self._begin()

    def __enter__(self) -> None:
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._condition:
                if self._forking:
                    self._condition.wait_for(lambda: not self._forking, self._patience)
                self._inside += 1
        self._mine.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._mine.depth -= 1
        if not self._mine.depth:
            with self._condition:
                self._inside -= 1
                if self._forking:
                    self._condition.notify_all()

    def before_fork(self) -> None:
        """Close the gate and wait for the others to come out."""
        mine = bool(getattr(self._mine, "depth", 0))
        with self._condition:
            self._forking = True
            self._condition.wait_for(lambda: self._inside <= mine, self._patience)

    def after_in_parent(self) -> None:
        """Open the gate."""
        with self._condition:
            self._forking = False
            self._condition.notify_all()

    def after_in_child(self) -> None:
        """Begin afresh: the threads that were inside are not here."""
        depth = getattr(self._mine, "depth", 0)
        self._begin()
        self._inside = int(bool(depth))
        self._mine.depth = depth

    def _begin(self) -> None:
        self._condition = threading.Condition()
        self._mine = threading.local()
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


class Host(Protocol):
    """Who has a say in which thread a call runs: see `memori.storage.base.Storage`."""

    @property
    def pinned(self) -> bool:
        """Whether calls submitted by this thread must run in it."""

    def awaitable(self, call: Callable[P, R]) -> Callable[P, Awaitable[R]] | None:
        """How an event loop has a call run by the thread it must run in; None: as here."""

    def rest(self) -> None:
        """A thread of ours has finished a call. Never raises."""


class BoundedExecutor:
    """A small thread pool that refuses work rather than queueing it without end.

    A stalled database then costs the host at most `threads` threads and `backlog` waiting calls. Every call runs in a
    copy of the submitter's context. Threads start on first use and are gone after a fork. A call that `host` pins to
    the submitter's thread runs there and then.
    """

    def __init__(self, *, threads: int = 8, backlog: int = 256, host: Host | None = None) -> None:
        self._host = host
        self._threads = threads
        self._limit = threads + backlog
        self._lock = threading.Lock()
        self._pending = 0
        self._pool: ThreadPoolExecutor | None = None
        on_fork(self._after_fork)

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start the call. Raises `OverloadedError` when too many are waiting."""
        if self._host is not None and self._host.pinned:
            return _stay(self._host, function, *args, **kwargs)
        context = contextvars.copy_context()

        def call() -> R:
            try:
                return context.run(function, *args, **kwargs)
            finally:
                if self._host is not None:
                    self._host.rest()

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
                future = self._pool.submit(call)
            except BaseException:
                self._pending -= 1
                raise
        future.add_done_callback(self._finished)
        return future

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await the call without blocking the event loop. Raises `ClosedError` when `close` dropped it unbegun.

        A host that shares its connection with its storage says in which thread instead.
        """
        hosted = None if self._host is None else self._host.awaitable(function)
        if hosted is not None:
            return await hosted(*args, **kwargs)
        future = self.submit(function, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future.cancelled() and task is not None and not task.cancelling():
                # Nobody cancelled the caller: close() dropped a call that was still waiting for a thread.
                raise ClosedError("This Memori object was closed before the call began.") from None
            raise

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


def _stay(host: Host, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Run the call in this thread, at once; or, in that of an event loop, where the host has the loop's calls run."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        hosted = None
    else:
        hosted = host.awaitable(function)
    if hosted is not None:

        async def call() -> R:
            return await hosted(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), loop)
    done: Future[R] = Future()
    try:
        done.set_result(contextvars.copy_context().run(function, *args, **kwargs))
    except Exception as error:  # noqa: BLE001 - the future carries it to whoever asks for the result
        done.set_exception(error)
    return done
