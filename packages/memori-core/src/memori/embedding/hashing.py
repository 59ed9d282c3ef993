"""An embedder that needs no model: hashed words and parts of words, for tests and machines without one.

Feature hashing with signs (Weinberger et al., ICML 2009) of words and their character n-grams (Bojanowski et al.,
TACL 2017). Texts are near that share words or spellings; it knows no synonyms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from ..text import words
from .base import Embedder, Space, checked_texts

DIMENSION = 256
MAX_CHARACTERS = 8192
NGRAM = 3
WORD_WEIGHT = 1.0
NGRAM_WEIGHT = 0.5


class HashingEmbedder(Embedder):
    """Deterministic on every machine. `model` is the dimension, as in `embedder="hashing/1024"`; None is 256.

    Only the first 8192 characters of a text count.
    """

    semantic = False

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model)
        if model is not None and not (model.isascii() and model.isdigit() and 8 <= int(model) <= 65_536):
            raise ConfigurationError(
                f'embedder="hashing/{model}": what follows "hashing/" is the number of dimensions, '
                f'8 to 65536; plain "hashing" has {DIMENSION}.'
            )
        self._dimension = DIMENSION if model is None else int(model)

    @property
    def space(self) -> Space:
        """Known at once."""
        return Space("hashing", "words-trigrams-1", self._dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text; a text without words has the first axis for its vector."""
        prepared = checked_texts(texts)
        vectors = np.zeros((len(prepared), self._dimension), dtype=np.float64)
        for vector, text in zip(vectors, prepared, strict=True):
            for feature, weight in _features(text[:MAX_CHARACTERS]):
                hashed = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "little")
                vector[(hashed >> 1) % self._dimension] += weight if hashed & 1 else -weight
            if not vector.any():
                vector[0] = 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)


def _features(text: str) -> Iterator[tuple[str, float]]:
    """Yield what a text is made of, with weights: repeating a word counts less each time."""
    for word, count in Counter(words(text)).items():
        often = 1.0 + float(np.log(count))
        yield f"w:{word}", WORD_WEIGHT * often
        framed = f"<{word}>"
        parts = max(1, len(framed) - NGRAM + 1)
        for start in range(parts):
            yield f"g:{framed[start : start + NGRAM]}", NGRAM_WEIGHT * often / parts**0.5
