"""Streams of a client: read inside of something, or begun only when they are read."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

import wrapt

Inside = Callable[[], AbstractContextManager[None]]
"""What is entered anew for every step."""


def within(inside: Inside, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a client's method inside of something; what it gives back is awaited and read inside of it too."""
    with inside():
        return _kept(inside, function(*args, **kwargs))


def _kept(inside: Inside, found: Any) -> Any:
    if inspect.isawaitable(found):
        return _awaited(inside, found)
    read, awaited = hasattr(found, "__next__"), hasattr(found, "__anext__")
    if read and awaited:
        return _EitherStream(found, inside)
    if awaited:
        return _AsyncStream(found, inside)
    return _Stream(found, inside) if read else found


async def _awaited(inside: Inside, call: Awaitable[Any]) -> Any:
    with inside():
        return _kept(inside, await call)


class _Inside(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A stream; everything but reading it is its own."""

    def __init__(self, stream: Any, inside: Inside) -> None:
        super().__init__(stream)
        self._self_inside = inside


class _Stream(_Inside):
    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        with self._self_inside():
            return next(self.__wrapped__)


class _AsyncStream(_Inside):
    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        with self._self_inside():
            return await anext(self.__wrapped__)


class _EitherStream(_Stream, _AsyncStream):
    """One that can be read either way."""


class Deferred:
    """An asynchronous stream that `begin` opens when it is first read."""

    def __init__(self, begin: Callable[[], Awaitable[Any]]) -> None:
        self._begin = begin
        self._stream: Any = None
        self._closed = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._closed:
            raise StopAsyncIteration
        if self._stream is None:
            self._stream = await self._begin()
        return await anext(self._stream)

    async def aclose(self) -> None:
        """Close the stream, if it was opened; nothing is asked any more if it was not."""
        self._closed = True
        if self._stream is not None:
            await self._stream.aclose()
