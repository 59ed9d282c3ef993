"""One entity's memories, ready to be searched: a cache of SQL, kept current by revision."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Space
from ..model import KINDS, Kind
from ..storage.records import Delta, EntityState, IndexRow
from ..text import terms
from .index.base import VectorIndex
from .index.words import WordIndex
from .saved_rows import decoded, decoded_terms, encoded, encoded_terms, micros

_ALWAYS = -(2**62)
_FOREVER = 2**62
_ROW_BYTES = 700
"""What a row takes beside its text: the row itself, its times and its places in the maps."""
_TERMS_AT_ONCE = 500


class EntityIndex:
    """Rows are numbered as they arrive; a changed fact gets a new number and the old one dies.

    Hold `lock` while reading or changing it. A damaged or missing vector leaves a row to be found by its words. A row
    of several passages has a vector for each: it is as close to a query as the closest of them. `words`: where their
    words go.
    """

    def __init__(self, vectors: VectorIndex, words: WordIndex | None = None) -> None:
        self.vectors = vectors
        self.words = WordIndex() if words is None else words
        self.rows: list[IndexRow] = []
        self.embedded = array("b")
        self.episode_at: dict[tuple[str, int], int] = {}
        self.said_by: dict[str, set[int]] = {}
        self.nodes_of: dict[int, tuple[tuple[str, ...], ...]] = {}
        self.nodes_with: dict[str, set[tuple[str, ...]]] = {}
        self.about: dict[tuple[str, ...], set[int]] = {}
        self.revision = -1
        self.generation = ""
        self.active_space: Space | None = None
        self.lock = threading.RLock()
        self.unsaved = 0
        """Rows changed since the index was saved or restored."""
        self._number_of: dict[str, int] = {}
        self._kinds = array("b")
        self._active = array("b")
        self._alive = array("b")
        self._began = array("q")
        self._ended = array("q")
        self._first_vector = array("q")
        self._passages = array("q")
        self._owner = array("q")
        """The number of the row of each vector; vectors are numbered as they arrive too."""
        self._characters = 0
        self._owner_array: NDArray[np.int64] | None = None
        self._present: tuple[NDArray[np.bool_], int] | None = None

    def __len__(self) -> int:
        return len(self._number_of)

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return self.vectors.size + self.words.size + _ROW_BYTES * len(self.rows) + self._characters

    def apply(self, delta: Delta) -> None:
        """Bring the index to the delta's state."""
        gone: list[int] = []
        new: list[NDArray[np.float32]] = []
        first = len(self._owner)
        for row in delta.rows:
            gone += self._drop(row.fact_id)
            if row.status not in ("active", "superseded"):
                continue
            self._add(row, self.words.add(row.text.split()), 0 if row.vectors is None else len(row.vectors))
            if row.vectors is not None:
                new.append(row.vectors)
        if new:
            self.vectors.put(np.arange(first, len(self._owner), dtype=np.int64), np.concatenate(new))
        if gone:
            self.vectors.remove(np.array(gone, dtype=np.int64))
        self.revision, self.generation = delta.state.revision, delta.state.generation
        self.unsaved += len(delta.rows)
        self._present = self._owner_array = None

    def allowed(self, *, kinds: Collection[Kind] | None, as_of: datetime | None) -> NDArray[np.bool_]:
        """Which numbers may be returned: of those kinds, and active now or true in the world at `as_of`."""
        moment = micros(as_of or datetime.now(UTC))
        mask = self._active_at(moment) if as_of is None else self._true_at(moment)
        if kinds is not None:
            mask &= np.isin(np.array(self._kinds), [KINDS.index(kind) for kind in kinds])
        return mask

    def within(self, start: datetime, end: datetime) -> NDArray[np.bool_]:
        """Which numbers began, or where nothing else is known were said, from `start` on and before `end`."""
        began = np.array(self._began, dtype=np.int64)
        inside: NDArray[np.bool_] = (began >= micros(start)) & (began < micros(end))
        return inside

    def before(self, number: int) -> str | None:
        """The id of the memory of the turn just before an episode, in the same session."""
        row = self.rows[number]
        if row.kind != "episode" or row.session_id is None or row.position is None:
            return None
        previous = self.episode_at.get((row.session_id, row.position - 1))
        return None if previous is None else self.rows[previous].fact_id

    def nearest(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The allowed rows closest to the query and how close their best passages are, best first.

        Each row once, at most `limit`, and as many as there are.
        """
        if not len(self.vectors):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        owner = self._owners()
        visible = None if np.count_nonzero(allowed) == len(self) else allowed[owner]
        asked = limit
        while True:
            found, products = self.vectors.search(query, asked, allowed=visible)
            numbers, best = np.unique(owner[found], return_index=True)
            order = np.argsort(best)[:limit]
            if len(numbers) >= limit or len(found) < asked:
                return numbers[order], products[best[order]]
            asked *= 2

    def closeness(self, numbers: Sequence[int], query: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """How close each of those rows is to the query by its best passage; 0 for one without vectors, or no query."""
        closeness = np.zeros(len(numbers), dtype=np.float32)
        places = [place for place, number in enumerate(numbers) if self.embedded[number]]
        if query is None or not places:
            return closeness
        first = np.array([self._first_vector[numbers[place]] for place in places])
        count = np.array([self._passages[numbers[place]] for place in places])
        starts = np.cumsum(count) - count
        ids = np.arange(count.sum()) + np.repeat(first - starts, count)
        closeness[places] = np.maximum.reduceat(self.vectors.get(ids) @ query, starts)
        return closeness

    def saved(self) -> Mapping[str, Iterable[NDArray[Any]]] | None:
        """Arrays from which `restore` makes the same index without its dead rows; None if its vectors can't be saved.

        Hold `lock` for the call. The pieces are made when they are asked for, and take the lock for moments only.
        """
        vectors = self.vectors.saved()
        if vectors is None:
            return None
        alive = np.array(self._alive, dtype=np.bool_)
        numbers = np.flatnonzero(alive)
        renumbered = np.where(alive, np.cumsum(alive) - 1, -1)
        rows = [self.rows[number] for number in numbers.tolist()]
        arrays = {
            "owner": renumbered[np.array(self._owner, dtype=np.int64)],
            "first": np.array(self._first_vector, dtype=np.int64)[numbers],
            "passages": np.array(self._passages, dtype=np.int64)[numbers],
            "lengths": self.words.lengths[numbers],
        }
        pieces: dict[str, Iterable[NDArray[Any]]] = {name: (part,) for name, part in arrays.items()}
        pieces |= {f"vectors.{name}": part for name, part in vectors.items()}
        pieces["rows"] = encoded(rows)
        self.unsaved = 0
        return pieces | encoded_terms(self.words.terms(), lambda terms: self._postings(terms, renumbered))

    def restore(self, arrays: Mapping[str, NDArray[Any]], state: EntityState) -> None:
        """Become, from empty, what was saved at that state. Raises `ValueError` for what does not fit together."""
        prefix = "vectors."
        parts = {name[len(prefix) :]: part for name, part in arrays.items() if name.startswith(prefix)}
        whole = self.vectors.restore(parts)
        self._owner = array("q", arrays["owner"].tobytes())
        first, passages = (arrays[name].view(np.int64).tolist() for name in ("first", "passages"))
        lengths = arrays["lengths"].view(np.float32)
        rows = list(decoded(arrays["rows"]))
        if not len(rows) == len(first) == len(passages) == len(lengths):
            raise ValueError("rows, lengths and vectors are not equally many")
        for number, row in enumerate(rows):
            self._add(row, number, passages[number], first=first[number])
        self.words.restore(lengths, decoded_terms(arrays))
        self.revision, self.generation = state.revision, state.generation
        # Saved before its training was over: worth saving again when that is.
        self.unsaved = 0 if whole else len(self)

    def become(self, other: EntityIndex) -> None:
        """Take over all that another index holds. Hold `lock`, which stays."""
        vars(self).update({**vars(other), "lock": self.lock})

    def _owners(self) -> NDArray[np.int64]:
        if self._owner_array is None:
            self._owner_array = np.array(self._owner, dtype=np.int64)
        return self._owner_array

    def _active_at(self, moment: int) -> NDArray[np.bool_]:
        """What is active and not over, computed again only when something changed or is over by now."""
        if self._present is None or moment >= self._present[1]:
            mask: NDArray[np.bool_] = np.array(self._alive, dtype=np.bool_) & np.array(self._active, dtype=np.bool_)
            ended = np.array(self._ended, dtype=np.int64)
            mask &= ended > moment
            self._present = mask, int(ended[mask].min(initial=_FOREVER))
        return self._present[0].copy()

    def _true_at(self, moment: int) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = np.array(self._alive, dtype=np.bool_)
        mask &= np.array(self._ended, dtype=np.int64) > moment
        mask &= np.array(self._began, dtype=np.int64) <= moment
        return mask

    def _postings(
        self, terms: Sequence[str], renumbered: NDArray[np.int64]
    ) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]:
        """The postings of terms among the rows that were alive, by their new numbers."""
        for start in range(0, len(terms), _TERMS_AT_ONCE):
            held = []
            with self.lock:
                for term in terms[start : start + _TERMS_AT_ONCE]:
                    documents, frequencies = self.words.postings(term)
                    known = documents < len(renumbered)
                    held.append((term, documents[known], frequencies[known]))
            for term, documents, frequencies in held:
                new = renumbered[documents]
                if (kept := new >= 0).any():
                    yield term, new[kept], frequencies[kept]

    def _add(self, row: IndexRow, number: int, passages: int, *, first: int | None = None) -> None:
        self.rows.append(replace(row, vectors=None) if row.vectors is not None else row)
        self.embedded.append(passages > 0)
        self._passages.append(passages)
        self._first_vector.append(len(self._owner) if first is None else first)
        if first is None:
            self._owner.extend([number] * passages)
        self._number_of[row.fact_id] = number
        self._kinds.append(KINDS.index(row.kind))
        self._active.append(row.status == "active")
        self._alive.append(True)
        began = row.valid_from or row.said_at
        self._began.append(_ALWAYS if began is None else micros(began))
        self._ended.append(_FOREVER if row.valid_to is None else micros(row.valid_to))
        self._characters += len(row.text)
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            self.episode_at[row.session_id, row.position] = number
        if row.speaker:
            self.said_by.setdefault(row.speaker.casefold(), set()).add(number)
        if row.nodes:
            self._link(number, row.nodes)

    def _link(self, number: int, names: tuple[str, ...]) -> None:
        nodes = tuple({tuple(terms(name)): None for name in names if terms(name)})
        self.nodes_of[number] = nodes
        for node in nodes:
            self.about.setdefault(node, set()).add(number)
            for word in node:
                self.nodes_with.setdefault(word, set()).add(node)

    def _unlink(self, number: int) -> None:
        for node in self.nodes_of.pop(number, ()):
            about = self.about[node]
            about.discard(number)
            if not about:
                del self.about[node]
                for word in set(node):
                    self.nodes_with[word].discard(node)

    def _drop(self, fact_id: str) -> range:
        """Let a row die; return the ids of its vectors."""
        number = self._number_of.pop(fact_id, None)
        if number is None:
            return range(0)
        row = self.rows[number]
        self._alive[number] = False
        self._unlink(number)
        self.words.remove(number, row.text.split())
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            self.episode_at.pop((row.session_id, row.position), None)
        if row.speaker:
            said = self.said_by[row.speaker.casefold()]
            said.discard(number)
            if not said:
                del self.said_by[row.speaker.casefold()]
        return range(self._first_vector[number], self._first_vector[number] + self._passages[number])
