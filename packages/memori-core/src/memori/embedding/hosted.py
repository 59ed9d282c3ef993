"""What embedders that ask a service have in common: batches, checks, and errors that give no secret away."""

from __future__ import annotations

import threading
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from ..errors import ConfigurationError, EmbeddingError
from ..process import on_fork
from .base import Embedder, Space, checked_texts

TIMEOUT = 30.0
# A token of a byte-level tokenizer is a byte at least: a text of this size is within the 8192 tokens that OpenAI takes.
TEXT_BYTES = 8191
BATCH_BYTES = 256 * 1024
PASSING = frozenset({408, 409, 429, 500, 502, 503, 504})
_HINTS = {
    400: "the request was refused; check that the model embeds texts",
    401: "the key was refused; check {key}",
    403: "the key may not use this; check {key}",
    404: "there is no such model or address; check the model's name and {address}",
    422: "the request was refused; check that the model embeds texts",
    429: "too many requests, or the quota is used up",
}


class HostedEmbedder(Embedder):
    """Asks a service. A subclass says how: `connect` makes the SDK's client, `request` embeds one batch.

    `model` is the service's name of a model, and required. `timeout`: seconds that one request may take. Only the first
    8191 bytes of a text's UTF-8 are embedded; a text of white space alone has the first axis for its vector. The
    dimension of a model that is not in `dimensions` is asked for once, by embedding a word, and kept.
    """

    name: ClassVar[str]
    """What comes before the slash."""
    example: ClassVar[str]
    """A model to name in errors."""
    key: ClassVar[str]
    """The environment variable that holds the key."""
    address: ClassVar[str]
    """The environment variable that holds the service's address."""
    dimensions: ClassVar[dict[str, int]] = {}
    """Models whose dimension is known."""
    batch_texts: ClassVar[int]
    """The most texts of one request."""
    attempts: ClassVar[int] = 1
    """How often a request is tried on a passing failure. More than 1 only where the SDK doesn't try again itself."""

    def __init__(self, model: str | None = None, *, timeout: float = TIMEOUT) -> None:
        super().__init__(model)
        if not model:
            raise ConfigurationError(
                f'embedder="{self.name}" needs a model: write embedder="{self.name}/{self.example}", for example.'
            )
        self._model = model
        self._timeout = timeout
        self._dimension = self.dimensions.get(model)
        self._client: Any = None
        self._closing: Any = None
        self._inherited: Any = None
        self._lock = threading.RLock()
        on_fork(self._after_fork)

    @abstractmethod
    def connect(self) -> Any:
        """Make the SDK's client, a context manager. What the SDK raises may pass through."""

    @abstractmethod
    def request(self, client: Any, texts: list[str], *, query: bool) -> Any:
        """Return one vector per text, in order: numbers in rows. What the SDK raises may pass through."""

    @property
    def label(self) -> str:
        """The model's name, as it is stored and shown. Override where it can hold a secret."""
        return self._model

    @property
    def space(self) -> Space:
        """Known at once for the models of `dimensions`; else the first call asks the service, and may raise."""
        if self._dimension is None:
            with self._lock:
                if self._dimension is None:
                    self._dimension = self._asked(["dimension"], query=False).shape[1]
        return Space(self.name, self.label, self._dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text, in as few requests as the service's limits allow."""
        return self._embed(texts, query=False)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, as the service embeds queries."""
        vector: NDArray[np.float32] = self._embed([text], query=True)[0]
        return vector

    def _embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        prepared = [_cut(text) for text in checked_texts(texts)]
        said = [number for number, text in enumerate(prepared) if text]
        dimension = self.space.dimension
        vectors = np.zeros((len(prepared), dimension), dtype=np.float32)
        for batch in _batches(said, prepared, self.batch_texts):
            rows = self._asked([prepared[number] for number in batch], query=query)
            if rows.shape[1] != dimension:
                raise EmbeddingError(f"{self._who} answered {rows.shape[1]} dimensions; it has {dimension}.")
            vectors[batch] = rows
        vectors[[number for number, text in enumerate(prepared) if not text], 0] = 1.0
        return vectors

    def _asked(self, texts: list[str], *, query: bool) -> NDArray[np.float32]:
        """Return the answer of one request, shape (len(texts), any), each row at length 1."""
        try:
            answer = self._tried(texts, query=query)
        except Exception as error:  # noqa: BLE001 - SDKs raise their own errors, of HTTP and of parsing
            failure = self._failure(error)
        else:
            return self._rows(answer, len(texts))
        # Outside the handler: an SDK's error, which may quote a key, is not carried along as the context.
        raise failure

    def _tried(self, texts: list[str], *, query: bool) -> Any:
        client = self._connected()
        for attempt in Retrying(
            retry=retry_if_exception(lambda error: _status(error) in PASSING),
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential_jitter(initial=0.5, max=8.0),
            reraise=True,
        ):
            with attempt:
                return self.request(client, texts, query=query)
        raise AssertionError("unreachable: the last attempt raises")

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self.connect()
                self._closing = weakref.finalize(self, self._client.__exit__, None, None, None)
                self._closing.atexit = False
            return self._client

    def _rows(self, answer: Any, count: int) -> NDArray[np.float32]:
        try:
            rows = np.array(answer, dtype=np.float64)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if rows.ndim != 2 or not rows.size:
            raise EmbeddingError(f"{self._who} did not answer with one vector per text.")
        if len(rows) != count:
            raise EmbeddingError(f"{self._who} answered {len(rows)} vectors for {count} texts.")
        # What is all zeros or not finite stays so, and is refused text by text where it is stored.
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            unit: NDArray[np.float32] = np.divide(rows, lengths, out=rows, where=lengths > 0).astype(np.float32)
        return unit

    def _failure(self, error: Exception) -> EmbeddingError:
        """What went wrong, without the SDK's own words: they may quote a key, an address or a text."""
        if isinstance(error, EmbeddingError):
            return error
        status, kind = _status(error), type(error).__name__
        if status is not None:
            hint = _HINTS.get(status, "the service failed" if status >= 500 else "the request was refused")
        elif isinstance(error, TimeoutError) or "timeout" in kind.casefold():
            hint = f"no answer within {self._timeout:g} s"
        else:
            hint = "no answer that could be read; check {address} and {key}"
        told = f"{kind}, status {status}" if status is not None else kind
        return EmbeddingError(f"{self._who} failed ({told}): {hint.format(key=self.key, address=self.address)}.")

    @property
    def _who(self) -> str:
        return f"The embedder {self.name}/{self.label}"

    def _after_fork(self) -> None:
        # Kept, so that the child doesn't close the parent's connections by freeing them.
        self._inherited, self._client = (self._inherited, self._client), None
        if self._closing is not None:
            self._closing.detach()
        self._lock = threading.RLock()


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= 100 else None


def _cut(text: str) -> str:
    """The beginning of a text, or nothing where there is only white space."""
    return text.encode()[:TEXT_BYTES].decode(errors="ignore").strip()


def _batches(numbers: Sequence[int], texts: Sequence[str], most: int) -> Iterator[list[int]]:
    """Yield the numbers of texts that fit into one request."""
    batch: list[int] = []
    size = 0
    for number in numbers:
        length = len(texts[number].encode())
        if batch and (len(batch) == most or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(number)
        size += length
    if batch:
        yield batch
