"""What of a fact is embedded, and how: the same when it is learnt and when it is embedded again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Embedder
from ..errors import EmbeddingError
from ..model import Attribution, Fact
from ..storage.base import FactVectors, Storage, Unembedded

WINDOW = 2
"""Episodes before an episode that are embedded with it."""


def voiced(fact: Fact) -> str:
    """A fact's own text to embed. What was said verbatim carries the name of who said it."""
    return f"{fact.speaker}: {fact.text}" if fact.kind == "episode" and fact.speaker else fact.text


def embed(embedder: Embedder, facts: Sequence[Unembedded]) -> list[NDArray[np.float32]]:
    """Vectors of each fact, shape (1, dimension). Raises `EmbeddingError`."""
    texts = list(dict.fromkeys(text for one in facts for text in _texts(one)))
    if not texts:
        return []
    matrix = embedder.embed(texts)
    dimension = embedder.space.dimension
    if matrix.shape != (len(texts), dimension) or not np.isfinite(matrix).all():
        raise EmbeddingError(
            f"The embedder {embedder.space.key} returned an array of shape {matrix.shape} "
            f"(expected {(len(texts), dimension)}), or one with NaN or infinity in it."
        )
    row = {text: matrix[i] for i, text in enumerate(texts)}
    # One vector for a turn and its window: w·cos(q, turn) + w·cos(q, window) is linear in the query.
    return [np.mean([row[text] for text in _texts(one)], axis=0, keepdims=True, dtype=np.float32) for one in facts]


def embed_missing(
    storage: Storage, embedder: Embedder, attribution: Attribution, *, limit: int
) -> tuple[Unembedded, ...]:
    """Embed up to `limit` facts that lack a vector in the embedder's space; return those there were to embed."""
    missing = storage.unembedded(attribution, embedder.space, window=WINDOW, limit=limit)
    given = [FactVectors(one, vectors) for one, vectors in zip(missing, embed(embedder, missing), strict=True)]
    if given:
        storage.add_vectors(attribution, given, embedder.space)
    return tuple(missing)


def _texts(one: Unembedded) -> list[str]:
    """A fact's own text and, where something was said before it, that of the window."""
    own = voiced(one.fact)
    return [own, "\n".join([*map(voiced, one.before), own])] if one.before else [own]
