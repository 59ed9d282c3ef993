"""Listen to a streamed answer without getting in its way, and record it once however it ends."""

from __future__ import annotations

import _thread
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any

import wrapt

from ..model import Message
from ..telemetry import failure
from .base import Gatherer
from .record import Recorder, Turn

log = logging.getLogger("memori.llm")


class Listener:
    """Gathers what a stream delivers. The first end it is told of counts; all later ones do nothing.

    It is in `listening` until then, so that whoever closes the memory can record what is still open.
    """

    def __init__(self, gatherer: Gatherer, turn: Turn, recorder: Recorder, listening: set[Listener]) -> None:
        self.recorder = recorder
        self._gatherer = gatherer
        self._turn = turn
        self._listening = listening
        self._ended = threading.Lock()
        self._handed_over = threading.Event()
        self._begun = False
        listening.add(self)

    def hear(self, chunk: Any) -> None:
        """Take a chunk that the application is about to receive."""
        self._begun = True
        try:
            self._gatherer.add(chunk)
        except Exception as error:  # noqa: BLE001 - an odd chunk must not reach the application as an error
            failure(log, "reading a streamed answer", error)

    def end(self, *, whole: bool = False) -> Future[None] | None:
        """Begin to store what was received. `whole`: the stream came to its end."""
        if not self._ended.acquire(blocking=False):
            return None
        try:
            return self.recorder.start(self._turn, self._answer(whole=whole))
        finally:
            self._hand_over()

    def fail(self) -> Future[None] | None:
        """The same after an error. One that came first is that of a request which was only then made: it is dropped."""
        if self._begun:
            return self.end()
        self.forget()
        return None

    def end_here(self) -> None:
        """Store what was received in this thread, or wait until the thread that is at it has handed it over."""
        if not self._ended.acquire(blocking=False):
            self._handed_over.wait(self.recorder.budget)
            return
        try:
            self.recorder.store(self._turn, self._answer(whole=False))
        finally:
            self._hand_over()

    def forget(self) -> None:
        """Leave it unrecorded."""
        self._ended.acquire(blocking=False)
        self._hand_over()

    def abandoned(self) -> None:
        """End from a finaliser, which may run in the middle of anything.

        A raw thread: the executor's locks may be held by the very code that the garbage collector interrupted.
        """
        if self._ended.locked():
            return
        try:
            _thread.start_new_thread(self.end, ())
        except RuntimeError:  # the interpreter is going down and nothing else runs
            self.end_here()

    def _hand_over(self) -> None:
        self._listening.discard(self)
        self._handed_over.set()

    def _answer(self, *, whole: bool) -> Message | None:
        try:
            message = self._gatherer.message()
            if message is None or whole or self._gatherer.finished:
                return message
            return replace(message, partial=True)
        except Exception as error:  # noqa: BLE001 - the question is worth storing without its answer
            failure(log, "reading a streamed answer", error)
            return None


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


def captured(stream: Any, listener: Listener) -> CapturedStream | AsyncCapturedStream:
    """Listen to a stream of either kind."""
    return AsyncCapturedStream(stream, listener) if hasattr(stream, "__anext__") else CapturedStream(stream, listener)


class CapturedStream(_CapturedStream):
    """A synchronous stream."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self.__wrapped__)
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

    def __enter__(self) -> CapturedStream:
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
