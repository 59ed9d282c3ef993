"""Combine what is known of each candidate into one score.

Scores are computed on the union of the candidates of all arms, so that they do not depend on which arm proposed a
memory. The defaults of `RecallWeights` were chosen on LoCoMo conversations; the optimum is broad.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ..model import RecallWeights
from .entity_index import EntityIndex


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the arms found. `query` is None when the embedder failed: words alone decide then.

    `lexical`: the score of every number, shape (numbers,). `coverage`: the share of the query's words that a candidate
    holds. `named`: the folded names of speakers in the query. `inside`: numbers in the time the query names. `linked`:
    numbers that share a node with another candidate, and that candidate.
    """

    query: NDArray[np.float32] | None
    lexical: NDArray[np.float32]
    coverage: Mapping[int, float]
    named: Collection[str]
    inside: Collection[int]
    linked: Mapping[int, int]


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
    return {name for name in names if name in folded and re.search(rf"\b{re.escape(name)}\b", folded)}


def without_names(query: str, names: Iterable[str]) -> str:
    """The query to embed: a small embedding model matches a participant's name with every line that bears it."""
    present = names_in(query, names)
    if not present:
        return query
    alternatives = "|".join(re.escape(name) for name in sorted(present, key=len, reverse=True))
    bare = re.sub(rf"\b(?:{alternatives})(?:['’]s)?\b", " ", query, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", bare).strip() or query


def score(
    index: EntityIndex, candidates: Iterable[int], evidence: Evidence, *, weights: RecallWeights, now: datetime
) -> list[Hit]:
    """Score candidates, best first."""
    chosen = sorted(set(candidates))
    around = {n: _neighbours(index, n) for n in chosen}
    everyone = sorted(set(chosen).union(*around.values()))
    closeness = index.closeness(everyone, evidence.query)
    best = float(evidence.lexical.max(initial=0.0)) or 1.0
    words = {n: float(evidence.lexical[n]) / best for n in everyone}
    share = weights.lexical if evidence.query is not None else 1.0
    base = {n: (1 - share) * closeness[n] + share * words[n] for n in everyone}
    said = index.said_by[next(iter(evidence.named))] if len(evidence.named) == 1 else frozenset()
    scale = 1 + weights.speaker + 2 * weights.neighbour + weights.window + weights.linked
    hits = []
    for number in chosen:
        parts = {
            "vector": closeness[number],
            "lexical": words[number],
            "speaker": weights.speaker if number in said else 0.0,
            "neighbours": weights.neighbour * sum(base[n] for n in around[number]),
            "window": weights.window if number in evidence.inside else 0.0,
            "linked": weights.linked * base[evidence.linked[number]] if number in evidence.linked else 0.0,
            "boost": _boost(index, number, weights, now),
        }
        added = parts["speaker"] + parts["neighbours"] + parts["window"] + parts["linked"]
        total = (base[number] + added) * parts["boost"] / scale
        relevance = max(closeness[number], evidence.coverage.get(number, 0.0), 0.0)
        relevance += weights.window if number in evidence.inside else 0.0
        hits.append(Hit(number, min(max(total, 0.0), 1.0), min(relevance, 1.0), parts))
    return sorted(hits, key=lambda hit: -hit.score)


def _boost(index: EntityIndex, number: int, weights: RecallWeights, now: datetime) -> float:
    row = index.rows[number]
    boost = 1 + weights.importance * (row.importance - 0.5)
    boost *= 1 + weights.mentions * (1 - 1 / max(row.mentions, 1))
    if row.said_at is not None:
        age = max((now - row.said_at).days, 0)  # whole days: two recalls in a row score the same
        boost *= 1 + weights.recency * math.exp2(-age / weights.half_life)
    return boost


def _neighbours(index: EntityIndex, number: int) -> list[int]:
    row = index.rows[number]
    if row.kind != "episode" or row.session_id is None or row.position is None:
        return []
    places = ((row.session_id, row.position - 1), (row.session_id, row.position + 1))
    return [index.episode_at[place] for place in places if place in index.episode_at]
