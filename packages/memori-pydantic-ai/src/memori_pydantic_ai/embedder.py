"""Any embedding model of Pydantic AI as Memori's embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from memori import Embedder, Space, errors
from numpy.typing import NDArray
from pydantic_ai import Embedder as NativeEmbedder
from pydantic_ai.embeddings import EmbeddingModel

from .background_loop import LOOP

_TEXT_BYTES = 8191
"""A token of a byte-level tokenizer is a byte at least: a text of this size is within what hosted models take."""
_BATCH = 96


class PydanticAIEmbedder(Embedder):
    """Embeds with Pydantic AI: `Memori(embedder=PydanticAIEmbedder("openai:text-embedding-3-small"))`.

    `embedder`: an `Embedder`, an embedding model, or the name of one. `name` tells its vectors from those of other
    models and is stored with them; left out, it is the provider's and the model's. `timeout`: seconds that one request
    may take. The dimension is asked for once, by embedding a word. Only the first 8191 bytes of a text are embedded; a
    blank text has the first axis for its vector. Raises `EmbeddingError` when the model fails, without its words.
    """

    def __init__(
        self, embedder: NativeEmbedder | EmbeddingModel | str, *, name: str | None = None, timeout: float = 30.0
    ) -> None:
        if not isinstance(embedder, NativeEmbedder | EmbeddingModel | str):
            raise TypeError(
                f"PydanticAIEmbedder takes an Embedder of Pydantic AI, an embedding model or its name, got "
                f"{type(embedder).__name__}."
            )
        native = embedder if isinstance(embedder, NativeEmbedder) else NativeEmbedder(embedder)
        super().__init__(name or _name(native.model))
        self._native = native
        self._timeout = timeout
        self._dimension: int | None = None

    @property
    def space(self) -> Space:
        """The space of the model's vectors. The first call asks the model, and may raise `EmbeddingError`."""
        if self._dimension is None:
            self._dimension = self._asked(["dimension"], query=False).shape[1]
        return Space("pydantic-ai", str(self.model), self._dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text, shape (len(texts), dimension)."""
        return self._embedded(texts, query=False)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, shape (dimension,), as the model embeds queries."""
        vector: NDArray[np.float32] = self._embedded([text], query=True)[0]
        return vector

    def _embedded(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        if isinstance(texts, str | bytes) or not all(isinstance(text, str) for text in texts):
            raise TypeError("embed() takes a sequence of strings; write embed([text]).")
        readable = [_readable(text) for text in texts]
        said = [place for place, text in enumerate(readable) if text]
        vectors = np.zeros((len(readable), self.space.dimension), dtype=np.float32)
        vectors[[place for place, text in enumerate(readable) if not text], 0] = 1.0
        for start in range(0, len(said), _BATCH):
            batch = said[start : start + _BATCH]
            vectors[batch] = self._asked([readable[place] for place in batch], query=query)
        return vectors

    def _asked(self, texts: list[str], *, query: bool) -> NDArray[np.float32]:
        ask = self._native.embed_query if query else self._native.embed_documents
        try:
            rows = np.asarray(LOOP.run(ask(texts), timeout=self._timeout).embeddings, dtype=np.float64)
        except TimeoutError:
            failed = f"gave no answer within {self._timeout:g} s"
        except Exception as error:  # noqa: BLE001 - every provider has errors of its own, and some quote keys
            failed = f"failed ({type(error).__name__})"
        else:
            return self._unit(rows, len(texts))
        # Outside the handler: what was raised, which may quote a key, is not carried along as the context.
        raise errors.EmbeddingError(f"The embedder pydantic-ai/{self.model} {failed}; check its name and its key.")

    def _unit(self, rows: NDArray[Any], count: int) -> NDArray[np.float32]:
        expected = (count, rows.shape[-1] if self._dimension is None else self._dimension)
        if rows.ndim != 2 or rows.shape != expected or not rows.shape[1]:
            raise errors.EmbeddingError(
                f"The embedder pydantic-ai/{self.model} gave vectors of shape {rows.shape} where {expected} was due."
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        # What is all zeros or not finite stays so, and is refused text by text where it is stored.
        with np.errstate(all="ignore"):
            unit: NDArray[np.float32] = np.divide(rows, lengths, out=rows, where=lengths > 0).astype(np.float32)
        return unit


def _name(model: EmbeddingModel | str) -> str:
    return model if isinstance(model, str) else f"{model.system}:{model.model_name}"


def _readable(text: str) -> str:
    """The beginning of a text, as any model can read it; nothing where there is only white space."""
    whole = text.replace("\0", " ").encode("utf-8", "replace")
    return whole[:_TEXT_BYTES].decode(errors="ignore").strip()
