"""What is known of someone, as documents for a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import ensure_config
from memori import Attribution, Kind, Memori, Recalled, suppress
from pydantic import ConfigDict, Field, InstanceOf, field_validator

from .identity import Identity


class MemoriRetriever(BaseRetriever):
    """Finds memories: `MemoriRetriever(memori=memori, entity_id="ada")`.

    A document's text is the memory's; its metadata says `score` (0..1), `kind`, `said_at`, `session_id` and `source`,
    its id is the fact's, for `memori.forget`. `k` may be given again with each call: `retriever.invoke("tea", k=2)`.
    Without `entity_id` the run says whose memories: the graph's context, the key of `config["configurable"]` that
    `configurable_key` names, or `memori.scope(...)`. Blank ids raise `InvalidAttributionError`, no id
    `MissingAttributionError`, a failing database `StorageError`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    memori: InstanceOf[Memori] = Field(exclude=True, repr=False)
    entity_id: str | None = None
    configurable_key: str | None = None
    k: int = Field(5, ge=1, le=10_000)
    kinds: Sequence[Kind] | None = None
    min_relevance: float | None = Field(None, ge=0, le=1)

    @field_validator("entity_id")
    @classmethod
    def _usable(cls, entity_id: str | None) -> str | None:
        return None if entity_id is None else Attribution(entity_id).entity_id

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **_: Any
    ) -> list[Document]:
        options = self._options(k)
        with suppress():
            return to_documents(self.memori.recall(query, **options))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None, **_: Any
    ) -> list[Document]:
        options = self._options(k)
        with suppress():
            return to_documents(await self.memori.arecall(query, **options))

    def _options(self, k: int | None) -> dict[str, Any]:
        who = Identity(self.entity_id, configurable_key=self.configurable_key).here(self.memori, ensure_config())
        return {
            "limit": self.k if k is None else k,
            "attribution": who,
            "kinds": self.kinds,
            "min_relevance": self.min_relevance,
        }


def to_documents(found: Sequence[Recalled]) -> list[Document]:
    """One document for each memory, best first."""
    return [
        Document(
            id=one.fact.id,
            page_content=one.text,
            metadata={
                "score": one.score,
                "kind": one.fact.kind,
                "said_at": one.fact.said_at.isoformat() if one.fact.said_at else None,
                "session_id": one.fact.session_id,
                "source": "memori",
            },
        )
        for one in found
    ]
