"""The one place where memory may fail, or be slow, without an agent's run feeling it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from memori import Memori, errors, suppress, telemetry

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger("memori_langchain")


def attempt(memori: Memori, what: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call in one of Memori's threads and wait for at most its time budget; None when it failed or is not done.

    Only errors about who is speaking are raised. What is not done in time goes on in the background.
    """
    seconds = memori.recall_options.timeout
    try:
        with suppress():
            return memori.executor.submit(call, *args, **kwargs).result(seconds)
    except errors.IdentityError:
        raise
    except Exception as error:  # noqa: BLE001 - the user's run must go on without memory
        _missed(what, error, seconds)
        return None


async def aattempt(memori: Memori, what: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The same without blocking the event loop."""
    seconds = memori.recall_options.timeout
    try:
        with suppress():
            future = memori.executor.submit(call, *args, **kwargs)
        await _finished(future, seconds)
        return future.result(0)
    except errors.IdentityError:
        raise
    except Exception as error:  # noqa: BLE001 - the user's run must go on without memory
        _missed(what, error, seconds)
        return None


async def in_thread(memori: Memori, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await a call in one of Memori's threads, for as long as it takes. What it raises is raised."""
    with suppress():
        future = memori.executor.submit(call, *args, **kwargs)
    await _finished(future, None)
    if future.cancelled():
        raise errors.ClosedError("This Memori object was closed before the call began.")
    return future.result(0)


async def _finished(future: Future[T], seconds: float | None) -> None:
    """Wait without `asyncio.wrap_future`, which would cancel the host's task with a future dropped by `close()`."""
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be gone by then
            loop.call_soon_threadsafe(finished.set)

    future.add_done_callback(wake)
    await asyncio.wait_for(finished.wait(), seconds)


def _missed(what: str, error: Exception, seconds: float) -> None:
    if isinstance(error, TimeoutError) and not str(error):
        error = TimeoutError(f"not done within {seconds:g} s")
    telemetry.failure(logger, what, error)
