"""Recall over an index that all processes share: of an entity only what its words weigh is kept in this one."""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Space
from ..model import Attribution, Kind
from ..storage.base import Storage
from ..storage.records import Delta, EntityState, IndexRow, Statistics
from ..text import terms
from .candidates import index_of, suppose
from .entity_index import EntityIndex
from .index.base import SharedIndex
from .index.words import WordIndex, highest
from .scoring import without_names
from .temporal import window

logger = logging.getLogger("memori.recall")
Vector = NDArray[np.float32]
_ENTITIES = 64
"""What words weigh is kept of so many entities, those asked about last."""
FAILED = "recalled by words alone: the vector index failed"


class SharedCandidates:
    """Gathers what a query may be answered with, and keeps the index in step with what is written."""

    def __init__(self, storage: Storage, index: SharedIndex) -> None:
        self.index = index
        self._storage = storage
        self._known: OrderedDict[tuple[str, str], Statistics] = OrderedDict()
        self._lock = threading.Lock()

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
        state = self._storage.state(attribution)
        statistics = self._weighed(attribution, state)
        vector = embed(without_names(query, statistics.speakers)) if statistics.documents else None
        asked, failed = window(query, as_of or datetime.now(UTC)), None
        # Of those that hold a word, what is of another kind or time is left out later.
        filtered = kinds is not None or as_of is not None or asked is not None
        rows: dict[str, IndexRow] = {}
        with self.index.reading():
            holding = dict(self._storage.search(attribution, _telling(words, statistics), limit=4 * limit))
            ids = set(holding if filtered else _heaviest(holding, words, statistics, limit))
            try:
                behind = self._missing(attribution, space, state)
                rows = {row.fact_id: row for row in behind.rows} if behind is not None else {}
                if vector is not None:
                    ids.update(self.index.search(attribution, space, vector, limit, kinds=kinds, as_of=as_of))
                    if asked is not None:
                        within = (asked.start, asked.end)
                        ids.update(
                            self.index.search(
                                attribution, space, vector, limit, kinds=kinds, as_of=as_of, within=within
                            )
                        )
            except Exception as error:  # noqa: BLE001 - an index of anybody's may raise anything; words still answer
                telemetry.failure(logger, "searching the vector index (recalling by words)", error)
                failed = FAILED
            # Read last, so that what was forgotten meanwhile is not among them.
            now = self._storage.rows(attribution, space, ids | rows.keys(), neighbours=True)
        return index_of(now, words, statistics, space, state), vector, failed

    def follow(self, attribution: Attribution, space: Space) -> None:
        """Bring the index to what is stored. A failure is logged: recall reads what it has not got."""
        try:
            if (delta := self._missing(attribution, space, self._storage.state(attribution))) is not None:
                self.index.update(attribution, space, delta)
        except Exception as error:  # noqa: BLE001 - what was stored is stored, whatever becomes of the index
            telemetry.failure(logger, "bringing the vector index up to date (the next write tries again)", error)

    def forget(self, attribution: Attribution) -> None:
        """Delete what is left of an entity that was erased."""
        with self._lock:
            self._known.pop((attribution.namespace, attribution.entity_id), None)
        try:
            self.index.erase(attribution)
        except Exception as error:  # noqa: BLE001 - the entity is erased from the storage, which alone gives facts out
            telemetry.failure(logger, "erasing an entity from the vector index", error)

    def after_fork(self) -> None:
        """Start with nothing known in the child."""
        self._lock, self._known = threading.Lock(), OrderedDict()

    def _weighed(self, attribution: Attribution, state: EntityState) -> Statistics:
        """What the entity's words weigh, counted again only when enough of its facts have changed."""
        key = (attribution.namespace, attribution.entity_id)
        with self._lock:
            known = self._known.get(key)
        if known is not None and (known.revision, known.generation) == (state.revision, state.generation):
            return known
        found = self._storage.statistics(attribution, known=known)
        with self._lock:
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > _ENTITIES:
                self._known.popitem(last=False)
        return found

    def _missing(self, attribution: Attribution, space: Space, stored: EntityState) -> Delta | None:
        """What the index has not got yet of what is stored; None when it has everything."""
        known = self.index.state(attribution, space)
        if known == stored:
            return None
        if known.generation == stored.generation:
            delta = self._storage.changes_since(attribution, space, known.revision)
            if delta.state.generation == known.generation:
                return delta
        # Deleted for good since, or never indexed: everything, from the beginning.
        return self._storage.changes_since(attribution, space, -1)


def _telling(words: Sequence[str], statistics: Statistics) -> list[str]:
    """The words, each once, those first that fewest facts hold: a storage looks for so many, however many it is given.

    One that no fact held when they were counted comes last.
    """
    return sorted(dict.fromkeys(words), key=lambda word: statistics.frequencies.get(word) or math.inf)


def _heaviest(texts: Mapping[str, str], words: Sequence[str], statistics: Statistics, limit: int) -> list[str]:
    """Ids of the texts that those words weigh most in. The full text counts words; it does not weigh them."""
    index, ids = WordIndex(words), list(texts)
    for text in texts.values():
        index.add(text.split())
    suppose(index, words, statistics)
    return [ids[number] for number in highest(index.scores(words), limit).tolist()]
