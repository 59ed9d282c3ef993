"""Generators of a client: silent underneath while they are read, and begun only when they are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from ..suppression import suppress


def silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """A client's method with every registered client underneath it silent, and so is what it gives back."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with suppress():
            return _kept(function(*args, **kwargs))

    return call


def _kept(found: Any) -> Any:
    """What was given back, silent as long as it runs."""
    if inspect.isawaitable(found):
        return _awaited(found)
    if hasattr(found, "__anext__"):
        return _AsyncSilencing(found)
    return _Silencing(found) if hasattr(found, "__next__") else found


async def _awaited(call: Awaitable[Any]) -> Any:
    with suppress():
        return _kept(await call)


class _Silencing:
    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with suppress():
            return next(self._pieces)

    def close(self) -> None:
        """Close the generator, if it is one."""
        if (close := getattr(self._pieces, "close", None)) is not None:
            close()


class _AsyncSilencing:
    def __init__(self, pieces: AsyncIterator[Any]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        with suppress():
            return await anext(self._pieces)

    async def aclose(self) -> None:
        """Close the generator, if it is one."""
        if (close := getattr(self._pieces, "aclose", None)) is not None:
            await close()


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
