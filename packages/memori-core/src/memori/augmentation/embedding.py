"""What of a fact is embedded, and how: the same when it is learnt and when it is embedded again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Embedder
from ..embedding.vectors import embed_texts
from ..model import Attribution, Fact
from ..storage.base import FactVectors, Storage, Unembedded

WINDOW = 2
"""Episodes before an episode that are embedded with it."""


def voiced(fact: Fact) -> str:
    """A fact's own text to embed. What was said verbatim carries the name of who said it."""
    return f"{fact.speaker}: {fact.text}" if fact.kind == "episode" and fact.speaker else fact.text


def embed(embedder: Embedder, facts: Sequence[Unembedded]) -> list[NDArray[np.float32] | None]:
    """Vectors of each fact, shape (1, dimension); None where its own is unusable. Raises `EmbeddingError`."""
    texts = list(dict.fromkeys(text for one in facts for text in _texts(one)))
    vector = dict(zip(texts, embed_texts(embedder, texts), strict=True))
    return [_joined(*(vector[text] for text in _texts(one))) for one in facts]


def _joined(own: NDArray[np.float32] | None, window: NDArray[np.float32] | None = None) -> NDArray[np.float32] | None:
    """One vector for a turn and its window: w·cos(q, turn) + w·cos(q, window) is linear in the query."""
    if own is None:
        return None
    joined: NDArray[np.float32] = own if window is None else np.divide(own + window, 2, dtype=np.float32)
    return joined.reshape(1, -1)


def embed_missing(
    storage: Storage, embedder: Embedder, attribution: Attribution, *, limit: int
) -> tuple[Unembedded, ...]:
    """Embed up to `limit` facts that lack a vector in the embedder's space; return those there were to embed."""
    missing = storage.unembedded(attribution, embedder.space, window=WINDOW, limit=limit)
    # Zeros are close to nothing. A text that this embedder can't embed is found by its words, and is done with.
    nothing = np.zeros((1, embedder.space.dimension), dtype=np.float32)
    made = (nothing if vectors is None else vectors for vectors in embed(embedder, missing))
    given = [FactVectors(one, vectors) for one, vectors in zip(missing, made, strict=True)]
    if given:
        storage.add_vectors(attribution, given, embedder.space)
    return tuple(missing)


def _texts(one: Unembedded) -> list[str]:
    """A fact's own text and, where something was said before it, that of the window."""
    own = voiced(one.fact)
    return [own, "\n".join([*map(voiced, one.before), own])] if one.before else [own]
