"""A retriever over what is known of a person, for query engines and the retrievers that combine others."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any

from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from memori import Attribution, Kind, MemoriError, Recalled, telemetry

from .connections import DEFAULT, check_name, connected

logger = logging.getLogger("memori.llamaindex")


class MemoriRetriever(BaseRetriever):
    """The memories that answer a query, best first: `MemoriRetriever(entity_id="ada").retrieve("boats")`.

    `limit`, `kinds`, `as_of` and `min_relevance` are those of `Memori.recall`. A node's id is the fact's; its
    metadata holds `kind`, `said_at` and what else is known of where it comes from, of which a model is shown only
    `said_at`. A database that fails gives no nodes: that is logged and counted. Raises `InvalidAttributionError`, and
    what `Memori.recall` raises for an argument that means nothing.
    """

    def __init__(
        self,
        entity_id: str,
        process_id: str | None = None,
        *,
        connection: str = DEFAULT,
        limit: int = 5,
        kinds: Collection[Kind] | None = None,
        as_of: datetime | None = None,
        min_relevance: float | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._connection = check_name(connection)
        self._options: dict[str, Any] = {
            "attribution": Attribution(entity_id, process_id),
            "limit": limit,
            "kinds": kinds,
            "as_of": as_of,
            "min_relevance": min_relevance,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        core = connected(self._connection)
        try:
            found = core.recall(query_bundle.query_str, **self._options)
        except MemoriError as error:
            return _missed(error)
        return list(map(_node, found))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        core = connected(self._connection)
        try:
            found = await core.arecall(query_bundle.query_str, **self._options)
        except MemoriError as error:
            return _missed(error)
        return list(map(_node, found))


def _node(recalled: Recalled) -> NodeWithScore:
    fact = recalled.fact
    origin = {
        "kind": fact.kind,
        "speaker": fact.speaker,
        "source": fact.source,
        "session_id": fact.session_id,
        "importance": fact.importance,
    }
    known = {name: value for name, value in origin.items() if value is not None}
    said_at = {"said_at": fact.said_at.isoformat()} if fact.said_at else {}
    node = TextNode(
        id_=fact.id,
        text=fact.text,
        metadata={**known, **said_at},
        excluded_llm_metadata_keys=list(known),
        excluded_embed_metadata_keys=[*known, *said_at],
    )
    return NodeWithScore(node=node, score=recalled.score)


def _missed(error: MemoriError) -> list[NodeWithScore]:
    telemetry.failure(logger, "recall for a retriever (no nodes)", error)
    return []
