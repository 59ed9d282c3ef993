"""The indexes of the entities asked about lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ..embedding.base import Space
from ..model import Attribution
from ..storage.base import Storage
from .entity_index import EntityIndex
from .index.base import VectorIndex
from .saved_indexes import SavedIndexes

_Key = tuple[str, str, str]


class IndexCache:
    """Indexes up to `capacity` bytes altogether, by their own estimate; the one longest unused goes first.

    The one in use stays even if it is larger than that. `saved`: where indexes are kept between processes, or None.
    """

    def __init__(
        self, make_vectors: Callable[[int], VectorIndex], *, capacity: int = 2 << 30, saved: SavedIndexes | None = None
    ) -> None:
        self._make_vectors = make_vectors
        self._capacity = capacity
        self._saved = saved
        self._lock = threading.Lock()
        self._indexes: OrderedDict[_Key, EntityIndex] = OrderedDict()
        self._sizes: dict[_Key, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._indexes)

    def current(self, storage: Storage, attribution: Attribution, space: Space) -> EntityIndex:
        """The entity's index at the database's present revision: restored or built, and brought up to it."""
        key = (attribution.namespace, attribution.entity_id, space.key)
        state = storage.state(attribution)
        with self._lock:
            index = self._indexes.get(key)
            if index is None or index.generation not in ("", state.generation):
                if index is not None:
                    index.vectors.close()
                index = self._indexes[key] = EntityIndex(self._make_vectors(space.dimension))
            self._indexes.move_to_end(key)
        with index.lock:
            if index.revision < 0 and self._saved is not None:
                self._saved.restore(index, attribution, space, state, self._make_vectors)
            if index.revision < state.revision:
                delta = storage.changes_since(attribution, space, index.revision)
                if index.generation not in ("", delta.state.generation):
                    # Deleted for good in this very moment: nothing of before may stay.
                    index.become(EntityIndex(self._make_vectors(space.dimension)))
                    delta = storage.changes_since(attribution, space, -1)
                index.apply(delta)
            index.active_space = state.space
        if self._saved is not None:
            self._saved.offer(index, attribution, space)
        self._account(key, index)
        return index

    def clear(self) -> None:
        """Drop every index; the next recall builds afresh."""
        with self._lock:
            dropped, self._indexes = self._indexes, OrderedDict()
            self._sizes, self._total = {}, 0
        for index in dropped.values():
            index.vectors.close()

    def forget(self, attribution: Attribution) -> None:
        """Drop an entity's indexes, and their files."""
        with self._lock:
            gone = [key for key in self._indexes if key[:2] == (attribution.namespace, attribution.entity_id)]
            dropped = [self._indexes.pop(key) for key in gone]
            self._total -= sum(self._sizes.pop(key, 0) for key in gone)
        for index in dropped:
            index.vectors.close()
        if self._saved is not None:
            self._saved.forget(attribution)

    def close(self) -> None:
        """Finish saving within a bound, and drop every index."""
        if self._saved is not None:
            self._saved.close()
        self.clear()

    def after_fork(self) -> None:
        """Start empty in the child. The parent's indexes are neither searched nor freed there."""
        _inherited.append(self._indexes)
        self._lock = threading.Lock()
        self._indexes = OrderedDict()
        self._sizes, self._total = {}, 0
        if self._saved is not None:
            self._saved.after_fork()

    def _account(self, key: _Key, index: EntityIndex) -> None:
        """Note what an index takes by now, and make room."""
        with self._lock:
            if self._indexes.get(key) is not index:
                return
            size = index.size
            self._total += size - self._sizes.get(key, 0)
            self._sizes[key] = size
            while self._total > self._capacity and len(self._indexes) > 1:
                oldest, dropped = self._indexes.popitem(last=False)
                self._total -= self._sizes.pop(oldest, 0)
                dropped.vectors.close()


_inherited: list[object] = []
