"""Keep Memori from listening to itself.

An integration that injects and captures on its own wraps the model call in `suppress()`, so that a client registered
underneath stays silent; Memori's own model calls (extraction, reranking) do the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_suppressed: ContextVar[bool] = ContextVar("memori_suppressed", default=False)


@contextmanager
def suppress() -> Iterator[None]:
    """Within the block, registered clients neither inject nor capture. Follows the context into tasks."""
    previous = _suppressed.get()
    _suppressed.set(True)
    try:
        yield
    finally:
        _suppressed.set(previous)


def suppressed() -> bool:
    """Whether the current context is inside `suppress()`."""
    return _suppressed.get()
