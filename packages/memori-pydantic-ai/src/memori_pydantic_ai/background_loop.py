"""An event loop of our own, for models that are awaited from threads that have none."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from memori import suppress

T = TypeVar("T")


class BackgroundLoop:
    """One event loop in a thread of its own, begun when it is first needed, and anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float) -> T:
        """Run to the end and return the result; `TimeoutError` after `timeout` seconds, with the work cancelled.

        The work sees nothing of the caller's context, whose run and tracing are none of its business, and registered
        clients stay silent under it.
        """

        async def silently() -> T:
            with suppress():
                return await asyncio.wait_for(work, timeout)

        loop = self._running()
        return contextvars.Context().run(asyncio.run_coroutine_threadsafe, silently(), loop).result(timeout + 5)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            # The thread is not in this child, and the lock may have been held by another that is not.
            self._lock, self._loop, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="memori-pydantic-ai", daemon=True).start()
            return self._loop


LOOP = BackgroundLoop()
"""The one loop: HTTP clients that Pydantic AI shares among models belong to a loop."""
