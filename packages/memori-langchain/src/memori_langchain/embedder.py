"""Any LangChain `Embeddings` as Memori's embedder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from memori import Embedder, Space, errors
from numpy.typing import NDArray

_NAMES = ("model", "model_name", "model_id", "deployment", "repo_id")


class LangChainEmbedder(Embedder):
    """Embeds with a LangChain model: `Memori(embedder=LangChainEmbedder(OpenAIEmbeddings()))`.

    `name` tells its vectors from those of other models and is stored with them; left out, it is the class and the
    model's own name. The dimension is asked for once, by embedding a word. A blank text gets the first axis for its
    vector; vectors are brought to length 1. Raises `EmbeddingError` when the model fails, without its words.
    """

    def __init__(self, embeddings: Embeddings, *, name: str | None = None) -> None:
        if not isinstance(embeddings, Embeddings):
            raise TypeError(f"LangChainEmbedder takes a LangChain Embeddings, got {type(embeddings).__name__}.")
        super().__init__(name or model_name(embeddings))
        self._embeddings = embeddings
        self._dimension: int | None = None

    @property
    def space(self) -> Space:
        """The space of the model's vectors. The first call asks the model, and may raise `EmbeddingError`."""
        if self._dimension is None:
            self._dimension = self._rows(lambda: [self._embeddings.embed_query("dimension")], 1).shape[1]
        return Space("langchain", str(self.model), self._dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text."""
        if isinstance(texts, str | bytes) or not all(isinstance(text, str) for text in texts):
            raise TypeError("embed() takes a sequence of strings; write embed([text]).")
        readable = [_readable(text) for text in texts]
        said = [place for place, text in enumerate(readable) if text]
        vectors = np.zeros((len(readable), self.space.dimension), dtype=np.float32)
        vectors[:, 0] = 1.0
        if said:
            asked = [readable[place] for place in said]
            vectors[said] = self._rows(lambda: self._embeddings.embed_documents(asked), len(asked))
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, as the model embeds queries."""
        query = _readable(text)
        if not query:
            blank: NDArray[np.float32] = self.embed([""])[0]
            return blank
        vector: NDArray[np.float32] = self._rows(lambda: [self._embeddings.embed_query(query)], 1)[0]
        return vector

    def _rows(self, ask: Callable[[], Any], count: int) -> NDArray[np.float32]:
        try:
            rows = np.asarray(ask(), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - every integration has errors of its own, and some quote keys
            kind = type(error).__name__
        else:
            return self._unit(rows, count)
        # Outside the handler: what the library raised, which may quote a key, is not carried along as the context.
        raise errors.EmbeddingError(f"The embedder langchain/{self.model} failed ({kind}).")

    def _unit(self, rows: NDArray[np.float64], count: int) -> NDArray[np.float32]:
        if rows.ndim != 2 or rows.shape[0] != count or not rows.shape[1]:
            raise errors.EmbeddingError(
                f"The embedder langchain/{self.model} gave an array of shape {rows.shape} for {count} texts."
            )
        if self._dimension is not None and rows.shape[1] != self._dimension:
            raise errors.EmbeddingError(
                f"The embedder langchain/{self.model} answered {rows.shape[1]} dimensions; it has {self._dimension}."
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        with np.errstate(all="ignore"):
            unit: NDArray[np.float32] = np.divide(rows, lengths, where=lengths > 0, out=rows.copy()).astype(np.float32)
        return unit


def model_name(embeddings: Any) -> str:
    """What to call a model: its class, or a function's name, and the name of the model where it says one."""
    kind = embeddings if callable(embeddings) and hasattr(embeddings, "__qualname__") else type(embeddings)
    if isinstance(embeddings, str):
        return embeddings
    own = next((value for name in _NAMES if isinstance(value := getattr(embeddings, name, None), str) and value), None)
    return re.sub(r"\s", "_", f"{kind.__qualname__}:{own}" if own else kind.__qualname__)


def _readable(text: str) -> str:
    """The text without NUL and lone surrogates, which no encoder takes."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode().strip()
