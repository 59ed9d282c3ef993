"""What happens to a job that failed: another try later, or the dead letters."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime, timedelta

from .. import telemetry
from ..storage.base import Job, Storage

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
