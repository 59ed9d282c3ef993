"""The threads of a process that lease jobs and work them off, for however many Memori objects."""

from __future__ import annotations

import atexit
import contextvars
import logging
import threading
import time
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from .. import telemetry
from ..process import on_fork
from ..storage.base import Storage
from ..storage.records import Job
from .lease import Lease

logger = logging.getLogger("memori.augmentation")
_POLL_SECONDS = 2.0
_SERVE_SECONDS = 0.2
"""A process of its own is told of nothing, and looks more often."""
_IDLE_SECONDS = 60.0
_MOST_STALLED = 4
"""So many threads may wait for somebody else's code while others work in their place."""


class Queue(Protocol):
    """What the worker needs of a Memori object. Times are in seconds."""

    storage: Storage
    drain_timeout: float
    lease_seconds: float

    @property
    def batch(self) -> int:
        """So many jobs are leased at once."""

    def process(self, jobs: Sequence[Job], lease: Lease) -> None:
        """Bring jobs to their end."""


class Worker:
    """Starts on the first `wake`, sleeps when there is nothing to do, ends when there has been nothing for a while.

    It has one thread, or as many as `concurrency` says; one that waits for an extractor that hangs has a stand-in.
    Threads run in an empty context: whoever wakes them lends them no identity.
    """

    def __init__(self) -> None:
        self.concurrency = 1
        self._begin()
        on_fork(self._begin)

    def _begin(self) -> None:
        # In a forked child too: the threads are not there, and one of them may have held the lock.
        self._condition = threading.Condition()
        self._queues: weakref.WeakSet[Queue] = weakref.WeakSet()
        self._owed: set[Queue] = set()
        self._threads: set[threading.Thread] = set()
        self._current: dict[threading.Thread, tuple[Queue, Lease | None]] = {}
        self._stalled = 0
        self._woken = False
        self._ending = False

    def wake(self, queue: Queue) -> None:
        """There may be work for this queue, now. It is kept alive until that work is done."""
        with self._condition:
            self._queues.add(queue)
            self._owed.add(queue)
            self._woken = True
            self._condition.notify_all()
            self._staff()

    def leave(self, queue: Queue, timeout: float) -> None:
        """Stop working for a queue, after what is under way, or `timeout` seconds: what is left is given back then."""
        with self._condition:
            self._queues.discard(queue)
            self._owed.discard(queue)
        deadline = time.monotonic() + timeout
        while (held := self._held(queue)) and time.monotonic() < deadline:
            time.sleep(0.01)
        _give_back(held)

    def drain(self, queue: Queue, timeout: float) -> bool:
        """Wait until the queue has no open job, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            if not queue.storage.open_jobs(None):
                return True
            if time.monotonic() >= deadline or not self.alive:
                return False
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether a thread runs."""
        return any(thread.is_alive() for thread in list(self._threads))

    def finish(self) -> None:
        """At exit: work on for a bounded time, then stop. What is left stays in the outbox for the next process."""
        for queue in list(self._owed):
            try:
                if self.alive:
                    self.drain(queue, queue.drain_timeout)
            except Exception as error:  # noqa: BLE001 - the process is ending; the outbox keeps the jobs
                telemetry.failure(logger, "drain at exit", error)
        with self._condition:
            self._ending = True
            self._queues.clear()
            self._owed.clear()
            self._condition.notify_all()
            threads = list(self._threads)
        # Those that work on a small thing finish it.
        deadline = time.monotonic() + 5.0
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        _give_back(self._held(None))

    def _staff(self) -> None:
        """Start the threads that are missing. The condition is held."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        wanted = self.concurrency + min(self._stalled, _MOST_STALLED)
        while len(self._threads) < wanted and not self._ending:
            run = contextvars.Context().run
            thread = threading.Thread(target=run, args=(self._run,), name="memori-worker", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # The process has no threads left. The host must not feel it, and the outbox keeps the jobs.
                telemetry.failure(logger, "starting a worker", error)
                return
            self._threads.add(thread)

    def _run(self) -> None:
        thread = threading.current_thread()
        idle_since = time.monotonic()
        while True:
            with self._condition:
                self._woken = False
                queues = list(self._queues)
            worked = [self._step(queue, thread) for queue in queues]
            if any(worked):
                idle_since = time.monotonic()
            del queues
            with self._condition:
                if self._ended(idle_since) and not self._woken:
                    self._threads.discard(thread)
                    return
                if not self._woken and not any(worked):
                    self._condition.wait(_POLL_SECONDS)

    def _ended(self, idle_since: float) -> bool:
        """Whether a thread that has just looked for work is wanted no more. The condition is held."""
        if self._ending or not self._queues:
            return True
        surplus = len(self._threads) > self.concurrency + min(self._stalled, _MOST_STALLED)
        return surplus or (not self._owed and time.monotonic() - idle_since > _IDLE_SECONDS)

    def _step(self, queue: Queue, thread: threading.Thread) -> bool:
        with self._condition:
            if queue not in self._queues:
                return False
            self._current[thread] = (queue, None)
        try:
            jobs = take(queue)
            if jobs:
                with Lease(queue.storage, jobs, seconds=queue.lease_seconds, stalled=self._stall) as lease:
                    with self._condition:
                        self._current[thread] = (queue, lease)
                        left = queue not in self._queues
                    if left:
                        lease.give_back()
                    else:
                        queue.process(jobs, lease)
            elif not queue.storage.open_jobs(None):
                with self._condition:
                    if not self._woken:
                        self._owed.discard(queue)
            return bool(jobs)
        except Exception as error:  # noqa: BLE001 - the thread outlives any failure; the jobs stay in the outbox
            telemetry.failure(logger, "worker", error)
            return False
        finally:
            queue.storage.rest()
            with self._condition:
                self._current.pop(thread, None)

    def _stall(self, stalled: bool) -> None:
        with self._condition:
            self._stalled += 1 if stalled else -1
            if stalled and self._queues:
                self._staff()

    def _held(self, queue: Queue | None) -> list[tuple[Queue, Lease | None]]:
        with self._condition:
            return [one for one in self._current.values() if queue is None or one[0] is queue]


def take(queue: Queue) -> list[Job]:
    """Lease a batch of due jobs."""
    return queue.storage.lease(limit=queue.batch, seconds=queue.lease_seconds, now=datetime.now(UTC))


def serve(queue: Queue, *, concurrency: int, drain: bool, stop: threading.Event, grace: float) -> None:
    """Work for a queue until `stop` is set, or, to drain it, until it has no open job.

    What is under way then has `grace` seconds to be finished, and is given back after that.
    """
    worker.concurrency = concurrency
    try:
        while not stop.is_set():
            worker.wake(queue)
            stop.wait(_SERVE_SECONDS)
            if drain and not queue.storage.open_jobs(None):
                break
    finally:
        worker.leave(queue, grace)


def _give_back(held: Sequence[tuple[Queue, Lease | None]]) -> None:
    for _, lease in held:
        try:
            if lease is not None:
                lease.give_back()
        except Exception as error:  # noqa: BLE001 - it runs out by itself
            telemetry.failure(logger, "giving a lease back", error)


worker = Worker()
# Before threads are joined, as concurrent.futures does it: atexit would come too late, after libraries that the worker
# is still using (BLIS, through spaCy) were finalised by handlers registered later.
getattr(threading, "_register_atexit", atexit.register)(worker.finish)
