"""Exact nearest neighbours with FAISS."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ...errors import EmbeddingError
from ...process import on_fork
from .base import VectorIndex


def _after_fork() -> None:
    # A child whose parent searched with several OpenMP threads would wait for threads it hasn't got.
    faiss.omp_set_num_threads(1)


on_fork(_after_fork)


class FaissIndex(VectorIndex):
    """A flat inner-product index. Rows stay dense: the last row moves into the place of a removed one.

    FAISS's own id map shifts all rows and rebuilds itself at each removal; this costs one row.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        if dimension < 1:
            raise ValueError(f"A vector index needs at least one dimension, not {dimension}.")
        self._index: Any = faiss.IndexFlatIP(dimension)
        self._ids = np.empty(0, dtype=np.int64)
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add or replace; of an id given twice the last counts. Raises `EmbeddingError` and changes nothing for
        vectors of another dimension or not finite.
        """
        numbers = _as_ids(ids)
        given = self._checked(vectors, "vectors", (len(numbers), self.dimension), numbers)
        last = {number: position for position, number in enumerate(numbers.tolist())}
        new = [number for number in last if number not in self._row_of]
        if new:
            first = len(self)
            self._index.add(np.ascontiguousarray(given[[last[number] for number in new]]))
            self._reserve(first + len(new))
            self._ids[first : first + len(new)] = new
            self._row_of.update(zip(new, range(first, first + len(new)), strict=True))
        rows = self._rows()
        for number, position in last.items():
            rows[self._row_of[number]] = given[position]

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; unknown ids are ignored."""
        before = len(self)
        rows = self._rows()
        for number in _as_ids(ids).tolist():
            row = self._row_of.pop(number, None)
            if row is None:
                continue
            end = len(self._row_of)
            if row != end:
                rows[row] = rows[end]
                self._ids[row] = self._ids[end]
                self._row_of[int(self._ids[row])] = row
        if len(self) < before:
            self._index.remove_ids(faiss.IDSelectorRange(len(self), before))

    def search(self, query: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and inner products, best first. Raises `EmbeddingError` for a query it cannot compare."""
        given = self._checked(query, "query", (self.dimension,))
        limit = min(limit, len(self))
        if limit < 1:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        products, rows = self._index.search(given[np.newaxis], limit)
        return self._ids[rows[0]], products[0]

    def get(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return copies of the vectors of known ids. Raises `KeyError` naming those it hasn't got."""
        numbers = _as_ids(ids).tolist()
        unknown = [number for number in numbers if number not in self._row_of]
        if unknown:
            raise KeyError(f"no vector has the id {', '.join(map(str, unknown[:10]))}")
        wanted: NDArray[np.float32] = self._rows()[[self._row_of[number] for number in numbers]]
        return wanted

    def _rows(self) -> NDArray[np.float32]:
        """The stored vectors themselves. Valid until the next add or remove."""
        count = int(self._index.ntotal)
        if not count:
            return np.empty((0, self.dimension), dtype=np.float32)
        stored: NDArray[np.float32] = faiss.rev_swig_ptr(self._index.get_xb(), count * self.dimension)
        return stored.reshape(count, self.dimension)

    def _reserve(self, count: int) -> None:
        if count > len(self._ids):
            grown = np.empty(max(count, 2 * len(self._ids)), dtype=np.int64)
            grown[: len(self._ids)] = self._ids
            self._ids = grown

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


def _as_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"Ids are a one-dimensional array of int64, not {array.dtype} of shape {array.shape}.")
    return array.astype(np.int64)
