"""Embed what Memori stores and asks with an embedding model of LlamaIndex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.instrumentation.dispatcher import instrument_tags  # type: ignore[attr-defined]
from memori import Embedder, Space, errors, suppress
from numpy.typing import NDArray

INTERNAL = {"memori.internal": True}
"""The tag of LlamaIndex's instrumentation that our own model calls carry, so that an observer can leave them out."""

_UNNAMED = "unknown"  # BaseEmbedding's default


class LlamaIndexEmbedder(Embedder):
    """`Memori(url, embedder=LlamaIndexEmbedder(OpenAIEmbedding(...)))`: any `BaseEmbedding`.

    `index_id` names the space its vectors live in; without one, the model's own name does. Change it when the same
    name begins to stand for another model, and run `memori reindex`. The dimension is asked for once, by embedding a
    word. A text of white space alone has the first axis for its vector. Raises `EmbeddingError`, without the words of
    the model's own error, which may quote a key or a text.
    """

    def __init__(self, embed_model: BaseEmbedding, *, index_id: str | None = None) -> None:
        if not isinstance(embed_model, BaseEmbedding):
            raise TypeError(
                f"LlamaIndexEmbedder takes an embedding model of LlamaIndex, got {type(embed_model).__name__}: "
                "LlamaIndexEmbedder(OpenAIEmbedding(...)). For a model of Memori's own pass its name: "
                'Memori(..., embedder="minilm").'
            )
        name = index_id if index_id is not None else embed_model.model_name
        if not name.strip() or name == _UNNAMED:
            raise errors.ConfigurationError(
                f"This {type(embed_model).__name__} has no model name to tell its vectors from others': pass one, "
                "LlamaIndexEmbedder(model, index_id='my-model-v1')."
            )
        super().__init__(name)
        self._named = name
        self._embed_model = embed_model
        self._dimension: int | None = None

    @property
    def space(self) -> Space:
        """The first time, this embeds a word to learn the dimension, and may raise."""
        if self._dimension is None:
            # Two threads may both ask; they learn the same.
            self._dimension = self._rows(["dimension"]).shape[1]
        return Space("llamaindex", self._named, self._dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text, in the model's own batches."""
        return self._embed(texts, self._rows)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, as the model embeds queries."""
        vector: NDArray[np.float32] = self._embed([text], self._query)[0]
        return vector

    def _embed(self, texts: Sequence[str], ask: Callable[[list[str]], NDArray[np.float32]]) -> NDArray[np.float32]:
        cleaned = _checked(texts)
        said = [place for place, text in enumerate(cleaned) if text]
        vectors = np.zeros((len(cleaned), self.space.dimension), dtype=np.float32)
        vectors[:, :1] = 1.0
        if said:
            rows = ask([cleaned[place] for place in said])
            if rows.shape != (len(said), vectors.shape[1]):
                raise errors.EmbeddingError(
                    f"{self._who} answered {rows.shape[0]} vectors of {rows.shape[1]} dimensions for {len(said)} "
                    f"texts; it has {vectors.shape[1]}."
                )
            vectors[said] = rows
        return vectors

    def _rows(self, texts: list[str]) -> NDArray[np.float32]:
        return self._asked(lambda: self._embed_model.get_text_embedding_batch(texts))

    def _query(self, texts: list[str]) -> NDArray[np.float32]:
        return self._asked(lambda: [self._embed_model.get_query_embedding(texts[0])])

    def _asked(self, call: Callable[[], Any]) -> NDArray[np.float32]:
        """The answer of one call, each row at length 1."""
        try:
            with suppress(), instrument_tags(INTERNAL):
                rows = np.array(call(), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - models raise errors of their own, of HTTP and of parsing
            failure = f"{self._who} failed ({type(error).__name__})."
        else:
            if rows.ndim == 2 and rows.size and np.isfinite(rows).all():
                lengths = np.linalg.norm(rows, axis=1, keepdims=True)
                unit: NDArray[np.float32] = np.divide(rows, lengths, out=rows, where=lengths > 0).astype(np.float32)
                return unit
            failure = f"{self._who} did not answer with one vector of finite numbers per text."
        # Outside the handler: an error that may quote a key is not carried along as the context.
        raise errors.EmbeddingError(failure)

    @property
    def _who(self) -> str:
        return f"The embedder llamaindex/{self._named}"


def _checked(texts: Sequence[str]) -> list[str]:
    """The texts as a model may read them: encodable as UTF-8, without NUL, "" where there is only white space."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"embed() takes a sequence of strings, not {type(texts).__name__}; write embed([text]).")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"embed() takes strings; item {place} is {type(text).__name__}.")
    return [text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip() for text in texts]
