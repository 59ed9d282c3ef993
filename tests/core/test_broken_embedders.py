"""An embedder that fails costs closeness in meaning, never an answer: words decide, each cause is logged once."""

import logging
import threading
from collections import Counter

import numpy as np
import pytest
from memori import Memori, telemetry
from memori.embedding.hashing import HashingEmbedder
from memori.errors import EmbeddingError

from .conftest import ADA, BOB


class Fragile(HashingEmbedder):
    """Works until it is told what to do instead."""

    instead = None

    def embed(self, texts):
        return super().embed(texts) if self.instead is None else self.instead(len(texts), self.space.dimension)

    def embed_query(self, text):
        return self.embed([text])[0]


def raising(error):
    def instead(_count, _dimension):
        raise error

    return instead


FAILURES = {
    "raises": raising(EmbeddingError("the model's server is away")),
    "raises anything": raising(ZeroDivisionError("in somebody's code")),
    "NaN": lambda n, d: np.full((n, d), np.nan, np.float32),
    "infinite": lambda n, d: np.full((n, d), np.inf, np.float32),
    "wrong dimension": lambda n, d: np.ones((n, d + 1), np.float32),
    "one number": lambda n, _: np.ones(n, np.float32),
    "none at all": lambda _, d: np.empty((0, d), np.float32),
}


@pytest.fixture
def embedder():
    return Fragile()


@pytest.fixture
def counted(monkeypatch):
    """What is counted, by counter and attributes; the causes seen by other tests are forgotten."""
    counted = Counter()

    def count(name, amount=1, **attributes):
        counted[name, attributes.get("error")] += amount

    monkeypatch.setattr(telemetry, "count", count)
    monkeypatch.setattr(telemetry, "_seen", set())
    return counted


@pytest.fixture
def known(database, embedder):
    with Memori(database, embedder=embedder, extractor="none") as memori:
        memori.remember("drinks green tea", attribution=ADA)
        memori.remember("plays the violin", attribution=ADA)
        memori.remember("drinks green tea and plays the violin", attribution=BOB)
        yield memori


def warnings(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("failure", FAILURES)
def test_words_answer_the_cause_is_logged_once_and_every_failure_counted(known, embedder, failure, counted, caplog):
    embedder.instead = FAILURES[failure]

    for _ in range(3):
        assert [one.text for one in known.recall("green tea", attribution=ADA)] == ["drinks green tea"]
        assert "green tea" in known.context("green tea", attribution=ADA).text

    (warning,) = warnings(caplog)
    assert "recalling by words alone" in warning.getMessage()
    assert sum(amount for (name, _), amount in counted.items() if name == "failure") == 6


def test_vectors_of_zeros_leave_it_to_the_words(known, embedder):
    embedder.instead = lambda n, d: np.zeros((n, d), np.float32)

    assert [one.text for one in known.recall("green tea", attribution=ADA)] == ["drinks green tea"]
    assert known.recall("something else", attribution=ADA) == []


@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_remembered_meanwhile_is_found_by_its_words(known, embedder, failure, counted, caplog):
    embedder.instead = FAILURES[failure]
    for thing in ("a cello", "an oboe", "a harp"):
        known.remember(f"owns {thing}", attribution=ADA)
    embedder.instead = None

    assert [one.text for one in known.recall("a cello", attribution=ADA)] == ["owns a cello"]
    (warning,) = warnings(caplog)
    assert "stored without a vector" in warning.getMessage()
    assert sum(amount for (name, _), amount in counted.items() if name == "failure") == 3


def test_meaning_counts_again_when_the_embedder_is_back(known, embedder):
    embedder.instead = FAILURES["raises"]
    assert known.recall("green tea", attribution=ADA, explain=True)[0].parts["vector"] == 0
    embedder.instead = None

    assert known.recall("green tea", attribution=ADA, explain=True)[0].parts["vector"] > 0


def test_a_new_cause_is_logged_beside_an_old_one(counted, caplog):
    logger = logging.getLogger("memori.recall")
    for said in ("401: wrong key", "404: no such model", "401: wrong key", "404: no such model"):
        telemetry.failure(logger, "embedding", EmbeddingError(said))

    assert [record.args[2].args[0] for record in warnings(caplog)] == ["401: wrong key", "404: no such model"]
    assert counted["failure", "EmbeddingError"] == 4


def test_a_message_with_a_number_of_its_own_is_not_a_new_cause(counted, caplog):
    logger = logging.getLogger("memori.recall")
    for number in range(50):
        telemetry.failure(logger, "embedding", EmbeddingError(f"request {number} failed after {number * 7} ms"))

    assert len(warnings(caplog)) == 1
    assert counted["failure", "EmbeddingError"] == 50


def test_causes_without_end_do_not_flood_the_log(counted, caplog):
    logger = logging.getLogger("memori.recall")
    for number in range(3000):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        telemetry.failure(logger, "embedding", EmbeddingError(f"unknown: {word}"))

    assert len(warnings(caplog)) == 1000
    assert counted["failure", "EmbeddingError"] == 3000


def test_an_embedder_that_hangs_holds_up_nobody_else(database):
    hung, released = threading.Event(), threading.Event()

    class Hanging(HashingEmbedder):
        def embed_query(self, text):
            if text == "hang":
                hung.set()
                assert released.wait(30)
            return super().embed_query(text)

    with Memori(database, embedder=Hanging(), extractor="none") as memori:
        memori.remember("drinks green tea", attribution=ADA)
        memori.remember("drinks coffee", attribution=BOB)
        waiting = threading.Thread(target=memori.recall, args=("hang",), kwargs={"attribution": ADA})
        waiting.start()
        assert hung.wait(30)
        try:
            assert [one.text for one in memori.recall("coffee", attribution=BOB)] == ["drinks coffee"]
        finally:
            released.set()
            waiting.join(30)
        assert not waiting.is_alive()
