"""Listen to a streamed answer without getting in its way."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any

import wrapt

from .listener import Listener


class Captured(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Something that delivers an answer and is listened to. Everything not named here is its own."""

    def __init__(self, stream: Any, listener: Listener) -> None:
        super().__init__(stream)
        self._self_listener = listener
        self._self_abandoned = weakref.finalize(self, listener.abandoned)
        self._self_abandoned.atexit = False


class _CapturedConnection(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The HTTP response of a stream: helpers of the SDKs close it, and not the stream."""

    def __init__(self, response: Any, listener: Listener) -> None:
        super().__init__(response)
        self._self_listener = listener

    def close(self) -> Any:
        """Close the connection and record what was received."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_listener.recorder.wait(self._self_listener.end())

    async def aclose(self) -> Any:
        """Close the connection and record what was received."""
        try:
            return await self.__wrapped__.aclose()
        finally:
            await self._self_listener.recorder.await_(self._self_listener.end())


class _CapturedStream(Captured):
    @property
    def response(self) -> Any:
        """The HTTP response, where the SDK shows one."""
        return _CapturedConnection(self.__wrapped__.response, self._self_listener)


def captured(stream: Any, listener: Listener, *, asynchronous: bool = True) -> Captured:
    """Listen to a stream of any kind. `asynchronous`: one that can be read either way is awaited."""
    if hasattr(stream, "readinto"):
        return CapturedBody(stream, listener)
    if hasattr(stream, "__anext__") and (asynchronous or not hasattr(stream, "__next__")):
        return AsyncCapturedStream(stream, listener)
    return CapturedStream(stream, listener) if hasattr(stream, "__next__") else CapturedEvents(stream, listener)


class _SyncCapturedStream(_CapturedStream):
    def __enter__(self) -> Any:
        self.__wrapped__.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return self.__wrapped__.__exit__(kind, error, trace)
        finally:
            self._self_finish()

    def close(self) -> Any:
        """Close the stream and record what was received."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_finish()

    def _self_next(self, chunks: Iterator[Any]) -> Any:
        try:
            chunk = next(chunks)
        except StopIteration:
            self._self_finish(whole=True)
            raise
        except Exception:
            self._self_listener.recorder.wait(self._self_listener.fail())
            raise
        except BaseException:
            self._self_listener.end()
            raise
        self._self_listener.hear(chunk)
        return chunk

    def _self_finish(self, *, whole: bool = False) -> None:
        self._self_listener.recorder.wait(self._self_listener.end(whole=whole))


class CapturedStream(_SyncCapturedStream):
    """A synchronous stream."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._self_next(self.__wrapped__)


class CapturedEvents(_SyncCapturedStream):
    """A synchronous stream that is read by iterators of its own, one after the other."""

    def __iter__(self) -> Iterator[Any]:
        # It holds on to the stream: as long as it is read, the stream is not abandoned.
        chunks = iter(self.__wrapped__)
        while True:
            try:
                chunk = self._self_next(chunks)
            except StopIteration:
                return
            yield chunk


class CapturedBody(Captured):
    """A body that is read as a file is; nothing more to read is its end."""

    def read(self, amount: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Read up to so many bytes, or all."""
        data = self._self_read(lambda: self.__wrapped__.read(amount, *args, **kwargs))
        return self._self_took(data, data, last=amount is None or amount < 0)

    def readinto(self, buffer: Any) -> Any:
        """Read into a buffer."""
        size = self._self_read(lambda: self.__wrapped__.readinto(buffer))
        return self._self_took(size, bytes(memoryview(buffer)[:size]))

    def readlines(self, *args: Any) -> Any:
        """Read all, by lines."""
        lines = self._self_read(lambda: self.__wrapped__.readlines(*args))
        return self._self_took(lines, b"".join(lines), last=not args)

    def close(self) -> Any:
        """Close the connection and record what was received."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_finish()

    def _self_read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except BaseException:
            self._self_finish()
            raise

    def _self_took(self, result: Any, data: bytes, *, last: bool = False) -> Any:
        self._self_listener.hear(data)
        if last or not data:
            self._self_finish(whole=True)
        return result

    def _self_finish(self, *, whole: bool = False) -> None:
        self._self_listener.recorder.wait(self._self_listener.end(whole=whole))


class AsyncCapturedStream(_CapturedStream):
    """A stream that is awaited."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self.__wrapped__)
        except StopAsyncIteration:
            await self._self_finish(whole=True)
            raise
        except Exception:
            await self._self_listener.recorder.await_(self._self_listener.fail())
            raise
        except BaseException:
            self._self_listener.end()
            raise
        self._self_listener.hear(chunk)
        return chunk

    async def __aenter__(self) -> AsyncCapturedStream:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return await self.__wrapped__.__aexit__(kind, error, trace)
        finally:
            await self._self_finish()

    async def close(self) -> Any:
        """Close the stream and record what was received."""
        try:
            return await self.__wrapped__.close()
        finally:
            await self._self_finish()

    async def aclose(self) -> Any:
        """Close the stream and record what was received."""
        try:
            return await self.__wrapped__.aclose()
        finally:
            await self._self_finish()

    async def ended(self) -> None:
        """Record what was received: nothing more will be read."""
        await self._self_finish()

    async def _self_finish(self, *, whole: bool = False) -> None:
        await self._self_listener.recorder.await_(self._self_listener.end(whole=whole))
