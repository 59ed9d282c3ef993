"""What a worker holds of an outbox: prolonged while it works, given back when it has to stop."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType

from .. import telemetry
from ..storage.base import Storage
from ..storage.records import Job

logger = logging.getLogger("memori.augmentation")
_BEATS = 3
"""So often is a lease prolonged before it would run out."""


class Lease:
    """The jobs of one batch. While it is entered a thread prolongs them, so that leases can be short.

    A worker that is killed is then missed after `seconds`. Inside a transaction of the host's nobody else sees the
    lease, and no other thread could prolong it. `stalled` is entered while the work waits for somebody else's.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: Sequence[Job],
        *,
        seconds: float,
        stalled: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._storage = storage
        self._jobs = {job.id: job for job in jobs}
        self._seconds = seconds
        self._stalled = stalled
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def holds(self, job: Job) -> bool:
        """Whether the job is still this worker's to finish."""
        with self._lock:
            return job.id in self._jobs

    def let_go(self, job: Job) -> None:
        """The job is finished, or somebody else's: it is prolonged no more."""
        with self._lock:
            self._jobs.pop(job.id, None)

    def give_back(self) -> None:
        """Let others have at once what is not finished, without an attempt used up. Raises `StorageError`."""
        with self._lock:
            jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            self._storage.release(job)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """The worker waits for somebody else's code; meanwhile another thread may do other work in its place."""
        self._stalled(True)
        try:
            yield
        finally:
            self._stalled(False)

    def __enter__(self) -> Lease:
        if not self._storage.pinned:
            # An empty context: the thread speaks for nobody.
            run = contextvars.Context().run
            threading.Thread(target=run, args=(self._beat,), name="memori-lease", daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / _BEATS):
            with self._lock:
                jobs = list(self._jobs.values())
            for job in jobs:
                try:
                    held = self._storage.extend(job, seconds=self._seconds, now=datetime.now(UTC))
                except Exception as error:  # noqa: BLE001 - whoever finishes the job finds out whether the lease held
                    telemetry.failure(logger, "prolonging a lease", error)
                    continue
                if not held:
                    self.let_go(job)
            self._storage.rest()
