"""What an embedder answers is checked in one place, and a query is embedded once in five minutes."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from memori.embedding import vectors
from memori.embedding.hashing import HashingEmbedder
from memori.embedding.vectors import QueryCache, embed_query, embed_texts
from memori.errors import EmbeddingError


class Counting(HashingEmbedder):
    """Remembers what it was asked, and answers one text with NaN."""

    def __init__(self, bad=None):
        super().__init__()
        self.bad = bad
        self.asked = []

    def embed(self, texts):
        self.asked.append(list(texts))
        matrix = super().embed(texts)
        matrix[[text == self.bad for text in texts]] = np.nan
        return matrix


def test_a_text_without_a_usable_vector_costs_the_others_nothing(caplog):
    caplog.set_level("DEBUG", "memori")
    first, second, third = embed_texts(Counting(bad="b"), ["a", "b", "c"])

    assert second is None
    np.testing.assert_array_equal([first, third], HashingEmbedder().embed(["a", "c"]))
    assert "stored without a vector" in caplog.text


def test_without_texts_the_embedder_is_not_asked():
    embedder = Counting()

    assert embed_texts(embedder, []) == []
    assert embedder.asked == []


def test_floats_of_another_width_become_float32():
    class Double(HashingEmbedder):
        def embed(self, texts):
            return super().embed(texts).astype(np.float64)

    assert embed_texts(Double(), ["a"])[0].dtype == np.float32
    assert embed_query(Double(), "a").dtype == np.float32


def test_a_number_too_large_for_float32_is_no_vector():
    class Huge(HashingEmbedder):
        def embed(self, texts):
            return super().embed(texts).astype(np.float64) * 1e300

    assert embed_texts(Huge(), ["a"]) == [None]


def test_a_query_is_embedded_once():
    embedder = Counting()

    assert embed_query(embedder, "tea") is embed_query(embedder, "tea")
    assert embedder.asked == [["tea"]]


def test_a_failure_is_not_remembered():
    embedder = Counting(bad="tea")
    with pytest.raises(EmbeddingError, match="NaN or only zeros"):
        embed_query(embedder, "tea")
    embedder.bad = None

    assert np.isfinite(embed_query(embedder, "tea")).all()


def test_two_embedders_never_share_a_query():
    one, other = Counting(), Counting()
    embed_query(one, "tea")
    embed_query(other, "tea")

    assert other.asked == [["tea"]]


def test_a_cache_goes_with_its_embedder():
    embedder = Counting()
    embed_query(embedder, "tea")
    key = id(embedder)
    assert key in vectors._caches
    del embedder
    gc.collect()

    assert key not in vectors._caches


def test_nobody_can_change_a_vector_that_others_get():
    embedder = Counting()
    for vector in (embed_query(embedder, "tea"), *embed_texts(embedder, ["tea"])):
        with pytest.raises(ValueError, match="read-only"):
            vector[0] = 7.0


def test_a_query_is_forgotten_after_its_time():
    now = [0.0]
    cache = QueryCache(ttl=300, clock=lambda: now[0])
    made = []

    def embed():
        made.append(now[0])
        return np.ones(2, np.float32)

    for now[0] in (0.0, 299.9, 300.0, 599.9):
        cache.get("tea", embed)

    assert made == [0.0, 300.0]


def test_the_least_recently_used_query_makes_room():
    cache = QueryCache(size=2)
    made = []

    def get(text):
        cache.get(text, lambda: made.append(text) or np.ones(2, np.float32))

    for text in ("a", "b", "a", "c", "a", "b"):
        get(text)

    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_a_slow_query_keeps_no_other_waiting():
    cache = QueryCache()
    cache.get("known", lambda: np.ones(2, np.float32))
    started, release = threading.Event(), threading.Event()

    def slow():
        started.set()
        assert release.wait(30)
        return np.ones(2, np.float32)

    thread = threading.Thread(target=cache.get, args=("slow", slow))
    thread.start()
    assert started.wait(30)
    known = cache.get("known", lambda: pytest.fail("it was known"))
    release.set()
    thread.join()

    assert known.tolist() == [1.0, 1.0]


def test_text_that_is_no_unicode_can_be_asked_for():
    assert embed_query(Counting(), "\ud800").shape == (256,)
