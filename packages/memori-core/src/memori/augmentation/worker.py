"""One background thread per process that leases jobs and works them off, for however many Memori objects."""

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
from ..storage.base import Job, Storage

logger = logging.getLogger("memori.augmentation")
_BATCH = 16
_LEASE_SECONDS = 300.0
_POLL_SECONDS = 2.0
_IDLE_SECONDS = 60.0


class Queue(Protocol):
    """What the worker needs of a Memori object."""

    storage: Storage
    drain_timeout: float

    def process(self, jobs: Sequence[Job]) -> None:
        """Bring jobs to their end."""


class Worker:
    """Starts on the first `wake`, sleeps when there is nothing to do, ends when there has been nothing for a while.

    It runs in an empty context: whoever wakes it lends it no identity.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._queues: weakref.WeakSet[Queue] = weakref.WeakSet()
        self._owed: set[Queue] = set()
        self._thread: threading.Thread | None = None
        self._woken = False
        self._ending = False
        self._current: Queue | None = None
        on_fork(self._after_fork)

    def wake(self, queue: Queue) -> None:
        """There may be work for this queue, now. It is kept alive until that work is done."""
        with self._condition:
            self._queues.add(queue)
            self._owed.add(queue)
            self._woken = True
            self._condition.notify_all()
            if self._thread is None and not self._ending:
                run = contextvars.Context().run
                self._thread = threading.Thread(target=run, args=(self._run,), name="memori-worker", daemon=True)
                self._thread.start()

    def leave(self, queue: Queue, timeout: float) -> None:
        """Stop working for a queue, after what is under way, or `timeout` seconds: its lease then runs out."""
        with self._condition:
            self._queues.discard(queue)
            self._owed.discard(queue)
        deadline = time.monotonic() + timeout
        while self.alive and self._current is queue and time.monotonic() < deadline:
            time.sleep(0.01)

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
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            with self._condition:
                self._woken = False
                queues = list(self._queues)
            worked = [self._step(queue) for queue in queues]
            if any(worked):
                idle_since = time.monotonic()
                continue
            del queues
            with self._condition:
                if self._woken:
                    continue
                if self._ending or not self._queues or time.monotonic() - idle_since > _IDLE_SECONDS:
                    self._thread = None
                    self._owed.clear()
                    return
                self._condition.wait(_POLL_SECONDS)

    def _step(self, queue: Queue) -> bool:
        self._current = queue
        try:
            jobs = lease(queue.storage)
            if jobs:
                queue.process(jobs)
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
            self._current = None

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
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5.0)

    def _after_fork(self) -> None:
        self._condition = threading.Condition()
        self._queues = weakref.WeakSet()
        self._owed = set()
        self._thread = None
        self._woken = False
        self._current = None


def lease(storage: Storage) -> list[Job]:
    """Take a batch of due jobs, for as long as it may take to process it."""
    return storage.lease(limit=_BATCH, seconds=_LEASE_SECONDS, now=datetime.now(UTC))


worker = Worker()
# Before threads are joined, as concurrent.futures does it: atexit would come too late, after libraries that the worker
# is still using (BLIS, through spaCy) were finalised by handlers registered later.
getattr(threading, "_register_atexit", atexit.register)(worker.finish)
