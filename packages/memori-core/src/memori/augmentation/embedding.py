"""What of a fact is embedded, and how: the same when it is learnt and when it is embedded again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Embedder
from ..embedding.vectors import embed_texts, learnt_space
from ..model import Attribution, Fact
from ..storage.base import Storage
from ..storage.records import FactVectors, Unembedded
from .passages import split

WINDOW = 2
"""Episodes before an episode that are embedded with it."""


def voiced(fact: Fact) -> str:
    """A fact's own text to embed. What was said verbatim carries the name of who said it."""
    return f"{fact.speaker}: {fact.text}" if fact.kind == "episode" and fact.speaker else fact.text


def embed(embedder: Embedder, facts: Sequence[Unembedded]) -> list[NDArray[np.float32] | None]:
    """Vectors of each fact, shape (passages, dimension), one for most; None where its own are unusable.

    Raises `EmbeddingError`.
    """
    passages = [_passages(embedder, one.fact) for one in facts]
    windows = ["\n".join([*map(voiced, one.before), voiced(one.fact)]) if one.before else None for one in facts]
    texts = dict.fromkeys(text for some in passages for text in some)
    texts |= dict.fromkeys(window for window in windows if window is not None)
    vector = dict(zip(texts, embed_texts(embedder, list(texts)), strict=True))
    return [
        _joined([vector[text] for text in some], None if window is None else vector[window])
        for some, window in zip(passages, windows, strict=True)
    ]


def _passages(embedder: Embedder, fact: Fact) -> list[str]:
    """A fact's own text in the parts that the embedder can read, each with the name of who said it."""
    own = voiced(fact)
    said = fact.text
    if len(own) <= embedder.max_tokens:
        return [own]
    name = own[: len(own) - len(said)]
    # A name that leaves no room to speak is cut off with what follows it.
    room = max(embedder.max_tokens - embedder.count_tokens(name), embedder.max_tokens // 2)
    return [name + passage for passage in split(said, window=room, count=embedder.count_tokens)]


def _joined(
    own: Sequence[NDArray[np.float32] | None], window: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """A vector for each passage. That of the first, which answers what was said before, has the window's in it.

    One vector for a turn and its window, as w·cos(q, turn) + w·cos(q, window) is linear in the query.
    """
    first, *rest = own
    if first is not None and window is not None:
        first = np.divide(first + window, 2, dtype=np.float32)
    usable = [vector for vector in (first, *rest) if vector is not None]
    return np.stack(usable) if usable else None


def embed_missing(
    storage: Storage, embedder: Embedder, attribution: Attribution, *, limit: int
) -> tuple[Unembedded, ...]:
    """Embed up to `limit` facts that lack a vector in the embedder's space; return those there were to embed."""
    space = learnt_space(embedder)
    missing = storage.unembedded(attribution, space, window=WINDOW, limit=limit)
    # Zeros are close to nothing. A text that this embedder can't embed is found by its words, and is done with.
    nothing = np.zeros((1, space.dimension), dtype=np.float32)
    made = (nothing if vectors is None else vectors for vectors in embed(embedder, missing))
    given = [FactVectors(one, vectors) for one, vectors in zip(missing, made, strict=True)]
    if given:
        storage.add_vectors(attribution, given, space)
    return tuple(missing)
