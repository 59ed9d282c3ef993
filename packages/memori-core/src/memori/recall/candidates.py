"""An index over a query's candidates alone, which weighs them as one over all of the entity's memories would."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..embedding.base import Space
from ..storage.records import Delta, EntityState, IndexRow, Statistics
from .entity_index import EntityIndex
from .index.exact import ExactIndex
from .index.words import WordIndex


def index_of(
    rows: Sequence[IndexRow], words: Collection[str], statistics: Statistics, space: Space, state: EntityState
) -> EntityIndex:
    """Index candidates and those said beside them. `statistics` are of all the entity's facts, `words` the query's.

    The graph's arm sees what the candidates are about, and no further.
    """
    index = EntityIndex(ExactIndex(space.dimension), WordIndex(words))
    index.apply(Delta(state, rows))
    suppose(index.words, words, statistics)
    for speaker in statistics.speakers:
        index.said_by.setdefault(speaker, set())
    index.active_space = state.space
    return index


def suppose(index: WordIndex, words: Collection[str], statistics: Statistics) -> None:
    """Let those words weigh what they weigh among all of the entity's facts."""
    frequencies = {word: statistics.frequencies.get(word, 0) for word in words}
    index.suppose(documents=statistics.documents, mean_length=statistics.mean_length, frequencies=frequencies)
