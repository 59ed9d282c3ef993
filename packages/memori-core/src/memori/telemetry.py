"""Counters through the OpenTelemetry API: nothing leaves the process unless the host configures an SDK."""

from __future__ import annotations

import logging
import re
import threading
from functools import lru_cache
from typing import Any

from .process import fork_gate, on_fork

_MOST_CAUSES = 1000
_NUMBER = re.compile(r"\d+")

_seen: set[tuple[str, str, str]] = set()
_seen_lock = threading.Lock()


def _after_fork() -> None:
    # The lock may have been held by a thread that the child does not have.
    global _seen_lock
    _seen_lock = threading.Lock()


on_fork(_after_fork)


@lru_cache(maxsize=256)
def _counter(name: str) -> Any:
    with fork_gate:
        from opentelemetry import metrics

        return metrics.get_meter("memori").create_counter(f"memori.{name}")


def count(name: str, amount: float = 1, **attributes: str | int | float | bool) -> None:
    """Add to the counter `memori.<name>`. Attributes hold no text of a user and no secret."""
    _counter(name).add(amount, attributes)


def failure(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Count a failure the host must not feel, and log it: each cause as a warning once, at debug level afterwards.

    A cause is what failed, the error's type and its message, whatever the numbers in it.
    """
    count("failure", what=what, error=type(error).__name__)
    cause = (what, type(error).__name__, _NUMBER.sub("", str(error)[:200]))
    with _seen_lock:
        first = cause not in _seen and len(_seen) < _MOST_CAUSES
        if first:
            _seen.add(cause)
    logger.log(
        logging.WARNING if first else logging.DEBUG,
        "%s failed: %s: %s",
        what,
        type(error).__name__,
        error,
        exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
    )
