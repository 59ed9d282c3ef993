"""A matrix that only grows, in blocks: growing copies one block at most, and a file's rows can be its beginning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 65_536
"""Rows of a block; a multiple of 8, so that the bits of a selection divide where blocks do."""


class Blocks:
    """Rows of float32, numbered from 0. Rows once added never change, so a reader needs no lock."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._blocks: list[NDArray[np.float32]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Blocks:
        """Blocks that begin with these rows, shape (count, dimension), uncopied; they may be read-only.

        The last block is full as it is, whatever its length, so adding to it copies it first.
        """
        made = cls(rows.shape[1])
        made._blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
        made._count = len(rows)
        return made

    def first(self, count: int) -> Blocks:
        """The first rows as they are now, unaffected by what is added later."""
        view = Blocks(self.dimension)
        view._blocks = list(self._blocks)
        view._count = count
        return view

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append copies of the rows."""
        while len(rows):
            used = self._count % BLOCK
            if not used:
                self._blocks.append(np.empty((min(BLOCK, max(64, len(rows))), self.dimension), dtype=np.float32))
            block = self._blocks[-1]
            taken = min(len(rows), BLOCK - used)
            if used + taken > len(block):
                grown = np.empty((min(BLOCK, max(used + taken, 2 * len(block))), self.dimension), dtype=np.float32)
                grown[:used] = block[:used]
                self._blocks[-1] = block = grown
            block[used : used + taken] = rows[:taken]
            self._count += taken
            rows = rows[taken:]

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Copies of rows, in the order of their numbers."""
        taken = np.empty((len(numbers), self.dimension), dtype=np.float32)
        blocks, places = np.divmod(numbers, BLOCK)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            taken[here] = self._blocks[block][places[here]]
        return taken

    def parts(self, first: int = 0, *, size: int = BLOCK) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The rows from `first` on, in order: the number of the first of each part and the rows, `size` at most."""
        while first < self._count:
            place = first % BLOCK
            length = min(size, BLOCK - place, self._count - first)
            yield first, self._blocks[first // BLOCK][place : place + length]
            first += length
