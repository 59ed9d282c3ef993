"""Vectors in slots: which id is where, which slots still count, and exact search over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK, Blocks


class Slots:
    """A vector keeps its slot for life. A removed one's is skipped; replacing a vector takes a new slot."""

    def __init__(self, vectors: Blocks, ids: NDArray[np.int64], live: NDArray[np.bool_]) -> None:
        self.vectors = vectors
        self._ids = ids
        self._live = live
        slots = np.flatnonzero(live)
        self._slot_of: dict[int, int] = dict(zip(ids[slots].tolist(), slots.tolist(), strict=True))
        # With every id the number of its slot, a mask over ids is one over slots.
        self._identical = bool((ids == np.arange(len(ids))).all())

    @classmethod
    def empty(cls, dimension: int) -> Slots:
        """No slots yet."""
        return cls(Blocks(dimension), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_))

    def __len__(self) -> int:
        """How many vectors count."""
        return len(self._slot_of)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The id of every slot, shape (slots,)."""
        return self._ids[: len(self.vectors)]

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which slots count, shape (slots,)."""
        return self._live[: len(self.vectors)]

    def put(self, ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Give new slots to distinct ids, and their old slots up."""
        self.remove(ids)
        first, end = len(self.vectors), len(self.vectors) + len(ids)
        if end > len(self._ids):
            more = max(end, 2 * len(self._ids)) - len(self._ids)
            self._ids = np.concatenate([self._ids, np.zeros(more, dtype=np.int64)])
            self._live = np.concatenate([self._live, np.zeros(more, dtype=np.bool_)])
        self._ids[first:end], self._live[first:end] = ids, True
        self.vectors.add(vectors)
        self._slot_of.update(zip(ids, range(first, end), strict=True))
        self._identical = self._identical and bool((self._ids[first:end] == np.arange(first, end)).all())

    def remove(self, ids: Iterable[int]) -> None:
        """Give slots up; unknown ids are ignored."""
        self._live[[slot for number in ids if (slot := self._slot_of.pop(number, None)) is not None]] = False

    def of(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """The slots of ids. Raises `KeyError` naming those that have none."""
        unknown = [number for number in ids if number not in self._slot_of]
        if unknown:
            raise KeyError(f"no vector has the id {', '.join(map(str, unknown[:10]))}")
        return np.array([self._slot_of[number] for number in ids], dtype=np.int64)

    def moved_up(self) -> Slots:
        """The same vectors in slots without gaps."""
        slots = np.flatnonzero(self.live)
        moved = Blocks(self.vectors.dimension)
        for start in range(0, len(slots), BLOCK):
            moved.add(self.vectors.take(slots[start : start + BLOCK]))
        return Slots(moved, self._ids[slots], np.ones(len(slots), dtype=np.bool_))

    def chosen(self, allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Which slots may answer when those ids may, shape (slots,); None: all of them."""
        ids = self.ids
        if allowed is None:
            return None if len(ids) == len(self) else self.live
        if self._identical:
            chosen = np.zeros(len(ids), dtype=np.bool_)
            chosen[: len(allowed)] = allowed[: len(ids)]
        else:
            inside = (ids >= 0) & (ids < len(allowed))
            chosen = inside.copy()
            chosen[inside] = allowed[ids[inside]]
        return chosen if len(ids) == len(self) else chosen & self.live

    def nearest(
        self, query: NDArray[np.float32], limit: int, chosen: NDArray[np.bool_] | None, *, first: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The slots from `first` on, of those chosen, with the largest inner products, and these; best first."""
        count = len(self.vectors) - first
        slots = None if chosen is None else np.flatnonzero(chosen[first:]) + first
        if slots is not None and len(slots) < count // 8:
            return best(slots, self.vectors.take(slots) @ query, limit)
        products = np.empty(count, dtype=np.float32)
        for start, rows in self.vectors.parts(first):
            np.matmul(rows, query, out=products[start - first : start - first + len(rows)])
        if slots is None:
            return best(np.arange(first, first + count), products, limit)
        return best(slots, products[slots - first], limit)


def best(
    slots: NDArray[np.int64], products: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The slots of the `limit` largest products, best first, the lower slot first where they are equal."""
    if len(slots) > limit:
        largest = np.argpartition(products, -limit)[-limit:]
        slots, products = slots[largest], products[largest]
    order = np.lexsort((slots, -products))
    return slots[order], products[order]
