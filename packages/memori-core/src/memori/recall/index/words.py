"""An inverted index over one entity's memories, scored by BM25 (Robertson and Zaragoza, 2009)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

K1 = 0.9
B = 0.4
_GROUP = 64
_UNHEARD = 10.0
"""The rarity of a term that no document holds, where a share of all terms is wanted."""
_NO_DOCUMENTS = np.empty(0, dtype=np.int64)
_NO_FREQUENCIES = np.empty(0, dtype=np.float32)

Postings = tuple[NDArray[np.int64], NDArray[np.float32]]
"""The numbers of the documents that hold a term, ascending, and how often each holds it."""


class WordIndex:
    """Maps terms to the documents that hold them. Documents are numbered from 0 in the order they are added.

    Adding is cheap; a removed document keeps its number and no longer counts. The caller holds a lock around changes.
    `only`: the terms that will be asked for, where that is known; the others count in a document's length alone.
    """

    def __init__(self, only: Collection[str] | None = None) -> None:
        self._only = None if only is None else frozenset(only)
        self._documents: dict[str, array[int]] = {}
        self._frequencies: dict[str, array[float]] = {}
        self._saved: dict[str, Postings] = {}
        """Postings taken over by `restore`, which those above continue."""
        self._counts: Counter[str] = Counter()
        self._lengths: array[float] = array("f")
        self._total = 0.0
        self._alive = 0
        self._postings = 0
        self._norms: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return self._alive

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return 12 * self._postings + 4 * len(self._lengths) + 400 * len(self._counts)

    def add(self, terms: Iterable[str]) -> int:
        """Add a document and return its number."""
        number = len(self._lengths)
        counts = Counter(terms)
        length = counts.total()
        for term in counts if self._only is None else self._only.intersection(counts):
            frequency = counts[term]
            documents = self._documents.get(term)
            if documents is None:
                documents = self._documents[term] = array("q")
                self._frequencies[term] = array("f")
            documents.append(number)
            self._frequencies[term].append(frequency)
            self._counts[term] += 1
            self._postings += 1
        self._lengths.append(length)
        self._total += length
        self._alive += 1
        self._norms = None
        return number

    def remove(self, number: int, terms: Iterable[str]) -> None:
        """Take a document out of the statistics. The caller masks its score."""
        for term in set(terms):
            self._counts[term] -= 1
        self._total -= self._lengths[number]
        self._alive -= 1
        self._norms = None

    def rarity(self, term: str) -> float:
        """Inverse document frequency, never negative; 0 for a term no document holds."""
        holding = self._counts.get(term, 0)
        return float(np.log1p((self._alive - holding + 0.5) / (holding + 0.5))) if holding > 0 else 0.0

    def scores(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """The BM25 score of every document, shape (documents added,). Removed ones may score too."""
        scores = np.zeros(len(self._lengths), dtype=np.float32)
        norm = self._norm()
        for term, repeats in Counter(terms).items():
            weight = repeats * self.rarity(term) * (K1 + 1)
            if weight > 0.0:
                documents, frequencies = self.postings(term)
                scores[documents] += np.float32(weight) * frequencies / (frequencies + norm[documents])
        return scores

    def coverage(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """The share of the terms' rarity that every document holds, 0..1, shape (documents added,)."""
        weights = {term: self.rarity(term) or _UNHEARD for term in set(terms)}
        held = np.zeros(len(self._lengths), dtype=np.float32)
        for term, weight in weights.items():
            held[self.postings(term)[0]] += np.float32(weight)
        return held / np.float32(sum(weights.values()) or 1.0)

    def postings(self, term: str) -> Postings:
        """Where a term stands. Views: valid until the next `add`."""
        saved = self._saved.get(term)
        added = self._documents.get(term)
        if added is None:
            return saved or (_NO_DOCUMENTS, _NO_FREQUENCIES)
        documents = np.frombuffer(added, dtype=np.int64)
        frequencies = np.frombuffer(self._frequencies[term], dtype=np.float32)
        if saved is None:
            return documents, frequencies
        return np.concatenate([saved[0], documents]), np.concatenate([saved[1], frequencies])

    @property
    def lengths(self) -> NDArray[np.float32]:
        """How many terms each document has, shape (documents added,); a copy."""
        return np.array(self._lengths, dtype=np.float32)

    def terms(self) -> list[str]:
        """Every term that a document ever held."""
        return list(self._counts)

    def restore(self, lengths: NDArray[np.float32], postings: Mapping[str, Postings]) -> None:
        """Become, from empty, an index of documents none of which was removed. The arrays may be read-only."""
        self._lengths = array("f", lengths.astype(np.float32).tobytes())
        self._total = float(lengths.sum(dtype=np.float64))
        self._alive = len(lengths)
        self._saved = dict(postings)
        self._counts = Counter({term: len(documents) for term, (documents, _) in postings.items()})
        self._postings = self._counts.total()
        self._norms = None

    def suppose(self, *, documents: int, mean_length: float, frequencies: Mapping[str, int]) -> None:
        """Weigh terms as in a larger collection, of which these documents are a part. Call it after the last `add`.

        No term stands in fewer than hold it here, however little was counted there.
        """
        self._alive, self._total = documents, documents * mean_length
        self._counts |= Counter(frequencies)
        self._norms = None

    def _norm(self) -> NDArray[np.float32]:
        """What BM25 adds to the frequency in the denominator, for each document."""
        if self._norms is None:
            average = max(self._total / max(self._alive, 1), 1e-9)
            lengths = np.array(self._lengths, dtype=np.float32)
            self._norms = (K1 * (1 - B) + np.float32(K1 * B / average) * lengths).astype(np.float32)
        return self._norms


def highest(scores: NDArray[np.float32], limit: int) -> NDArray[np.int64]:
    """The numbers of the `limit` highest scores above 0, best first; of equal ones the one added first."""
    if limit < 1:
        return _NO_DOCUMENTS
    whole = len(scores) - len(scores) % _GROUP
    least = np.float32(0.0)
    if whole // _GROUP > limit:
        # So many groups hold a score this high that no lower one can be among the highest.
        least = np.partition(scores[:whole].reshape(-1, _GROUP).max(axis=1), -limit)[-limit]
    numbers = np.flatnonzero(scores >= least if least > 0 else scores > 0)
    order = np.lexsort((numbers, -scores[numbers]))[:limit]
    return numbers[order]
