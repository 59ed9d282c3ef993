"""What a store embeds, with what, and in which order it finds documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, PutOp, ensure_embeddings, get_text_at_path, tokenize_path
from memori import Memori, Space, errors
from numpy.typing import NDArray

from .boundary import in_thread
from .embedder import model_name

Vectors = NDArray[np.float32]
_Key = tuple[tuple[str, ...], str]


class Index:
    """Embeds documents and queries: with Memori's embedder, or with the embeddings of an `IndexConfig`.

    Raises `ValueError` for a config without `embed` or with `dims` below 1, and `EmbeddingError` for embeddings of
    another dimension than it says.
    """

    def __init__(self, memori: Memori, config: IndexConfig | None) -> None:
        self._memori = memori
        self._fields = (config or {}).get("fields") or ["$"]
        self._embeddings: Embeddings | None = None
        self._space: Space | None = None
        if config is not None:
            if not config.get("embed") or not isinstance(config.get("dims"), int) or config["dims"] < 1:
                raise ValueError('index needs "embed" and "dims": {"embed": embeddings, "dims": 384}, for example.')
            self._embeddings = ensure_embeddings(config["embed"])
            self._space = Space("langgraph", model_name(config["embed"]), config["dims"])

    @property
    def space(self) -> Space:
        """Where its vectors live."""
        return self._space or self._memori.embedder.space

    def documents(self, ops: Sequence[PutOp]) -> dict[_Key, Vectors]:
        """The vectors of each document that has text to embed, shape (fields, dimension)."""
        texts = self._texts(ops)
        return self._shared_out(texts, self._embed(_flat(texts)) if texts else [])

    async def adocuments(self, ops: Sequence[PutOp]) -> dict[_Key, Vectors]:
        """Await `documents` without blocking the event loop."""
        texts = await in_thread(self._memori, self._texts, ops) if ops else {}
        if not texts:
            return {}
        if self._embeddings is None:
            return self._shared_out(texts, await in_thread(self._memori, self._embed, _flat(texts)))
        return self._shared_out(texts, await self._embeddings.aembed_documents(_flat(texts)))

    def queries(self, queries: Sequence[str]) -> dict[str, Vectors]:
        """The vector of each query."""
        return {query: self._unit([self._embed_query(query)])[0] for query in queries}

    async def aqueries(self, queries: Sequence[str]) -> dict[str, Vectors]:
        """Await `queries` without blocking the event loop."""
        if not queries:
            return {}
        if self._embeddings is None:
            return await in_thread(self._memori, self.queries, queries)
        return {query: self._unit([await self._embeddings.aembed_query(query)])[0] for query in queries}

    def ranked(self, found: Sequence[tuple[_Key, Vectors | None]], query: Vectors) -> list[tuple[_Key, float | None]]:
        """Nearest first, by each document's best field; those that have no vectors last, newest first.

        The cosine is None where there is no vector.
        """
        embedded = [(key, vectors) for key, vectors in found if vectors is not None and len(vectors)]
        bare: list[tuple[_Key, float | None]] = [(key, None) for key, rows in found if rows is None or not len(rows)]
        if not embedded:
            return bare
        counts = [len(vectors) for _, vectors in embedded]
        rows = np.concatenate([vectors for _, vectors in embedded])
        best = np.maximum.reduceat(rows @ query, np.cumsum([0, *counts[:-1]]))
        order = np.argsort(-best, kind="stable")
        return [*((embedded[place][0], float(best[place])) for place in order), *bare]

    def _texts(self, ops: Sequence[PutOp]) -> dict[_Key, list[str]]:
        found = {}
        for op in ops:
            if op.index is False or op.value is None:
                continue
            document = self._memori.items.document(op.value)
            paths = self._fields if op.index is None else op.index
            fields = [get_text_at_path(document, path if path == "$" else tokenize_path(path)) for path in paths]
            texts = [text for field in fields for text in field if text]
            if texts:
                found[op.namespace, op.key] = texts
        return found

    def _embed(self, texts: list[str]) -> Any:
        return (self._memori.embedder.embed if self._embeddings is None else self._embeddings.embed_documents)(texts)

    def _embed_query(self, query: str) -> Any:
        return (self._memori.embedder.embed_query if self._embeddings is None else self._embeddings.embed_query)(query)

    def _shared_out(self, texts: dict[_Key, list[str]], rows: Any) -> dict[_Key, Vectors]:
        if not texts:
            return {}
        vectors = self._unit(rows)
        if len(vectors) != len(_flat(texts)):
            raise errors.EmbeddingError(f"the store's embeddings gave {len(vectors)} vectors for {len(texts)} texts.")
        ends = np.cumsum([len(parts) for parts in texts.values()])
        return dict(zip(texts, np.split(vectors, ends[:-1]), strict=True))

    def _unit(self, rows: Any) -> Vectors:
        vectors = np.asarray(rows, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.space.dimension:
            raise errors.EmbeddingError(
                f"the store's embeddings gave vectors of shape {vectors.shape[1:]}; "
                f"its index says {self.space.dimension} dimensions."
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return unit


def _flat(texts: dict[_Key, list[str]]) -> list[str]:
    return [text for parts in texts.values() for text in parts]
