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
_FAR = 25
"""A statement is about a matter when it is nearer to it than so many percent of all examples are to their own.

In two long conversations of LoCoMo, 59 of 294 facts were ended without this, nearly all wrongly, and then one.
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
        ends = np.cumsum([len(texts) for texts in _MATTERS.values()]).tolist()
        self._matters = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self._least = np.percentile(self._own(), _FAR)
        self.single = np.array([name in ONE_AT_A_TIME for name in _MATTERS])

    def place(self, vectors: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the vectors without what is common to all, and how much each is about each matter, both unit rows.

        The second is zero for a statement that is about none.
        """
        told = self._told(np.array(vectors, dtype=np.float32))
        near = told @ self._examples.T
        score = np.stack([_nearest(near[:, matter]) for matter in self._matters], axis=1)
        told_of = score.max(axis=1, keepdims=True) >= self._least
        score = (score - score.mean(axis=1, keepdims=True)) / (score.std(axis=1, keepdims=True) + 1e-6)
        share = np.exp(score * _SHARPNESS)
        share = told_of * share / np.linalg.norm(share, axis=1, keepdims=True)
        return told, share.astype(np.float32)

    def _own(self) -> NDArray[np.float32]:
        """How near each example is to the others of its matter."""
        found = []
        for matter in self._matters:
            near = self._examples[matter] @ self._examples[matter].T
            np.fill_diagonal(near, -1.0)
            found.append(_nearest(near))
        return np.concatenate(found)

    def _told(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        rest = vectors - self._common
        unit: NDArray[np.float32] = rest / (np.linalg.norm(rest, axis=1, keepdims=True) + 1e-9)
        return unit


def _nearest(near: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the two nearest in each row: one example alone may share no more than a word."""
    two: NDArray[np.float32] = np.sort(near, axis=1)[:, -2:].mean(axis=1)
    return two


_made: dict[int, Topics] = {}


def topics(embedder: Embedder) -> Topics:
    """Return the topics of an embedder, made once. Raises `EmbeddingError`."""
    made = _made.get(id(embedder))
    if made is None:
        made = _made.setdefault(id(embedder), Topics(embedder))
        weakref.finalize(embedder, _made.pop, id(embedder), None).atexit = False
    return made
