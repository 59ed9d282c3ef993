"""Listen to the streams of helpers: context managers that make their request when they are entered."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import wrapt

from ..telemetry import failure
from .generators import Inside
from .streams import AsyncCapturedStream

log = logging.getLogger("memori.llm")

Hear = Callable[[Any], Any]
"""Puts an ear on a stream."""


class CapturedManager(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A helper whose stream is listened to."""

    def __init__(self, manager: Any, hear: Hear, *, reads: str | None = "_raw_stream") -> None:
        super().__init__(manager)
        self._self_hear = hear
        self._self_reads = reads

    def __enter__(self) -> Any:
        return _listened(self.__wrapped__.__enter__(), self._self_hear, self._self_reads)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        return self.__wrapped__.__exit__(kind, error, trace)


class AsyncCapturedManager(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The same, awaited. `answer` gives a manager to use instead, or None, and what listens to its stream. The request
    is made `inside` of something."""

    def __init__(
        self,
        manager: Any,
        answer: Callable[[], Awaitable[tuple[Any | None, Hear]]],
        *,
        reads: str | None = "_raw_stream",
        inside: Inside = contextlib.nullcontext,
    ) -> None:
        super().__init__(manager)
        self._self_answer = answer
        self._self_reads = reads
        self._self_inside = inside
        self._self_stream: _Heard | None = None

    async def __aenter__(self) -> Any:
        manager, hear = await self._self_answer()
        if manager is not None:
            _discard(self.__wrapped__)
            self.__wrapped__ = manager
        with self._self_inside():
            stream = await self.__wrapped__.__aenter__()
        if self._self_reads is None:
            self._self_stream = _Heard(stream, hear)
            return self._self_stream
        return _listened(stream, hear, self._self_reads)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return await self.__wrapped__.__aexit__(kind, error, trace)
        finally:
            if self._self_stream is not None:
                await self._self_stream._self_end()


class _Heard(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A stream whose iterator is listened to. Everything else is its own."""

    def __init__(self, stream: Any, hear: Hear) -> None:
        super().__init__(stream)
        self._self_hear = hear
        self._self_iterator: Any = None

    def __aiter__(self) -> Any:
        if self._self_iterator is None:
            self._self_iterator = self._self_hear(aiter(self.__wrapped__))
        return self._self_iterator

    async def _self_end(self) -> None:
        """Record what was received: nothing more will be read."""
        if isinstance(self._self_iterator, AsyncCapturedStream):
            await self._self_iterator.ended()


def _listened(stream: Any, hear: Hear, reads: str | None) -> Any:
    if reads is None:
        return stream
    try:
        setattr(stream, reads, hear(getattr(stream, reads)))
    except Exception as error:  # noqa: BLE001 - the application must get its stream
        failure(log, "listening to a helper's stream", error)
    return stream


def _discard(manager: Any) -> None:
    """Drop a request that was prepared and is not going to be made."""
    for value in vars(manager).values():
        if inspect.iscoroutine(value):
            value.close()
