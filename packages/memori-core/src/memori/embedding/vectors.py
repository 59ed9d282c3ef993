"""The one way Memori asks an embedder: what it answers, anybody's, is checked, and queries are remembered a while."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import telemetry
from ..errors import EmbeddingError, MemoriError
from ..process import on_fork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import Embedder, Space

TTL = 300.0
MAX_QUERIES = 1024

logger = logging.getLogger(__name__)


def known_space(embedder: Embedder) -> Space | None:
    """Return the embedder's space; None, logged and counted, where it cannot be learnt because a service is down."""
    try:
        return learnt_space(embedder)
    except MemoriError as error:
        telemetry.failure(logger, "learning where vectors live (going on without them)", error)
        return None


def learnt_space(embedder: Embedder) -> Space:
    """Return the embedder's space. One that knows it only once it has answered is given a word to embed first.

    Raises `EmbeddingError`.
    """
    try:
        return embedder.space
    except Exception:  # noqa: BLE001 - an embedder of anybody's may raise anything before it has answered
        _answer(lambda: embedder.embed(["dimension"]), embedder)
        return _answer(lambda: embedder.space, embedder)  # type: ignore[no-any-return]


def embed_texts(embedder: Embedder, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
    """Return one read-only vector per text, shape (dimension,), in order.

    A text whose vector is not finite or all zeros gets None, logged and counted, and costs the others nothing. Raises
    `EmbeddingError` when the embedder fails or its answer as a whole is wrong: its count, dimension or type.
    """
    if not texts:
        return []
    shape = (len(texts), learnt_space(embedder).dimension)
    matrix = _checked(embedder, _answer(lambda: embedder.embed(texts), embedder), shape)
    good = _usable(matrix)
    if not good.all():
        wrong = EmbeddingError(
            f"{int((~good).sum())} of {len(texts)} vectors {_named(embedder)} hold NaN or only zeros"
        )
        telemetry.failure(logger, "embedding a text (stored without a vector)", wrong)
    return [row if usable else None for row, usable in zip(matrix, good.tolist(), strict=True)]


def embed_query(embedder: Embedder, text: str) -> NDArray[np.float32]:
    """Return the read-only vector of a query, shape (dimension,), asking the embedder once in `TTL` seconds.

    Raises `EmbeddingError` for whatever goes wrong, which is not remembered.
    """
    return _queries(embedder).get(text, lambda: _query_vector(embedder, text))


class QueryCache:
    """The newest vectors of one embedder's queries, for `ttl` seconds each. Safe to use from several threads.

    Keys are digests: a query's words don't outlive its recall here.
    """

    def __init__(
        self, *, ttl: float = TTL, size: int = MAX_QUERIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._vectors: OrderedDict[bytes, tuple[float, NDArray[np.float32]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, text: str, embed: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the vector of a text, made by `embed` unless it is known. What `embed` raises passes through."""
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        with self._lock:
            made_at, vector = self._vectors.get(key, (0.0, None))
            if vector is not None and self._clock() - made_at < self._ttl:
                self._vectors.move_to_end(key)
                return vector
        # Outside the lock: a slow embedder must not keep waiting whoever asks what is known.
        vector = embed()
        vector.setflags(write=False)
        with self._lock:
            self._vectors[key] = (self._clock(), vector)
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
        return vector


_caches: dict[int, QueryCache] = {}


def _queries(embedder: Embedder) -> QueryCache:
    """The embedder's own cache. By identity, for an embedder of anybody's may have no hash."""
    cache = _caches.get(id(embedder))
    if cache is None:
        cache = _caches.setdefault(id(embedder), QueryCache())
        weakref.finalize(embedder, _caches.pop, id(embedder), None).atexit = False
    return cache


def _after_fork() -> None:
    # A lock may have been held by a thread that the child does not have.
    _caches.clear()


on_fork(_after_fork)


def _query_vector(embedder: Embedder, text: str) -> NDArray[np.float32]:
    shape = (learnt_space(embedder).dimension,)
    vector = _checked(embedder, _answer(lambda: embedder.embed_query(text), embedder), shape)
    if not _usable(vector[np.newaxis])[0]:
        raise EmbeddingError(f"The vector of a query {_named(embedder)} holds NaN or only zeros.")
    return vector


def _answer(ask: Callable[[], Any], embedder: Embedder) -> Any:
    try:
        return ask()
    except MemoriError:
        raise
    except Exception as error:  # an embedder of anybody's may raise anything
        raise EmbeddingError(f"The embedder {_name(embedder)} failed: {type(error).__name__}: {error}") from error


def _checked(embedder: Embedder, answer: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a read-only float32 copy of an answer of the expected shape, whatever floats it came in."""
    if not isinstance(answer, np.ndarray) or answer.dtype.kind != "f":
        what = f"an array of {answer.dtype}" if isinstance(answer, np.ndarray) else type(answer).__name__
        raise EmbeddingError(f"The answer {_named(embedder)} is {what}; expected an array of float32.")
    if answer.shape != shape:
        raise EmbeddingError(f"The answer {_named(embedder)} has shape {answer.shape}; expected {shape}.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused
        copy: NDArray[np.float32] = np.array(answer, dtype=np.float32, order="C")
    copy.setflags(write=False)
    return copy


def _usable(matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
    usable: NDArray[np.bool_] = np.logical_and(np.isfinite(matrix).all(axis=1), matrix.any(axis=1))
    return usable


def _named(embedder: Embedder) -> str:
    return f"of the embedder {_name(embedder)}"


def _name(embedder: Embedder) -> str:
    try:
        return embedder.space.key
    except Exception:  # noqa: BLE001 - it fails, and is being named in the error that says so
        return type(embedder).__name__
