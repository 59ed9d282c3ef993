"""Combine what is known of each candidate into one score.

Scores are computed on the union of the candidates of all arms, so that they do not depend on which arm proposed a
memory. The defaults of `RecallWeights` were chosen on LoCoMo conversations; the optimum is broad.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ..model import RecallWeights
from ..storage.records import IndexRow
from .entity_index import EntityIndex

PARTS = ("vector", "lexical", "speaker", "neighbours", "window", "linked", "boost")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the arms found. `query` is None when the embedder failed: words alone decide then.

    `lexical`: the score of every number, shape (numbers,). `coverage`: the share of the query's words that it holds, of
    the same shape. `named`: the folded names of speakers in the query. `inside`: numbers in the time the query names.
    `linked`: numbers that share a node with another candidate, and that candidate.
    """

    query: NDArray[np.float32] | None
    lexical: NDArray[np.float32]
    coverage: NDArray[np.float32]
    named: Collection[str]
    inside: Collection[int]
    linked: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate by its number in the index. `relevance` means the same for every query, `score` only ranks.

    `shares`: what each of `PARTS` contributed, in that order.
    """

    number: int
    score: float
    relevance: float
    shares: NDArray[np.float64]

    @property
    def parts(self) -> dict[str, float]:
        """What made up the score, by name."""
        return dict(zip(PARTS, self.shares.tolist(), strict=True))


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
    if not chosen:
        return []
    around = [_neighbours(index, number) for number in chosen]
    everyone = sorted({*chosen, *itertools.chain.from_iterable(around)})
    place = {number: at for at, number in enumerate(everyone)}
    mine = [place[number] for number in chosen]

    closeness = index.closeness(everyone, evidence.query)
    words = evidence.lexical[everyone] / (float(evidence.lexical.max(initial=0.0)) or 1.0)
    share = weights.lexical if evidence.query is not None else 1.0
    base = (1 - share) * closeness + share * words
    worth = dict(zip(everyone, base.tolist(), strict=True))
    said = index.said_by[next(iter(evidence.named))] if len(evidence.named) == 1 else frozenset()
    window = weights.window * np.array([number in evidence.inside for number in chosen])
    shares = np.column_stack([
        closeness[mine],
        words[mine],
        weights.speaker * np.array([number in said for number in chosen]),
        weights.neighbour * np.array([sum(worth[number] for number in them) for them in around]),
        window,
        weights.linked * np.array([worth.get(evidence.linked.get(number, -1), 0.0) for number in chosen]),
        _boosts([index.rows[number] for number in chosen], weights, now),
    ])  # fmt: skip
    scale = 1 + weights.speaker + 2 * weights.neighbour + weights.window + weights.linked
    totals = np.clip((base[mine] + shares[:, 2:6].sum(axis=1)) * shares[:, 6] / scale, 0.0, 1.0)
    relevance = np.minimum(np.maximum(np.maximum(closeness[mine], evidence.coverage[chosen]), 0.0) + window, 1.0)
    hits = map(Hit, chosen, totals.tolist(), relevance.tolist(), shares)
    return sorted(hits, key=lambda hit: -hit.score)


def _boosts(rows: Sequence[IndexRow], weights: RecallWeights, now: datetime) -> NDArray[np.float64]:
    """The multiplier of each: by its importance, how often it was said, and how long ago in whole days.

    Whole days, so that two recalls in a row score the same.
    """
    importance = np.array([row.importance for row in rows])
    mentions = np.array([max(row.mentions, 1) for row in rows])
    ages = np.array([math.inf if row.said_at is None else max((now - row.said_at).days, 0) for row in rows])
    boosts: NDArray[np.float64] = 1 + weights.importance * (importance - 0.5)
    boosts *= 1 + weights.mentions * (1 - 1 / mentions)
    boosts *= 1 + weights.recency * np.exp2(-ages / weights.half_life)
    return boosts


def _neighbours(index: EntityIndex, number: int) -> list[int]:
    row = index.rows[number]
    if row.kind != "episode" or row.session_id is None or row.position is None:
        return []
    places = ((row.session_id, row.position - 1), (row.session_id, row.position + 1))
    return [index.episode_at[place] for place in places if place in index.episode_at]
