"""Tell by an embedder whether two statements are about the same matter of somebody's life."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...embedding.base import Embedder
from ...embedding.vectors import embed_texts
from ...errors import EmbeddingError
from .matters import ONE_AT_A_TIME, SEVERAL

_SHARPNESS = 1.6
_LEAST = 0.36
"""How near a statement's matter must be; of what people tell each other, little is about any of them.

In two long conversations of LoCoMo, 59 of 294 facts were ended without this, nearly all wrongly, and then two.
"""
_MATTERS = {**ONE_AT_A_TIME, **SEVERAL}


class Topics:
    """The matters of matters.py as an embedder sees them.

    Vectors are compared without what all examples have in common ("the user ..."), and matters by how much nearer one
    is than the others, so that what counts as near does not depend on the embedder.
    """

    def __init__(self, embedder: Embedder) -> None:
        """Embed the examples. Raises `EmbeddingError`."""
        examples = [text for texts in _MATTERS.values() for text in texts]
        vectors = embed_texts(embedder, examples)
        if any(vector is None for vector in vectors):
            raise EmbeddingError("an example of what statements are about has no usable vector")
        made = np.array(vectors, dtype=np.float32)
        self._common = made.mean(axis=0)
        self._examples = self._told(made)
        self._starts = np.cumsum([0, *(len(texts) for texts in _MATTERS.values())])[:-1]
        self.single = np.array([name in ONE_AT_A_TIME for name in _MATTERS])

    def place(self, vectors: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the vectors without what is common to all, and how much each is about each matter, both unit rows.

        The second is zero for a statement that is about none.
        """
        told = self._told(np.array(vectors, dtype=np.float32))
        near = told @ self._examples.T
        ends = [*self._starts[1:], near.shape[1]]
        # The mean of the two nearest examples: one alone may share no more than a word.
        best = [np.sort(near[:, a:b], axis=1)[:, -2:].mean(axis=1) for a, b in zip(self._starts, ends, strict=True)]
        score = np.stack(best, axis=1)
        told_of = score.max(axis=1, keepdims=True) >= _LEAST
        score = (score - score.mean(axis=1, keepdims=True)) / (score.std(axis=1, keepdims=True) + 1e-6)
        share = np.exp(score * _SHARPNESS)
        share = told_of * share / np.linalg.norm(share, axis=1, keepdims=True)
        return told, share.astype(np.float32)

    def _told(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        rest = vectors - self._common
        unit: NDArray[np.float32] = rest / (np.linalg.norm(rest, axis=1, keepdims=True) + 1e-9)
        return unit


_made: dict[int, Topics] = {}


def topics(embedder: Embedder) -> Topics:
    """Return the topics of an embedder, made once. Raises `EmbeddingError`."""
    made = _made.get(id(embedder))
    if made is None:
        made = _made.setdefault(id(embedder), Topics(embedder))
        weakref.finalize(embedder, _made.pop, id(embedder), None).atexit = False
    return made
