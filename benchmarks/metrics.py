"""Score a ranking against the items that should be in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def recall_at(k: int, ranked: Sequence[str], wanted: Collection[str]) -> float:
    """The share of the wanted items among the first `k`."""
    return len(set(ranked[:k]) & set(wanted)) / len(set(wanted))


def hit_at(k: int, ranked: Sequence[str], wanted: Collection[str]) -> float:
    """1 if any wanted item is among the first `k`, else 0."""
    return float(not set(ranked[:k]).isdisjoint(wanted))


def ndcg_at(k: int, ranked: Sequence[str], wanted: Collection[str]) -> float:
    """Normalised discounted cumulative gain of the first `k`, each wanted item counting once, with equal gain."""
    places = [ranked.index(item) for item in set(wanted) & set(ranked[:k])]
    gained = sum(1 / math.log2(place + 2) for place in places)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(k, len(set(wanted)))))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
