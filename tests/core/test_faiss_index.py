from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator

import numpy as np
import pytest
from memori.conformance import VectorIndexConformance
from memori.errors import EmbeddingError
from memori.recall.index import faiss as module
from memori.recall.index.faiss import FaissIndex
from numpy.typing import NDArray

WIDTH = 32


class TestFaissIndex(VectorIndexConformance):
    @pytest.fixture
    def vector_index(self) -> type[FaissIndex]:
        return FaissIndex


class Trained(FaissIndex):
    """Approximate from the first vector on, and never searched before its training is over."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, approximate_from=1)

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        super().put(ids, vectors)
        assert self.wait()


class TestApproximate(VectorIndexConformance):
    least_recall = 0.95

    @pytest.fixture
    def vector_index(self, monkeypatch: pytest.MonkeyPatch) -> type[FaissIndex]:
        monkeypatch.setattr(module, "FEW", 0)
        return Trained


class TestWhileTraining(VectorIndexConformance):
    @pytest.fixture
    def vector_index(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], FaissIndex]]:
        made: list[FaissIndex] = []

        def make(dimension: int) -> FaissIndex:
            made.append(FaissIndex(dimension, approximate_from=1))
            return made[-1]

        def endless(*_: object, **__: object) -> Iterator[None]:
            while True:
                time.sleep(0.001)
                yield

        monkeypatch.setattr(module, "clusters", endless)
        yield make
        for index in made:
            index.close()


def clustered(count: int, *, seed: int = 1) -> NDArray[np.float32]:
    """Unit vectors around a few hundred centres, as the embeddings of sentences are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((300, WIDTH))
    vectors = centres[random.integers(300, size=count)] + 0.6 * random.standard_normal((count, WIDTH))
    scaled: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def trained(vectors: NDArray[np.float32]) -> FaissIndex:
    index = FaissIndex(WIDTH)
    index.put(np.arange(len(vectors)), vectors)
    assert index.wait()
    assert index.approximate
    return index


def recall(index: FaissIndex, vectors: NDArray[np.float32], *, among: Collection[int] | None = None) -> float:
    """The share of the ten nearest that a search finds, over a hundred queries."""
    allowed = None
    hidden = np.zeros(len(vectors))
    if among is not None:
        allowed = np.isin(np.arange(len(vectors)), list(among))
        hidden = np.where(allowed, 0.0, np.inf)
    found = 0
    for query in clustered(100, seed=9):
        nearest = np.argsort(-(vectors @ query - hidden))[:10]
        found += len(set(index.search(query, 10, allowed=allowed)[0].tolist()) & set(nearest.tolist()))
    return found / 1000


def test_a_few_thousand_are_searched_exactly() -> None:
    index = FaissIndex(WIDTH)
    vectors = clustered(module.APPROXIMATE_FROM - 1)
    index.put(np.arange(len(vectors)), vectors)

    assert index.wait()
    assert not index.approximate
    assert recall(index, vectors) == 1.0


def test_many_are_searched_approximately_and_almost_nothing_is_missed() -> None:
    vectors = clustered(12_000)
    index = trained(vectors)
    query = clustered(1, seed=5)[0]
    ids, products = index.search(query, 50)

    assert recall(index, vectors) >= 0.98
    assert products == pytest.approx(vectors[ids] @ query, abs=1e-6)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.2, 0.8])
def test_a_filter_costs_no_neighbours(share: float) -> None:
    vectors = clustered(12_000)
    among = np.flatnonzero(np.random.default_rng(2).random(len(vectors)) < share).tolist()

    assert recall(trained(vectors), vectors, among=among) >= 0.98


def test_a_filter_that_leaves_only_what_is_far_away_still_finds_enough() -> None:
    vectors = clustered(12_000)
    index = trained(vectors)
    query = vectors[0]
    far = np.argsort(vectors @ query)[:3000]
    ids, _ = index.search(query, 50, allowed=np.isin(np.arange(len(vectors)), far))

    assert len(ids) == 50
    assert set(ids.tolist()) <= set(far.tolist())


def test_what_is_added_after_training_is_found_at_once_and_what_is_removed_is_not() -> None:
    vectors = clustered(9000)
    index = trained(vectors[:6000])
    for start in range(6000, 9000, 100):
        new = np.arange(start, start + 100)
        index.put(new, vectors[new])
        assert index.search(vectors[start + 50], 1)[0].tolist() == [start + 50]
        index.remove(new[:50])
        assert index.search(vectors[start + 10], 1)[0].tolist() != [start + 10]
    index.put(np.array([3]), vectors[[8999]] * 2)

    assert index.search(vectors[8999], 1)[0].tolist() == [3]
    assert len(index) == 6000 + 1500


def test_searches_are_answered_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    steps = module.clusters

    def slow(*given, **options):
        arrived.set()
        assert go_on.wait(30)
        return (yield from steps(*given, **options))

    monkeypatch.setattr(module, "clusters", slow)
    vectors = clustered(6000)
    index = FaissIndex(WIDTH)
    index.put(np.arange(5500), vectors[:5500])
    assert arrived.wait(30)
    index.put(np.arange(5500, 6000), vectors[5500:])
    index.remove(np.array([7]))

    assert not index.approximate
    assert index.search(vectors[5900], 1)[0].tolist() == [5900]
    go_on.set()
    assert index.wait()
    assert index.approximate
    assert index.search(vectors[5900], 1)[0].tolist() == [5900]
    assert index.search(vectors[7], 1)[0].tolist() != [7]


def test_partitions_are_made_for_as_many_as_there_are_when_training_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on, numbers = threading.Event(), threading.Event(), []
    steps = module.clusters

    def slow(sample, number):
        numbers.append(number)
        arrived.set()
        assert go_on.wait(30)
        return (yield from steps(sample, number))

    monkeypatch.setattr(module, "clusters", slow)
    vectors = clustered(20_000)
    index = FaissIndex(WIDTH)
    index.put(np.arange(5000), vectors[:5000])
    assert arrived.wait(30)
    index.put(np.arange(5000, 20_000), vectors[5000:])
    go_on.set()

    assert index.wait()
    assert numbers == [int(4 * 5000**0.5), int(4 * 20_000**0.5)]
    assert recall(index, vectors) >= 0.98


def test_a_training_that_fails_leaves_the_exact_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_, **__):
        raise MemoryError("no room")
        yield

    monkeypatch.setattr(module, "clusters", fails)
    vectors = clustered(6000)
    index = FaissIndex(WIDTH)
    index.put(np.arange(6000), vectors)

    assert index.wait()
    assert not index.approximate
    assert recall(index, vectors) == 1.0


def test_gaps_are_closed_when_most_are_removed() -> None:
    vectors = clustered(12_000)
    index = trained(vectors)
    before = index.size
    index.remove(np.arange(0, 10_000))

    assert index.size < before / 3
    assert sorted(index.search(vectors[11_000], 2000)[0].tolist()) == list(range(10_000, 12_000))


def test_an_index_that_is_dropped_stops_training() -> None:
    index = FaissIndex(WIDTH)
    vectors = clustered(60_000)
    index.put(np.arange(len(vectors)), vectors)
    training = index._training
    assert training is not None
    del index
    gc.collect()

    assert training.wait(30)


def test_saving_and_restoring_keeps_the_partitions() -> None:
    vectors = clustered(8000)
    index = trained(vectors[:7990])
    saved = index.saved()
    index.put(np.arange(7990, 8000), vectors[7990:])
    arrays = {name: np.frombuffer(b"".join(map(bytes, pieces)), np.uint8) for name, pieces in saved.items()}
    again = FaissIndex(WIDTH)
    again.restore(arrays)

    assert again.approximate
    assert len(again) == 7990
    assert recall(again, vectors[:7990]) >= 0.98


def test_what_is_saved_is_of_one_moment_even_when_all_moves_up_meanwhile() -> None:
    vectors = clustered(14_000)
    index = trained(vectors)
    saved = index.saved()
    index.remove(np.arange(0, 8000))
    assert index.wait()
    arrays = {name: np.frombuffer(b"".join(map(bytes, pieces)), np.uint8) for name, pieces in saved.items()}
    again = FaissIndex(WIDTH)
    again.restore(arrays)
    assert again.wait()

    assert len(again) == 14_000
    assert recall(again, vectors) >= 0.98


def test_a_restored_index_is_added_to_without_touching_what_it_was_restored_from() -> None:
    vectors = clustered(8000)
    saved = trained(vectors[:7000]).saved()
    arrays = {name: np.frombuffer(b"".join(map(bytes, pieces)), np.uint8) for name, pieces in saved.items()}
    before = {name: bytes(array) for name, array in arrays.items()}
    index = FaissIndex(WIDTH)
    index.restore(arrays)
    for start in range(7000, 8000, 10):
        index.put(np.arange(start, start + 10), vectors[start : start + 10])
    index.remove(np.arange(20))

    assert index.search(vectors[7500], 1)[0].tolist() == [7500]
    assert index.get(np.arange(20, 8000)) == pytest.approx(vectors[20:], abs=1e-6)
    assert {name: bytes(array) for name, array in arrays.items()} == before


def test_saved_arrays_that_do_not_fit_together_are_refused() -> None:
    arrays = {name: np.frombuffer(b"".join(map(bytes, pieces)), np.uint8)
              for name, pieces in trained(clustered(6000)).saved().items()}  # fmt: skip
    with pytest.raises(ValueError, match="equally many"):
        FaissIndex(WIDTH).restore({**arrays, "live": arrays["live"][:-1]})
    with pytest.raises(ValueError, match="other vectors"):
        FaissIndex(WIDTH // 2).restore(
            {**arrays, "ids": np.arange(12_000).view(np.uint8), "live": np.ones(12_000, np.uint8)}
        )


TRAINING = """
import os, signal, time
import numpy as np
from memori.recall.index.faiss import FaissIndex
vectors = np.random.default_rng(0).standard_normal((60_000, 64)).astype(np.float32)
index = FaissIndex(64)
index.put(np.arange(60_000), vectors)
assert index._training is not None
"""


def test_a_process_ends_while_an_index_trains() -> None:
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork; there is nothing to test")
def test_a_child_forked_while_an_index_trains_trains_its_own_and_exits() -> None:
    forks = """
for _ in range(5):
    if not (child := os.fork()):
        signal.alarm(50)
        own = FaissIndex(64)
        own.put(np.arange(6000), vectors[:6000])
        assert own.wait(40) and own.approximate
        assert own.search(vectors[5], 1)[0].tolist() == [5]
        raise SystemExit(0)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(0.05)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", TRAINING + forks], capture_output=True, text=True,
                          timeout=110)  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_refused_vectors_are_named_by_id() -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 0] = np.nan

    with pytest.raises(EmbeddingError, match=r"id 22 hold NaN"):
        FaissIndex(4).put(np.array([11, 22, 33]), vectors)


def test_numbers_too_large_for_float32_are_refused() -> None:
    with pytest.raises(EmbeddingError, match="infinity"):
        FaissIndex(2).put(np.array([1]), np.array([[1e300, 0.0]]))


def test_ids_that_are_no_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        FaissIndex(2).put(np.array([1.5]), np.ones((1, 2), dtype=np.float32))


@pytest.mark.parametrize("dimension", [0, -1])
def test_an_index_has_at_least_one_dimension(dimension: int) -> None:
    with pytest.raises(ValueError, match="at least one dimension"):
        FaissIndex(dimension)


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(KeyError, match="404"):
        FaissIndex(2).get(np.array([404]))
