"""An inverted index over one entity's memories, scored by BM25 (Robertson and Zaragoza, 2009)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

K1 = 0.9
B = 0.4


class WordIndex:
    """Maps terms to the documents that hold them. Documents are numbered from 0 in the order they are added.

    Adding is cheap; a removed document keeps its number and no longer counts. The caller holds a lock around changes.
    """

    def __init__(self) -> None:
        self._documents: dict[str, array[int]] = {}
        self._frequencies: dict[str, array[float]] = {}
        self._counts: Counter[str] = Counter()
        self._lengths: array[float] = array("f")
        self._total = 0.0
        self._alive = 0

    def __len__(self) -> int:
        return self._alive

    def add(self, terms: Iterable[str]) -> int:
        """Add a document and return its number."""
        number = len(self._lengths)
        length = 0
        for term, frequency in Counter(terms).items():
            self._documents.setdefault(term, array("q")).append(number)
            self._frequencies.setdefault(term, array("f")).append(frequency)
            self._counts[term] += 1
            length += frequency
        self._lengths.append(length)
        self._total += length
        self._alive += 1
        return number

    def remove(self, number: int, terms: Iterable[str]) -> None:
        """Take a document out of the statistics. The caller masks its score."""
        for term in set(terms):
            self._counts[term] -= 1
        self._total -= self._lengths[number]
        self._alive -= 1

    def rarity(self, term: str) -> float:
        """Inverse document frequency, never negative; 0 for a term no document holds."""
        holding = self._counts.get(term, 0)
        return float(np.log1p((self._alive - holding + 0.5) / (holding + 0.5))) if holding > 0 else 0.0

    def scores(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """The BM25 score of every document, shape (documents added,). Removed ones may score too."""
        lengths = np.frombuffer(self._lengths, dtype=np.float32) if self._lengths else np.zeros(0, np.float32)
        scores = np.zeros(len(lengths), dtype=np.float32)
        if not self._alive:
            return scores
        average = max(self._total / self._alive, 1e-9)
        for term, repeats in Counter(terms).items():
            weight = self.rarity(term)
            if weight <= 0.0:
                continue
            documents = np.frombuffer(self._documents[term], dtype=np.int64)
            frequency = np.frombuffer(self._frequencies[term], dtype=np.float32)
            norm = K1 * (1 - B + B * lengths[documents] / average)
            scores[documents] += repeats * weight * frequency * (K1 + 1) / (frequency + norm)
        return scores
