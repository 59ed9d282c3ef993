"""The contract of a vector index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VectorIndex(ABC):
    """Nearest neighbours by inner product over the vectors of one entity in one space.

    Ids are int64, chosen by the caller, unique. The caller holds a lock around writes; `search` and `get` may be
    called from several threads at once between them.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    @abstractmethod
    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors, shape (len(ids), dimension), replacing those whose id is there already."""

    @abstractmethod
    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; unknown ids are ignored."""

    @abstractmethod
    def search(self, query: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and inner products of the nearest vectors, best first, at most `limit` and never padded."""

    @abstractmethod
    def get(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of known ids, shape (len(ids), dimension). Raises `KeyError` for an unknown id."""

    @abstractmethod
    def __len__(self) -> int:
        """How many vectors it holds."""
