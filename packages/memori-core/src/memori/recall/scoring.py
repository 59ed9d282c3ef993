"""Combine what is known of each candidate into one score.

The weights were chosen on LoCoMo conversations; the optimum is broad. Scores are computed on the union of the
candidates of all arms, so that they do not depend on which arm proposed a memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .entity_index import EntityIndex

LEXICAL = 0.2
SPEAKER = 0.12
NEIGHBOUR = 0.2
_SCALE = 1 + SPEAKER + 2 * NEIGHBOUR


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate by its number in the index. `relevance` means the same for every query, `score` only ranks."""

    number: int
    score: float
    relevance: float
    parts: Mapping[str, float]


def names_in(query: str, names: Iterable[str]) -> set[str]:
    """Those of the folded names that the query mentions as whole words."""
    folded = query.casefold()
    return {name for name in names if re.search(rf"\b{re.escape(name)}\b", folded)}


def without_names(query: str, names: Iterable[str]) -> str:
    """The query to embed: a small embedding model matches a participant's name with every line that bears it."""
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    if not alternatives:
        return query
    bare = re.sub(rf"\b(?:{alternatives})(?:['’]s)?\b", " ", query, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", bare).strip() or query


def score(
    index: EntityIndex,
    candidates: Iterable[int],
    *,
    query: NDArray[np.float32] | None,
    lexical: NDArray[np.float32],
    coverage: Mapping[int, float],
    named: set[str],
) -> list[Hit]:
    """Score candidates, best first. `query` is None when the embedder failed: words alone decide then."""
    chosen = sorted(set(candidates))
    around = {n: _neighbours(index, n) for n in chosen}
    everyone = sorted(set(chosen).union(*around.values()))
    closeness = index.closeness(everyone, query)
    best = float(lexical.max(initial=0.0)) or 1.0
    weight = LEXICAL if query is not None else 1.0

    def base(number: int) -> float:
        return (1 - weight) * closeness[number] + weight * float(lexical[number]) / best

    said = index.said_by[next(iter(named))] if len(named) == 1 else frozenset()
    hits = []
    for number in chosen:
        parts = {
            "vector": closeness[number],
            "lexical": float(lexical[number]) / best,
            "speaker": SPEAKER if number in said else 0.0,
            "neighbours": NEIGHBOUR * sum(base(n) for n in around[number]),
        }
        total = base(number) + parts["speaker"] + parts["neighbours"]
        relevance = max(closeness[number], coverage.get(number, 0.0), 0.0)
        hits.append(Hit(number, min(max(total / _SCALE, 0.0), 1.0), min(relevance, 1.0), parts))
    return sorted(hits, key=lambda hit: -hit.score)


def _neighbours(index: EntityIndex, number: int) -> list[int]:
    row = index.rows[number]
    if row.kind != "episode" or row.session_id is None or row.position is None:
        return []
    places = ((row.session_id, row.position - 1), (row.session_id, row.position + 1))
    return [index.episode_at[place] for place in places if place in index.episode_at]
