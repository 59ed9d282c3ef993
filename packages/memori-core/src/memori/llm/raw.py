"""Listen to an answer that the caller reads from the HTTP response itself."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from ..model import Message
from ..telemetry import failure
from .base import Dialect, Gatherer
from .listener import Listener
from .streams import Captured, captured

log = logging.getLogger("memori.llm")


class Whole(Gatherer):
    """Reads an answer that comes in one piece."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._message: Message | None = None

    def add(self, chunk: Any) -> None:
        """Take the parsed response."""
        self._message = self._dialect.answer(chunk)

    @property
    def finished(self) -> bool:
        """One piece is all of it."""
        return True

    def message(self) -> Message | None:
        """The answer, if the caller has read it."""
        return self._message


def captured_response(response: Any, listener: Listener) -> CapturedResponse | AsyncCapturedResponse:
    """Listen to a response of either kind."""
    kind = AsyncCapturedResponse if inspect.iscoroutinefunction(response.parse) else CapturedResponse
    return kind(response, listener)


class _CapturedResponse(Captured):
    def __init__(self, response: Any, listener: Listener) -> None:
        super().__init__(response, listener)
        self._self_stream: Any = None

    def _self_took(self, parsed: Any) -> Any:
        """What the caller gets for what it parsed."""
        if not (hasattr(parsed, "__next__") or hasattr(parsed, "__anext__")):
            self._self_listener.hear(parsed)
            return parsed
        if self._self_stream is None or self._self_stream.__wrapped__ is not parsed:
            # From here on the stream is what may be abandoned.
            self._self_abandoned.detach()
            self._self_stream = captured(parsed, self._self_listener)
        return self._self_stream

    @property
    def _self_read(self) -> bool:
        """Whether the body is there to be parsed without asking the network."""
        try:
            return self._self_stream is None and self.__wrapped__.http_response.content is not None
        except Exception:  # noqa: BLE001 - the HTTP library's own error for a body not read
            return False


class CapturedResponse(_CapturedResponse):
    """A synchronous response."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the body; a stream is listened to."""
        return self._self_took(self.__wrapped__.parse(*args, **kwargs))

    def close(self) -> Any:
        """Close the response and record what was read."""
        try:
            if self._self_read:
                self._self_listener.hear(self.__wrapped__.parse())
        except Exception as error:  # noqa: BLE001 - whoever parses it gets the same error
            failure(log, "reading a registered client's answer", error)
        try:
            return self.__wrapped__.close()
        finally:
            self._self_listener.recorder.wait(self._self_listener.end())


class AsyncCapturedResponse(_CapturedResponse):
    """A response that is awaited."""

    async def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the body; a stream is listened to."""
        return self._self_took(await self.__wrapped__.parse(*args, **kwargs))

    async def close(self) -> Any:
        """Close the response and record what was read."""
        try:
            if self._self_read:
                self._self_listener.hear(await self.__wrapped__.parse())
        except Exception as error:  # noqa: BLE001 - whoever parses it gets the same error
            failure(log, "reading a registered client's answer", error)
        try:
            return await self.__wrapped__.close()
        finally:
            await self._self_listener.recorder.await_(self._self_listener.end())
