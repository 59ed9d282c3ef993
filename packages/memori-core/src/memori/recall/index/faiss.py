"""Nearest neighbours with FAISS: exact for a few; an inverted file of 8-bit codes, scored again exactly, for many."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ... import telemetry
from ...errors import EmbeddingError
from ...process import on_fork
from ..background import in_background
from .base import VectorIndex
from .blocks import Blocks
from .slots import Slots, best
from .training import STEP, clusters

logger = logging.getLogger("memori.recall")

APPROXIMATE_FROM = 5_000
"""Vectors from which searching partitions is faster than searching all; see benchmarks/recall_scale.py."""
FEW = 1_000
"""Allowed vectors up to which comparing just those is faster than searching partitions."""
TAIL = 256
"""New vectors compared one by one, until so many are sorted into partitions together."""
PROBED = 48
"""Partitions that a search looks into."""


def _after_fork() -> None:
    # A child whose parent searched with several OpenMP threads would wait for threads it hasn't got.
    faiss.omp_set_num_threads(1)


on_fork(_after_fork)


class FaissIndex(VectorIndex):
    """Products are always exact; which vectors are nearest is exact below `approximate_from` of them.

    From there on partitions are trained in the background. Until they are ready the exact search answers.
    """

    def __init__(self, dimension: int, *, approximate_from: int = APPROXIMATE_FROM) -> None:
        super().__init__(dimension)
        if dimension < 1:
            raise ValueError(f"A vector index needs at least one dimension, not {dimension}.")
        self._approximate_from = approximate_from
        self._slots = Slots.empty(dimension)
        self._partitions: _Partitions | None = None
        self._training: threading.Event | None = None
        """Set when the training that is running has ended."""
        self._changing = threading.Lock()
        """Held while partitions are added to, replaced or written out."""

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def approximate(self) -> bool:
        """Whether searches look into partitions by now."""
        return self._partitions is not None

    @property
    def settled(self) -> bool:
        """Whether no training is running."""
        training = self._training
        return training is None or training.is_set()

    @property
    def size(self) -> int:
        """Bytes of the vectors, their codes and the maps between ids and slots."""
        codes = 0 if self._partitions is None else (self.dimension + 8) * self._partitions.count
        return len(self._slots.vectors) * (4 * self.dimension + 9) + 100 * len(self) + codes

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add or replace; of an id given twice the last counts. Raises `EmbeddingError` and changes nothing for
        vectors of another dimension or not finite.
        """
        numbers = _as_ids(ids)
        given = self._checked(vectors, "vectors", (len(numbers), self.dimension), numbers)
        last = {number: position for position, number in enumerate(numbers.tolist())}
        self._slots.put(list(last), given if len(last) == len(numbers) else given[list(last.values())])
        self._tidy()

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; unknown ids are ignored."""
        self._slots.remove(_as_ids(ids).tolist())
        self._tidy()

    def search(
        self, query: NDArray[np.float32], limit: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and inner products, best first. Raises `EmbeddingError` for a query it cannot compare."""
        given = self._checked(query, "query", (self.dimension,))
        chosen = self._slots.chosen(allowed)
        eligible = len(self) if chosen is None else int(np.count_nonzero(chosen))
        limit = min(limit, eligible)
        if limit < 1:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        found = None
        if self._partitions is not None and eligible > max(FEW, 4 * limit):
            found = self._approximate(given, limit, chosen, eligible, self._partitions)
        slots, products = found or self._slots.nearest(given, limit, chosen)
        return self._slots.ids[slots], products

    def get(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return copies of the vectors of known ids. Raises `KeyError` naming those it hasn't got."""
        return self._slots.vectors.take(self._slots.of(_as_ids(ids).tolist()))

    def saved(self) -> Mapping[str, Iterable[NDArray[Any]]]:
        """The vectors by slot, their ids, which of them count, and the partitions if there are any."""
        vectors = self._slots.vectors.first(len(self._slots.vectors))
        ids, live = self._slots.ids.copy(), self._slots.live.copy()
        return {
            "vectors": (np.where(live[at : at + len(rows), None], rows, 0) for at, rows in vectors.parts(size=4096)),
            "ids": (ids,),
            "live": (live,),
            "partitions": self._written(self._slots, len(ids)),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Take over saved arrays; the vectors stay where they are, the rest is copied. False: training goes on."""
        ids, live = arrays["ids"].view(np.int64).copy(), arrays["live"].view(np.bool_).copy()
        vectors = arrays["vectors"].view(np.float32).reshape(-1, self.dimension)
        if not len(ids) == len(live) == len(vectors):
            raise ValueError("the vectors, ids and marks are not equally many")
        self._slots = Slots(Blocks.of(vectors), ids, live)
        if arrays["partitions"].size:
            index = faiss.deserialize_index(arrays["partitions"].view(np.uint8).copy())
            if index.d != self.dimension or index.ntotal > len(ids):
                raise ValueError("the partitions are of other vectors")
            self._partitions = _Partitions(index)
        return not self._tidy()

    def close(self) -> None:
        """Let go of a training that is running: it stops at its next step."""
        self._training = None

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until no training is running, at most `timeout` seconds; return whether none is."""
        training = self._training
        return training is None or training.wait(timeout)

    def _approximate(
        self,
        query: NDArray[np.float32],
        limit: int,
        chosen: NDArray[np.bool_] | None,
        eligible: int,
        partitions: _Partitions,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The nearest by their codes, and of those by their vectors; vectors not sorted in yet are all compared.

        None when too few were found: then what is allowed lies in partitions that were not looked into.
        """
        near = partitions.search(query, 2 * limit + 16, chosen, eligible / len(self._slots.vectors))
        slots, products = near, self._slots.vectors.take(near) @ query
        if partitions.count < len(self._slots.vectors):
            new, theirs = self._slots.nearest(query, limit, chosen, first=partitions.count)
            slots, products = np.concatenate([slots, new]), np.concatenate([products, theirs])
        return best(slots, products, limit) if len(slots) >= limit else None

    def _tidy(self) -> bool:
        """After a change: close gaps, sort new vectors in, train for the first time or for twice as many.

        Return whether a training began.
        """
        slots = self._slots
        if len(slots.vectors) > 2 * len(slots) + TAIL:
            # A training that is running finds that it is no longer the one, and stops.
            moved = slots.moved_up()
            with self._changing:
                self._slots, self._partitions, self._training = moved, None, None
        partitions = self._partitions
        if partitions is not None and self._changing.acquire(blocking=False):
            try:
                partitions.follow(self._slots.vectors)
            finally:
                self._changing.release()
        trained_for = 0 if partitions is None else partitions.trained_for
        due = self._training is None and len(self) >= max(self._approximate_from, 2 * trained_for, 1)
        if due:
            self._train()
        return due

    def _train(self) -> None:
        self._training = done = threading.Event()
        this = weakref.ref(self)
        vectors, live = self._slots.vectors, self._slots.live.copy()

        def wanted() -> bool:
            index = this()
            if index is not None and index._training is done:
                return True
            done.set()
            return False

        def failed(error: Exception) -> None:
            telemetry.failure(logger, "training an index (searching exactly instead)", error)
            done.set()

        def steps() -> Generator[None, None, None]:
            partitions = yield from _Partitions.trained(vectors, live)
            index = this()
            if index is not None:
                with index._changing:
                    if index._training is done:
                        index._partitions, index._training = partitions, None
            done.set()

        in_background(steps(), wanted=wanted, failed=failed, begin=lambda: faiss.omp_set_num_threads(1))

    def _written(self, slots: Slots, count: int) -> Iterator[NDArray[np.uint8]]:
        """The partitions as bytes, if they are of the first `count` of those slots."""
        written = None
        with self._changing:
            partitions = self._partitions
            if partitions is not None and self._slots is slots and partitions.count <= count:
                written = faiss.serialize_index(partitions.index)
        if written is not None:
            yield written

    def _checked(
        self,
        values: NDArray[np.float32],
        what: str,
        shape: tuple[int, ...],
        ids: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(values, dtype=np.float32)
        if array.shape != shape:
            raise EmbeddingError(f"The {what} have shape {array.shape}; this index needs {shape}.")
        finite = np.isfinite(array)
        if not finite.all():
            bad = [] if ids is None else ids[~finite.all(axis=1)].tolist()[:10]
            named = f" of id {', '.join(map(str, bad))}" if bad else ""
            raise EmbeddingError(f"The {what}{named} hold NaN or infinity; nothing was changed. Embed the text again.")
        return array


class _Partitions:
    """An inverted file: the slots by the centre they are nearest to, with codes of 8 bits a dimension."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.count = int(index.ntotal)
        """The first slots, all of which are sorted in."""
        self.trained_for = self.count

    @classmethod
    def trained(cls, vectors: Blocks, live: NDArray[np.bool_]) -> Generator[None, None, _Partitions]:
        """Return partitions of all vectors, those added meanwhile included; yields between steps."""
        count = len(vectors)
        slots = np.concatenate([np.flatnonzero(live), np.arange(len(live), count)])
        number = min(int(4 * len(slots) ** 0.5), len(slots))
        chosen = np.random.default_rng(7).choice(slots, min(len(slots), 32 * number), replace=False)
        sample = vectors.take(np.sort(chosen))
        centres = yield from clusters(sample, number)
        quantizer = faiss.IndexFlatIP(vectors.dimension)
        quantizer.add(centres)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, vectors.dimension, number, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        index.train(sample[:20_000])
        made = cls(index)
        yield
        while len(vectors) - made.count >= (TAIL if made.count else 1):
            if len(vectors) >= 2 * count:
                # So many came meanwhile that these partitions would be too large.
                return (yield from cls.trained(vectors, live))
            made.follow(vectors, at_least=1)
            yield
        made.trained_for = len(slots)
        return made

    def follow(self, vectors: Blocks, *, at_least: int = TAIL) -> None:
        """Sort the next vectors in, a step's number at most."""
        end = min(len(vectors), self.count + STEP)
        if end - self.count >= at_least:
            self.index.add(vectors.take(np.arange(self.count, end)))
            self.count = end

    def search(
        self, query: NDArray[np.float32], limit: int, chosen: NDArray[np.bool_] | None, share: float
    ) -> NDArray[np.int64]:
        """The chosen slots nearest by their codes, `limit` at most. The fewer are chosen, the more is looked into."""
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(self.index.nlist, int(PROBED / max(share, 1e-9)))
        if chosen is not None:
            bits = np.packbits(chosen[: self.count], bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters.sel = selector
        _, found = self.index.search(query[np.newaxis], limit, params=parameters)
        slots: NDArray[np.int64] = found[0][found[0] >= 0]
        return slots


def _as_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"Ids are a one-dimensional array of int64, not {array.dtype} of shape {array.shape}.")
    return array.astype(np.int64)
