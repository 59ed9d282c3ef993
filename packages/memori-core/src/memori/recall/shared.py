"""Recall over an index that all processes share: nothing of an entity is kept in this one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Space
from ..model import Attribution, Kind
from ..storage.base import Delta, Storage
from ..text import terms
from .candidates import index_of
from .entity_index import EntityIndex
from .index.base import SharedIndex
from .scoring import without_names
from .temporal import window

logger = logging.getLogger("memori.recall")
Vector = NDArray[np.float32]
FAILED = "recalled by words alone: the vector index failed"


class SharedCandidates:
    """Gathers what a query may be answered with, and keeps the index in step with what is written."""

    def __init__(self, storage: Storage, index: SharedIndex) -> None:
        self.index = index
        self._storage = storage

    def around(
        self,
        query: str,
        attribution: Attribution,
        space: Space,
        embed: Callable[[str], Vector | None],
        *,
        limit: int,
        kinds: Collection[Kind] | None,
        as_of: datetime | None,
    ) -> tuple[EntityIndex, Vector | None, str | None]:
        """An index over the candidates, the query's vector, and what failed, if anything did."""
        words = terms(query)
        statistics = self._storage.statistics(attribution, words)
        vector = embed(without_names(query, statistics.speakers)) if statistics.documents else None
        rows = {}
        ids = {fact_id for fact_id, _ in self._storage.search(attribution, words, limit=4 * limit)}
        failed = None
        try:
            behind = self._missing(attribution, space)
            rows = {row.fact_id: row for row in behind.rows} if behind is not None else {}
            if vector is not None:
                ids.update(self.index.search(attribution, space, vector, limit, kinds=kinds, as_of=as_of))
                if (asked := window(query, as_of or datetime.now(UTC))) is not None:
                    within = (asked.start, asked.end)
                    ids.update(
                        self.index.search(attribution, space, vector, limit, kinds=kinds, as_of=as_of, within=within)
                    )
        except Exception as error:  # noqa: BLE001 - an index of anybody's may raise anything; words still answer
            telemetry.failure(logger, "searching the vector index (recalling by words)", error)
            failed = FAILED
        # Read last, so that what was forgotten meanwhile is not among them.
        now = self._storage.rows(attribution, space, ids | rows.keys(), neighbours=True)
        return index_of(now, statistics, space, self._storage.state(attribution)), vector, failed

    def follow(self, attribution: Attribution, space: Space) -> None:
        """Bring the index to what is stored. A failure is logged: recall reads what it has not got."""
        try:
            if (delta := self._missing(attribution, space)) is not None:
                self.index.update(attribution, space, delta)
        except Exception as error:  # noqa: BLE001 - what was stored is stored, whatever becomes of the index
            telemetry.failure(logger, "bringing the vector index up to date (the next write tries again)", error)

    def forget(self, attribution: Attribution) -> None:
        """Delete what is left of an entity that was erased."""
        try:
            self.index.erase(attribution)
        except Exception as error:  # noqa: BLE001 - the entity is erased from the storage, which alone gives facts out
            telemetry.failure(logger, "erasing an entity from the vector index", error)

    def _missing(self, attribution: Attribution, space: Space) -> Delta | None:
        """What the index has not got yet; None when it has everything."""
        known, stored = self.index.state(attribution, space), self._storage.state(attribution)
        if known == stored:
            return None
        if known.generation == stored.generation:
            delta = self._storage.changes_since(attribution, space, known.revision)
            if delta.state.generation == known.generation:
                return delta
        # Deleted for good since, or never indexed: everything, from the beginning.
        return self._storage.changes_since(attribution, space, -1)
