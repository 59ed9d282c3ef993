"""The measures agree with their definitions, worked out by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.metrics import hit_at, ndcg_at, percentile, recall_at

RANKED = ["a", "x", "b", "y", "c"]


@pytest.mark.parametrize(("k", "share"), [(1, 1 / 3), (2, 1 / 3), (3, 2 / 3), (5, 1.0)])
def test_recall_is_the_share_of_the_wanted_among_the_first(k: int, share: float) -> None:
    assert recall_at(k, RANKED, {"a", "b", "c"}) == pytest.approx(share)


def test_an_item_that_comes_twice_counts_once_and_takes_two_places() -> None:
    assert recall_at(2, ["a", "a", "b"], {"a", "b"}) == 0.5
    assert ndcg_at(2, ["a", "a"], {"a", "b"}) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_a_hit_is_any_wanted_item_among_the_first() -> None:
    assert hit_at(2, RANKED, {"b"}) == 0
    assert hit_at(3, RANKED, {"b", "nowhere"}) == 1


def test_gain_is_one_for_the_best_order_and_less_for_any_other() -> None:
    assert ndcg_at(10, ["a", "b", "x"], {"a", "b"}) == 1
    assert ndcg_at(10, ["x", "a"], {"a"}) == pytest.approx(1 / math.log2(3))
    assert ndcg_at(1, ["x", "a"], {"a"}) == 0


def test_gain_is_measured_against_what_fits_into_k() -> None:
    assert ndcg_at(1, ["a"], {"a", "b"}) == 1


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (75, 3), (95, 4), (100, 4)])
def test_a_percentile_is_the_nearest_rank(percent: float, value: int) -> None:
    assert percentile([4, 1, 3, 2], percent) == value
