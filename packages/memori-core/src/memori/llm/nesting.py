"""Keep what a registered method calls in turn, a client underneath for instance, from being captured a second time."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import wrapt

from ..suppression import suppress


def alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, within `suppress()` to its very end: also while its coroutine or its stream runs."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with suppress():
            return _alone(function(*args, **kwargs))

    return call


def _alone(result: Any) -> Any:
    if isinstance(result, Awaitable):
        return _awaited(result)
    if isinstance(result, AsyncIterator):
        return _AsyncStream(result)
    return _Stream(result) if isinstance(result, Iterator) else result


async def _awaited(result: Awaitable[Any]) -> Any:
    with suppress():
        return _alone(await result)


class _Stream(wrapt.ObjectProxy):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        with suppress():
            return next(self.__wrapped__)


class _AsyncStream(wrapt.ObjectProxy):  # type: ignore[type-arg]
    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        with suppress():
            return await self.__wrapped__.__anext__()
