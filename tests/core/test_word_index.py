"""The words of an entity's memories: what is found quickly is what plain BM25 finds."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memori.recall.index.words import K1, B, WordIndex, highest

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=40)
QUERY = st.lists(st.sampled_from("abcdefghz"), max_size=6)


def plain(documents: dict[int, list[str]], query: list[str]) -> dict[int, float]:
    """BM25 as it is written down, document by document."""
    average = sum(map(len, documents.values())) / len(documents) if documents else 1.0
    scores = {}
    for number, document in documents.items():
        score = 0.0
        for term, repeats in Counter(query).items():
            holding = sum(term in other for other in documents.values())
            frequency = document.count(term)
            if frequency:
                rarity = math.log1p((len(documents) - holding + 0.5) / (holding + 0.5))
                norm = K1 * (1 - B + B * len(document) / max(average, 1e-9))
                score += repeats * rarity * frequency * (K1 + 1) / (frequency + norm)
        scores[number] = score
    return scores


def built(documents: list[list[str]], removed: set[int]) -> tuple[WordIndex, dict[int, list[str]]]:
    index = WordIndex()
    for document in documents:
        index.add(document)
    for number in removed:
        index.remove(number, documents[number])
    return index, {number: document for number, document in enumerate(documents) if number not in removed}


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, QUERY, st.data())
def test_scores_are_those_of_plain_bm25(documents, query, data):
    removed = data.draw(st.sets(st.integers(0, max(len(documents) - 1, 0)), max_size=len(documents)))
    index, held = built(documents, removed)
    truth = plain(held, query)
    scores = index.scores(query)

    assert scores.shape == (len(documents),)
    assert [float(scores[number]) for number in held] == pytest.approx(list(truth.values()), rel=1e-4, abs=1e-6)
    assert len(index) == len(held)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.25]), max_size=700), st.integers(-1, 20))
def test_the_highest_scores_come_in_order_and_the_earliest_of_equals(given_scores, limit):
    scores = np.array(given_scores, dtype=np.float32)
    expected = sorted((n for n in range(len(scores)) if scores[n] > 0), key=lambda n: (-scores[n], n))

    assert highest(scores, limit).tolist() == expected[: max(limit, 0)]


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, DOCUMENTS, QUERY)
def test_an_index_taken_over_goes_on_as_if_it_had_been_built(first, more, query):
    index, _ = built(first, set())
    again = WordIndex()
    lengths = np.array([len(document) for document in first], dtype=np.float32)
    again.restore(lengths, {term: tuple(part.copy() for part in index.postings(term)) for term in index.terms()})
    for document in more:
        assert index.add(document) == again.add(document)
    if first:
        index.remove(0, first[0])
        again.remove(0, first[0])

    assert len(again) == len(index)
    assert again.size == index.size
    assert again.scores(query).tolist() == index.scores(query).tolist()
