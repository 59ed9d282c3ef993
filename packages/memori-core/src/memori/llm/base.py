"""The contract of an LLM adapter, and what capture needs of a memory."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..errors import ConfigurationError
from ..model import Attribution, Context, Message, Receipt
from ..process import BoundedExecutor
from ..structured import StructuredModel

Inject = Literal["user", "system"]
"""Where the context block goes: into the last human message, or into a system message of its own."""

Raw = Literal["", "read", "streamed"]
"""Whether the caller asked for the HTTP response: not at all, with its body read, or with a body still to be read."""


class Memory(Protocol):
    """What capture asks of a Memori object."""

    @property
    def executor(self) -> BoundedExecutor:
        """Where every piece of blocking work runs."""

    @property
    def auto_ingest(self) -> bool:
        """Whether calls are answered with what is known."""

    def current_attribution(self) -> Attribution | None:
        """Who is speaking in the current context."""

    def context(
        self, query: str, *, attribution: Attribution, exclude: Sequence[str] = (), opening: bool | None = None
    ) -> Context:
        """Recall and render; blocks. Texts in `exclude` are already in front of the model.

        `opening`: whether the request begins a conversation.
        """

    def record_turn(self, messages: Sequence[Message], *, attribution: Attribution, resent: int) -> Receipt:
        """Store a turn in one transaction; blocks. The first `resent` messages may have been stored before."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as memory sees it.

    `messages`: the whole conversation, system messages included, with `spoken` texts. `human`: the index of the last
    message a human wrote, or None. `query`: what that message says, without markers for its images and files.
    `stream`: the answer comes in pieces. `raw`: what the caller gets is the HTTP response around it. `stateful`: the
    provider keeps the conversation under the id of its answer. `thread`: the id of the kept one this request goes on.
    `model`: the one that was asked for, where answers don't say which gave them.
    """

    messages: tuple[Message, ...]
    human: int | None
    query: str
    stream: bool = False
    raw: Raw = ""
    stateful: bool = False
    thread: str | None = None
    model: str | None = None

    @property
    def said(self) -> tuple[Message, ...]:
        """The messages that are part of the conversation: all but the system's and empty answers."""
        return tuple(
            message
            for message in self.messages
            if message.role != "system" and (message.role != "assistant" or message.content or message.tool_calls)
        )


class Gatherer(ABC):
    """Puts the pieces of one streamed answer together."""

    @abstractmethod
    def add(self, chunk: Any) -> None:
        """Take the next piece, as the client hands it to the application. It must not be changed."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the provider said that the answer is complete."""

    @abstractmethod
    def message(self) -> Message | None:
        """The answer so far, or None when nothing was said yet."""


class Dialect(ABC):
    """How one API of a provider spells a conversation. Stateless; nothing it is given may be changed.

    A method that raises is logged and the call goes on as if the client were not registered.
    """

    def materialise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a shallow copy of the keyword arguments with one-shot iterators made lists, so that memory and
        provider can both read them."""
        return dict(arguments)

    @abstractmethod
    def read(self, arguments: Mapping[str, Any]) -> Request | None:
        """Read the keyword arguments of a call, or return None to leave that call alone."""

    @abstractmethod
    def add_context(self, arguments: Mapping[str, Any], block: str, where: Inject) -> dict[str, Any]:
        """Return a copy of the arguments with the block in it.

        "user": in the last human message, after everything a prompt cache may hold and never between a tool call and
        its result; a string becomes `joined(block, content)`, a list gets one text part more at its end. "system":
        as a message after the leading system ones, or at the end of the instructions. A provider that keeps the
        conversation (`Request.thread`) gets it in the instructions in any case: they are not kept.
        """

    @abstractmethod
    def answer(self, response: Any) -> Message | None:
        """Read the answer of a call that does not stream, or None when there is none.

        Its payload is `provenance(...)`.
        """

    def listen(self, response: Any, hear: Callable[[Any], Any]) -> Any:
        """Return the response to a streaming request with `hear` around what is still to be read of it.

        None where nothing is: the answer is there.
        """
        return hear(response) if hasattr(response, "__next__") or hasattr(response, "__anext__") else None

    @abstractmethod
    def gather(self) -> Gatherer:
        """Begin to read a streamed answer."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a client: its dotted path ("chat.completions.create"), how it speaks, and whether it is awaited.

    `helper`: what it returns at once is a context manager whose `__enter__` makes the request and returns an object
    that reads the stream from its attribute `reads`, or (None) is the stream. `lazy`: an asynchronous one that is not
    awaited; it returns an iterator, and the request may wait until that is read. `positional`: names of the arguments
    that callers may pass by position. `nested`: what it calls in turn, other methods of its own or a client underneath,
    may be registered too; then each Memori object hears the call once, out here.
    """

    path: str
    dialect: Dialect
    asynchronous: bool = False
    helper: bool = False
    reads: str | None = "_raw_stream"
    lazy: bool = False
    positional: tuple[str, ...] = ()
    nested: bool = False


class Adapter(ABC):
    """A provider's clients. One file, one subclass, one `Provider` line with the modules of its client classes."""

    copies: tuple[str, ...] = ()
    """Names of client methods that return another client of the same kind, which is then registered too."""

    views: tuple[str, ...] = ()
    """Names of cached attributes of a client, or of what is on the way to a method, that hold on to the method."""

    everything: Any = None
    """What to register so that every call through this library is heard, whoever makes it."""

    def holder(self, client: Any) -> Any:
        """Return the object whose methods are wrapped: the client, unless its instances take no attributes."""
        return client

    @abstractmethod
    def methods(self, client: Any) -> Sequence[Method]:
        """Return the methods to wrap on this client, or () when it is not a client of this provider."""

    def structured(self, client: Any, model: str) -> StructuredModel:
        """Return what asks this client's model for JSON, so that extraction can use a registered client. Optional.

        Raises `ConfigurationError` where this client cannot be asked, or not from another thread.
        """
        raise ConfigurationError(
            f"A {type(client).__name__} cannot be asked for facts. Set MEMORI_LLM_BASE_URL, or pass an extractor of "
            "your own: LLMExtractor(ask)."
        )


def not_awaited(client: Any) -> ConfigurationError:
    """The error for a client whose event loop is not that of a worker."""
    name = type(client).__name__
    return ConfigurationError(
        f"A {name} works in its own event loop, which the worker has no part in. Register {name.removeprefix('Async')} "
        "too, after it, or set MEMORI_LLM_BASE_URL."
    )


_BLOCK = re.compile(r"<memori_context\b[^<>]*>.*?</memori_context>(?:\n\n)?", re.DOTALL)
_CLOSE = "</memori_context>"


def provenance(*, id: str | None, model: str | None, usage: Any) -> dict[str, Any]:  # noqa: A002 - the field's name
    """Return the payload of an answer: the provider's id of it, the model that gave it, and the tokens it took.

    `usage` is a mapping or a pydantic model, as the provider spells it; what is None is left out.
    """
    dumped = usage.model_dump(mode="json", exclude_none=True, warnings=False) if hasattr(usage, "model_dump") else usage
    found = {"id": id, "model": model, "usage": dict(dumped) if dumped else None}
    return {key: value for key, value in found.items() if value is not None}


def joined(block: str, content: str) -> str:
    """Return the text of a message with the block before it; `spoken` undoes it exactly."""
    return f"{block}\n\n{content}"


def is_context(text: str) -> bool:
    """Whether a context block is in the text already."""
    return _BLOCK.search(text[: _last_end(text)]) is not None


def spoken(parts: Iterable[str]) -> str:
    """Return what a message's texts say, without any context block that an earlier call put there.

    An application may have kept the copy that was sent; what memory said is never stored as said again.
    """
    kept = []
    for part in parts:
        end = _last_end(part)
        text = _BLOCK.sub("", part[:end]) + part[end:]
        if text or not part:
            kept.append(text)
    return "\n".join(kept)


def _last_end(text: str) -> int:
    """Where the last block ends, 0 without one. Past it no opening is looked at: each would be read to the end."""
    at = text.rfind(_CLOSE)
    return 0 if at < 0 else at + len(_CLOSE) + len("\n\n")
