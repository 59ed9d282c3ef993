"""One entity's memories, ready to be searched: a cache of SQL, kept current by revision."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Space
from ..model import KINDS, Attribution, Kind
from ..storage.base import Delta, IndexRow, Storage
from .index.base import VectorIndex
from .index.words import WordIndex

_ALWAYS = -(2**62)
_FOREVER = 2**62


class EntityIndex:
    """Rows are numbered as they arrive; a changed fact gets a new number and the old one dies.

    Hold `lock` while reading or changing it. A damaged or missing vector leaves a row to be found by its words.
    """

    def __init__(self, vectors: VectorIndex) -> None:
        self.vectors = vectors
        self.words = WordIndex()
        self.rows: list[IndexRow] = []
        self.embedded = array("b")
        self.episode_at: dict[tuple[str, int], int] = {}
        self.said_by: dict[str, set[int]] = {}
        self.revision = -1
        self.generation = ""
        self.active_space: Space | None = None
        self.lock = threading.RLock()
        self._number_of: dict[str, int] = {}
        self._kinds = array("b")
        self._active = array("b")
        self._alive = array("b")
        self._began = array("q")
        self._ended = array("q")

    def __len__(self) -> int:
        return len(self._number_of)

    def apply(self, delta: Delta) -> None:
        """Bring the index to the delta's state."""
        owners: list[int] = []
        vectors: list[NDArray[np.float32]] = []
        for row in delta.rows:
            self._drop(row.fact_id)
            if row.status not in ("active", "superseded"):
                continue
            number = self._add(row)
            if row.vectors is not None:
                owners.append(number)
                vectors.append(row.vectors[0])
        if owners:
            self.vectors.put(np.array(owners, dtype=np.int64), np.stack(vectors))
        self.revision, self.generation = delta.state.revision, delta.state.generation

    def allowed(self, *, kinds: Collection[Kind] | None, as_of: datetime | None) -> NDArray[np.bool_]:
        """Which numbers may be returned: of those kinds, and active now or true in the world at `as_of`."""
        mask: NDArray[np.bool_] = np.array(self._alive, dtype=np.bool_)
        moment = _micros(as_of or datetime.now(UTC))
        mask &= np.array(self._ended) > moment
        mask &= np.array(self._active, dtype=np.bool_) if as_of is None else np.array(self._began) <= moment
        if kinds is not None:
            mask &= np.isin(np.array(self._kinds), [KINDS.index(kind) for kind in kinds])
        return mask

    def _add(self, row: IndexRow) -> int:
        number = self.words.add(row.text.split())
        self.rows.append(replace(row, vectors=None))
        self.embedded.append(row.vectors is not None)
        self._number_of[row.fact_id] = number
        self._kinds.append(KINDS.index(row.kind))
        self._active.append(row.status == "active")
        self._alive.append(True)
        began = row.valid_from or row.said_at
        self._began.append(_ALWAYS if began is None else _micros(began))
        self._ended.append(_FOREVER if row.valid_to is None else _micros(row.valid_to))
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            self.episode_at[row.session_id, row.position] = number
        if row.speaker:
            self.said_by.setdefault(row.speaker.casefold(), set()).add(number)
        return number

    def _drop(self, fact_id: str) -> None:
        number = self._number_of.pop(fact_id, None)
        if number is None:
            return
        row = self.rows[number]
        self._alive[number] = False
        self.words.remove(number, row.text.split())
        if self.embedded[number]:
            self.vectors.remove(np.array([number], dtype=np.int64))
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            self.episode_at.pop((row.session_id, row.position), None)
        if row.speaker:
            said = self.said_by[row.speaker.casefold()]
            said.discard(number)
            if not said:
                del self.said_by[row.speaker.casefold()]


class IndexCache:
    """The indexes of the entities asked about lately, at most `capacity` memories altogether."""

    def __init__(self, make_vectors: Callable[[int], VectorIndex], *, capacity: int = 2_000_000) -> None:
        self._make_vectors = make_vectors
        self._capacity = capacity
        self._lock = threading.Lock()
        self._indexes: OrderedDict[tuple[str, str, str], EntityIndex] = OrderedDict()

    def current(self, storage: Storage, attribution: Attribution, space: Space) -> EntityIndex:
        """The entity's index at the database's present revision: built, or brought up by what changed since."""
        key = (attribution.namespace, attribution.entity_id, space.key)
        state = storage.state(attribution)
        with self._lock:
            index = self._indexes.get(key)
            if index is None or index.generation not in ("", state.generation):
                index = self._indexes[key] = EntityIndex(self._make_vectors(space.dimension))
            self._indexes.move_to_end(key)
        with index.lock:
            if index.revision < state.revision:
                index.apply(storage.changes_since(attribution, space, index.revision))
            index.active_space = state.space
        self._evict()
        return index

    def clear(self) -> None:
        """Drop every index; the next recall builds afresh."""
        with self._lock:
            self._indexes.clear()

    def after_fork(self) -> None:
        """Start empty in the child. The parent's indexes are neither searched nor freed there."""
        _inherited.append(self._indexes)
        self._lock = threading.Lock()
        self._indexes = OrderedDict()

    def _evict(self) -> None:
        with self._lock:
            total = sum(len(index) for index in self._indexes.values())
            while total > self._capacity and len(self._indexes) > 1:
                _, oldest = self._indexes.popitem(last=False)
                total -= len(oldest)


_inherited: list[object] = []


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
