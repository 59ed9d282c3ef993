"""Run a registered client's calls: recall before, record after, and never be felt when either fails."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from ..model import Attribution, Message
from ..suppression import suppressed
from ..telemetry import failure
from .base import Inject, Memory, Method
from .generators import Deferred, within
from .inject import Recaller
from .listener import Listener
from .managers import AsyncCapturedManager, CapturedManager
from .raw import Whole, captured_response
from .record import Recorder, Turn
from .streams import captured

log = logging.getLogger("memori.llm")

_hearing: ContextVar[frozenset[int]] = ContextVar("memori_hearing", default=frozenset())
"""The captures that hear the call which the current one is part of."""

Speaker = Attribution | Callable[[], Attribution | None] | None
"""Who is speaking: a value, a callable asked at every call, or None for the memory's current attribution."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What the calls through one Memori object share. `listening` holds the streams still open."""

    memory: Memory
    recaller: Recaller
    recorder: Recorder
    inject: Inject = "user"
    listening: set[Listener] = field(default_factory=set)

    @property
    def nested(self) -> bool:
        """Whether a call is made by another that is heard already."""
        return id(self) in _hearing.get()

    @contextmanager
    def nesting(self) -> Iterator[None]:
        """Make a call that may make others."""
        previous = _hearing.get()
        _hearing.set(previous | {id(self)})
        try:
            yield
        finally:
            # Not by a token: an abandoned coroutine may be closed in another context.
            _hearing.set(previous)


class Layer:
    """One Memori object on one client. Copies of the client have layers of their own below its."""

    def __init__(self, capture: Capture, client: str, *, speaker: Speaker = None, above: Layer | None = None) -> None:
        self.capture = capture
        self.speaker = speaker
        self._client = client
        self._above = above
        self._warned = False
        self._removed = False

    @property
    def active(self) -> bool:
        """Whether calls are captured."""
        return not self._removed and (self._above is None or self._above.active)

    def remove(self) -> None:
        """Let calls through untouched from now on, on copies too."""
        self._removed = True

    def who(self) -> Speaker:
        """Who speaks through the client, as its own layer or the nearest one above says."""
        return self.speaker or (self._above.who() if self._above else None)

    def below(self) -> Layer:
        """A layer for a copy of the client."""
        return Layer(self.capture, self._client, above=self)

    def call(self, method: Method, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `function`, a method of the client, with memory around it.

        Who is speaking is settled here and now: the coroutine or stream it returns may be consumed anywhere.
        """
        names = method.positional[: len(args)]
        # Those that are too many, or given twice, are the client's to refuse.
        refused = len(names) < len(args) or not kwargs.keys().isdisjoint(names)
        if refused or suppressed() or self.capture.nested:
            return function(*args, **kwargs)
        arguments = method.dialect.materialise({**dict(zip(names, args, strict=True)), **kwargs})
        if names:
            function = functools.partial(_by_position, function, names)
        if method.nested:
            function = functools.partial(within, self.capture.nesting, function)
        turn = self._turn(method, arguments)
        if turn is None:
            return function(**arguments)
        if method.lazy:
            return self._run_later(method, function, arguments, turn)
        if method.helper:
            run = self._help_async if method.asynchronous else self._help
        else:
            run = self._run_async if method.asynchronous else self._run
        return run(method, function, arguments, turn)

    def _run(self, method: Method, function: Callable[..., Any], arguments: dict[str, Any], turn: Turn) -> Any:
        turn = replace(turn, block=self.capture.recaller.block(turn.request, turn.attribution))
        response = function(**self._with_context(method, arguments, turn.block))
        if (heard := self._heard(method, response, turn)) is not None:
            return heard
        recorder = self.capture.recorder
        recorder.wait(recorder.start(turn, _answer(method, response, turn)))
        return response

    async def _run_async(
        self, method: Method, function: Callable[..., Any], arguments: dict[str, Any], turn: Turn
    ) -> Any:
        turn = replace(turn, block=await self.capture.recaller.ablock(turn.request, turn.attribution))
        response = await function(**self._with_context(method, arguments, turn.block))
        if (heard := self._heard(method, response, turn)) is not None:
            return heard
        recorder = self.capture.recorder
        await recorder.await_(recorder.start(turn, await _awaited_answer(method, response, turn)))
        return response

    def _run_later(self, method: Method, function: Callable[..., Any], arguments: dict[str, Any], turn: Turn) -> Any:
        async def begin() -> Any:
            answered = replace(turn, block=await self.capture.recaller.ablock(turn.request, turn.attribution))
            response = aiter(function(**self._with_context(method, arguments, answered.block)))
            heard = self._heard(method, response, answered)
            return response if heard is None else heard

        return Deferred(begin)

    def _help(self, method: Method, function: Callable[..., Any], arguments: dict[str, Any], turn: Turn) -> Any:
        turn = replace(turn, block=self.capture.recaller.block(turn.request, turn.attribution))
        manager = function(**self._with_context(method, arguments, turn.block))
        return CapturedManager(manager, lambda stream: self._heard(method, stream, turn), reads=method.reads)

    def _help_async(self, method: Method, function: Callable[..., Any], arguments: dict[str, Any], turn: Turn) -> Any:
        async def answer() -> tuple[Any | None, Callable[[Any], Any]]:
            """The manager of a request with memory in it, if there is any, and what listens to its stream."""
            block = await self.capture.recaller.ablock(turn.request, turn.attribution)
            answered = replace(turn, block=block)
            manager = function(**self._with_context(method, arguments, block)) if block else None
            return manager, lambda stream: self._heard(method, stream, answered)

        # Made at once, so that wrong arguments are told where they are passed.
        inside = self.capture.nesting if method.nested else nullcontext
        return AsyncCapturedManager(function(**arguments), answer, reads=method.reads, inside=inside)

    def _turn(self, method: Method, arguments: Mapping[str, Any]) -> Turn | None:
        """What is asked and by whom; None when that cannot be told and the call is to go through untouched."""
        try:
            attribution = self._attribution()
            if attribution is None:
                return None
            request = method.dialect.read(arguments)
        except Exception as error:  # noqa: BLE001 - what memory cannot read, the provider may
            failure(log, "reading a registered client's call", error)
            return None
        return None if request is None else Turn(request, attribution)

    def _attribution(self) -> Attribution | None:
        speaker = self.who()
        if speaker is None:
            found = self.capture.memory.current_attribution()
        else:
            found = speaker() if callable(speaker) else speaker
        if found is None:
            self._warn()
        elif not isinstance(found, Attribution):
            raise TypeError(f"attribution= must give an Attribution or None, got {type(found).__name__}")
        return found

    def _warn(self) -> None:
        if self._above is not None:
            self._above._warn()
        elif not self._warned:
            self._warned = True
            logging.getLogger("memori").warning(
                "A call of a registered %s client has no attribution: it went through without memory. Say who is "
                "speaking with memori.attribution(entity_id=...), memori.scope(...), or "
                "memori.llm.register(client, attribution=...).",
                self._client,
            )

    def _with_context(self, method: Method, arguments: dict[str, Any], block: str) -> dict[str, Any]:
        if not block:
            return arguments
        try:
            return method.dialect.add_context(arguments, block, self.capture.inject)
        except Exception as error:  # noqa: BLE001 - the host's call must go on without memory
            failure(log, "adding memory to a registered client's call", error)
            return arguments

    def _heard(self, method: Method, response: Any, turn: Turn) -> Any | None:
        """The response with an ear on what is still to be read of it, or None when the answer is there."""
        request = turn.request
        if not (request.stream or request.raw == "streamed"):
            return None

        def hear(stream: Any) -> Any:
            gatherer = method.dialect.gather() if request.stream else Whole(method.dialect)
            listener = Listener(gatherer, turn, self.capture.recorder, self.capture.listening)
            return (
                captured_response(stream, listener)
                if request.raw
                else captured(stream, listener, asynchronous=method.asynchronous)
            )

        try:
            return hear(response) if request.raw else method.dialect.listen(response, hear)
        except Exception as error:  # noqa: BLE001 - the application must get its stream
            failure(log, "reading a registered client's answer", error)
            return response


def _by_position(function: Callable[..., Any], names: tuple[str, ...], **arguments: Any) -> Any:
    """Call as the caller did: an overriding method may name its first arguments as it likes."""
    given = [arguments.pop(name) for name in names]
    return function(*given, **arguments)


def _answer(method: Method, response: Any, turn: Turn) -> Message | None:
    try:
        return method.dialect.answer(response.parse() if turn.request.raw else response)
    except Exception as error:  # noqa: BLE001 - the question is worth storing without its answer
        failure(log, "reading a registered client's answer", error)
        return None


async def _awaited_answer(method: Method, response: Any, turn: Turn) -> Message | None:
    try:
        if turn.request.raw:
            parsed = response.parse()
            response = await parsed if inspect.isawaitable(parsed) else parsed
        return method.dialect.answer(response)
    except Exception as error:  # noqa: BLE001 - the question is worth storing without its answer
        failure(log, "reading a registered client's answer", error)
        return None
