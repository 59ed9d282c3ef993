"""Listen to the streams of helpers: context managers that make their request when they are entered."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import wrapt

from ..telemetry import failure

log = logging.getLogger("memori.llm")

Hear = Callable[[Any], Any]
"""Puts an ear on a stream."""


class CapturedManager(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A helper whose stream is listened to."""

    def __init__(self, manager: Any, hear: Hear) -> None:
        super().__init__(manager)
        self._self_hear = hear

    def __enter__(self) -> Any:
        return _listened(self.__wrapped__.__enter__(), self._self_hear)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        return self.__wrapped__.__exit__(kind, error, trace)


class AsyncCapturedManager(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The same, awaited. `answer` gives a manager to use instead, or None, and what listens to its stream."""

    def __init__(self, manager: Any, answer: Callable[[], Awaitable[tuple[Any | None, Hear]]]) -> None:
        super().__init__(manager)
        self._self_answer = answer

    async def __aenter__(self) -> Any:
        manager, hear = await self._self_answer()
        if manager is not None:
            _discard(self.__wrapped__)
            self.__wrapped__ = manager
        return _listened(await self.__wrapped__.__aenter__(), hear)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        return await self.__wrapped__.__aexit__(kind, error, trace)


def _listened(stream: Any, hear: Hear) -> Any:
    try:
        stream._raw_stream = hear(stream._raw_stream)
    except Exception as error:  # noqa: BLE001 - the application must get its stream
        failure(log, "listening to a helper's stream", error)
    return stream


def _discard(manager: Any) -> None:
    """Drop a request that was prepared and is not going to be made."""
    for value in vars(manager).values():
        if inspect.iscoroutine(value):
            value.close()
