"""Exact search over a few vectors: no graph, no training, gone with the query it was made for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import VectorIndex
from .slots import Slots


class ExactIndex(VectorIndex):
    """All inner products, in memory."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self._slots = Slots.empty(dimension)

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add or replace vectors."""
        self._slots.put(ids.tolist(), np.ascontiguousarray(vectors, dtype=np.float32))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors."""
        self._slots.remove(ids.tolist())

    def search(
        self, query: NDArray[np.float32], limit: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest by comparison with every one."""
        slots, products = self._slots.nearest(query, limit, self._slots.chosen(allowed))
        return self._slots.ids[slots], products

    def get(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of ids."""
        return self._slots.vectors.take(self._slots.of(ids.tolist()))

    def __len__(self) -> int:
        return len(self._slots)
