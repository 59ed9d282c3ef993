"""Extraction keeps its precision and recall on the labelled conversations, and supersedes what is over."""

import pytest

from benchmarks.extraction import Scores, load, run, score

FLOORS = {
    # precision, recall, right status (superseded or active), silent where nothing is to be stored
    "tuning": (0.97, 0.96, 0.95, 0.95),
    "changes": (0.80, 0.55, 0.88, 0.95),
    "changes_aside": (0.88, 0.70, 0.84, 0.95),
    "held_back": (0.86, 0.70, 0.88, 0.80),
}


@pytest.fixture(scope="module")
def scores() -> dict[str, Scores]:
    return {name: score(run(load(name))) for name in FLOORS}


@pytest.mark.parametrize("name", FLOORS)
def test_statements_are_found_and_little_else(scores, name):
    precision, recall, _, silent = FLOORS[name]

    assert scores[name].precision["all"].value >= precision
    assert scores[name].recall["all"].value >= recall
    assert scores[name].silent.value >= silent


@pytest.mark.parametrize("name", FLOORS)
def test_what_is_over_is_superseded_and_what_holds_is_not(scores, name):
    assert scores[name].status.value >= FLOORS[name][2]
