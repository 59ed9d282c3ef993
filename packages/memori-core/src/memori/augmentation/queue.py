"""A Memori object's outbox as its user sees it: wait, status, retry."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import telemetry
from ..arguments import check_limit, check_texts
from ..errors import StorageError
from ..model import Attribution, JobState, QueuedJob, QueueStatus
from ..process import on_fork
from .lease import Lease
from .retry import give_back
from .worker import take, worker

if TYPE_CHECKING:
    from ..storage.base import Storage
    from ..storage.records import Job
    from .pipeline import Pipeline

logger = logging.getLogger("memori.augmentation")
_BATCH = 16


class Augmentation:
    """`memori.augmentation`. Work starts by itself; only short scripts need to wait for it."""

    def __init__(
        self,
        storage: Storage,
        pipeline: Callable[[], Pipeline],
        who: Callable[[], Attribution | None],
        *,
        drain_timeout: float,
        lease_seconds: float,
        max_attempts: int,
        learnt: Callable[[Attribution], None] = lambda _: None,
    ) -> None:
        """`learnt` is called with each entity that jobs were worked off for; it does not raise."""
        self.storage = storage
        self.drain_timeout = drain_timeout
        self.lease_seconds = lease_seconds
        self.batch = _BATCH
        self._max_attempts = max_attempts
        self._pipeline = pipeline
        self._learnt = learnt
        self._who = who
        self._lock = threading.Lock()
        self._enqueued: dict[str, str] = {}
        on_fork(self._after_fork)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the jobs of the current attribution, or all when there is none, that were enqueued before the call.

        Returns True only when every one succeeded; False when one is dead or `timeout` (seconds) ran out. Inside a
        transaction of the host's, where no worker can see them, the call does the work itself.
        """
        attribution = self._who()
        waited_for = set(self.storage.open_jobs(attribution)) | self._mine(attribution)
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = 0.005
        while True:
            states = self.storage.job_states(waited_for)
            if not any(state in ("pending", "running") for state in states.values()):
                self._forget(waited_for)
                return all(state == "done" for state in states.values())
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if not self.storage.pinned:
                worker.wake(self)
            elif self._work():
                continue
            time.sleep(delay)
            delay = min(delay * 1.5, 0.2)

    def status(self) -> QueueStatus:
        """Count the jobs of the current attribution, or all when there is none."""
        return self.storage.queue_status(self._who(), now=datetime.now(UTC))

    def retry(self, job_ids: Collection[str] | None = None) -> int:
        """Give dead jobs another round of attempts, those named or all; return how many."""
        ids = None if job_ids is None else check_texts("job_ids", job_ids)
        revived = self.storage.retry(self._who(), now=datetime.now(UTC), ids=ids)
        if revived:
            self.storage.after_commit(self._wake)
        return revived

    def jobs(self, *, states: Collection[JobState] = (), limit: int = 100) -> list[QueuedJob]:
        """The jobs of the current attribution, or all when there is none, as they stand; newest first."""
        check_texts("states", states)
        return self.storage.jobs(self._who(), states=states, limit=check_limit(limit))

    def enqueued(self, job_id: str, attribution: Attribution) -> None:
        """A job was written by this object; start on it when it is committed. One rolled back is not waited for."""

        def committed() -> None:
            with self._lock:
                self._enqueued[job_id] = _owner(attribution)
                if len(self._enqueued) > 10_000:
                    self._enqueued.pop(next(iter(self._enqueued)))
            self._wake()

        self.storage.after_commit(committed)

    def process(self, jobs: Sequence[Job], lease: Lease) -> None:
        """Work off leased jobs; called by the worker. An extractor or embedder that cannot be loaded fails them."""
        try:
            pipeline = self._pipeline()
        except Exception as error:  # noqa: BLE001 - anybody's part may raise anything; the job says why
            for job in jobs:
                give_back(self.storage, job, error, max_attempts=self._max_attempts)
                lease.let_go(job)
            return
        self.batch = min(_BATCH, pipeline.batch)
        pipeline.process(jobs, lease)
        for namespace, entity_id in {(job.attribution.namespace, job.attribution.entity_id) for job in jobs}:
            self._learnt(Attribution(entity_id, namespace=namespace))

    def close(self) -> None:
        """Drain within the bound and let the worker go."""
        if worker.alive and not self.storage.pinned:
            try:
                worker.drain(self, self.drain_timeout)
            except StorageError as error:
                # What is closed next must be closed all the same; the outbox keeps the jobs.
                telemetry.failure(logger, "draining the outbox", error)
        worker.leave(self, self.drain_timeout)

    def _wake(self) -> None:
        if not self.storage.pinned:
            worker.wake(self)

    def _work(self) -> bool:
        jobs = take(self)
        if jobs:
            with Lease(self.storage, jobs, seconds=self.lease_seconds) as lease:
                self.process(jobs, lease)
        return bool(jobs)

    def _after_fork(self) -> None:
        # The lock may have been held by a thread that the child does not have; the parent waits for its own jobs.
        self._lock = threading.Lock()
        self._enqueued = {}

    def _mine(self, attribution: Attribution | None) -> set[str]:
        """Jobs of this object since the last wait: one that died meanwhile must not pass for done."""
        with self._lock:
            owner = None if attribution is None else _owner(attribution)
            return {job for job, of in self._enqueued.items() if owner is None or of == owner}

    def _forget(self, jobs: set[str]) -> None:
        with self._lock:
            for job in jobs:
                self._enqueued.pop(job, None)


def _owner(attribution: Attribution) -> str:
    return repr((attribution.namespace, attribution.entity_id, attribution.process_id))
