"""What happens to what failed: a job is tried later or dead, a write that came too late is decided again at once."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime, timedelta

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from .. import telemetry
from ..errors import RevisionConflictError
from ..storage.base import Storage
from ..storage.records import Job

logger = logging.getLogger("memori.augmentation")
_LONGEST_DELAY = 300.0


def delay(attempt: int) -> float:
    """Seconds before the next attempt: exponential, capped, with jitter (Brooker, 2015)."""
    return random.uniform(0.5, 1.0) * min(_LONGEST_DELAY, 2.0**attempt)  # noqa: S311 # nosec B311 - spreads load only


def give_back(storage: Storage, job: Job, error: Exception, *, max_attempts: int) -> None:
    """Put a job back to be tried later, or among the dead when its attempts are used up; its error stays with it."""
    now = datetime.now(UTC)
    last = job.attempt >= max_attempts
    telemetry.failure(logger, "augmentation", error)
    retry_at = None if last else now + timedelta(seconds=delay(job.attempt))
    storage.fail(job, f"{type(error).__name__}: {error}", retry_at=retry_at, now=now)


def unless_moved() -> Retrying:
    """Attempts at a write that expects an entity's state, each to begin with a look at it. The last one raises."""
    return Retrying(
        retry=retry_if_exception_type(RevisionConflictError),
        stop=stop_after_attempt(20),
        # Several workers on one entity: each write sends the others back to their look, which takes a while.
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )
