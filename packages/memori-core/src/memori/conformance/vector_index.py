"""What every vector index must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ..errors import EmbeddingError
from ..recall.index.base import VectorIndex

DIMENSION = 16
LARGEST = 2**63 - 1
Make = Callable[[int], VectorIndex]
IDS = st.lists(st.integers(-8, 8) | st.sampled_from([LARGEST, -LARGEST - 1]), max_size=6)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "remove"]), IDS), max_size=20)


class VectorIndexConformance:
    """Subclass this and supply the fixture `vector_index`: a callable that takes a dimension and returns an empty
    index, which is usually the class itself.
    """

    least_recall = 1.0
    """The share of the true nearest neighbours that a search must find. Below 1 for an approximate index only."""

    @pytest.fixture
    def vector_index(self) -> Make:
        """What makes the index to test."""
        raise NotImplementedError("Supply a fixture `vector_index` that returns a callable: dimension to empty index.")

    def test_starts_empty(self, vector_index: Make) -> None:
        """A new index holds nothing, and searching it is no error."""
        index = vector_index(DIMENSION)
        ids, products = index.search(unit(1)[0], 5)

        assert len(index) == 0
        assert index.dimension == DIMENSION
        assert ids.shape == (0,)
        assert products.shape == (0,)

    def test_finds_the_nearest_best_first(self, vector_index: Make) -> None:
        """Compare by inner product, not by distance or cosine, and order from the highest down."""
        index = vector_index(DIMENSION)
        vectors = unit(300) * np.linspace(0.5, 2, 300, dtype=np.float32)[:, np.newaxis]
        index.put(numbers(range(1000, 1300)), vectors)
        found = 0
        for query in unit(20, seed=2):
            ids, products = index.search(query, 10)
            truth = vectors @ query

            assert products == pytest.approx(truth[ids - 1000], abs=1e-4)
            assert list(products) == sorted(products, reverse=True)
            found += len(set(ids.tolist()) & set((np.argsort(-truth)[:10] + 1000).tolist()))

        assert found >= self.least_recall * 20 * 10

    def test_answers_in_int64_and_float32(self, vector_index: Make) -> None:
        """Return flat arrays of these types, for any size of result."""
        index = filled(vector_index, 3)
        ids, products = index.search(unit(1)[0], 2)

        assert ids.shape == products.shape == (2,)
        assert ids.dtype == np.int64
        assert products.dtype == np.float32
        assert index.get(ids).dtype == np.float32

    @pytest.mark.parametrize(("limit", "expected"), [(1, 1), (3, 3), (100, 3), (0, 0), (-1, 0)])
    def test_returns_no_more_than_there_is_or_was_asked_for(
        self, vector_index: Make, limit: int, expected: int
    ) -> None:
        """Cut the padding (FAISS pads with -1); a limit of 0 or less gives nothing."""
        ids, products = filled(vector_index, 3).search(unit(1)[0], limit)

        assert len(ids) == len(products) == expected

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
    def test_what_is_not_allowed_takes_no_place(self, vector_index: Make, share: float) -> None:
        """Filter inside the search: as many are found as there are allowed, however near the others are."""
        index = filled(vector_index, 600)
        allowed = np.random.default_rng(3).random(600) < share
        found = 0.0
        for query in unit(20, seed=2):
            products = np.where(allowed, unit(600) @ query, -np.inf)
            nearest = np.argsort(-products)[: min(10, int(allowed.sum()))]
            ids, _ = index.search(query, 10, allowed=allowed)

            assert len(ids) == len(nearest)
            assert allowed[ids].all()
            found += len(set(ids.tolist()) & set(nearest.tolist())) / len(nearest)

        assert found >= self.least_recall * 20 - 1e-9

    def test_an_id_outside_what_is_allowed_is_not_returned(self, vector_index: Make) -> None:
        """Allow nothing beyond the end of the mask, nor below 0; an empty mask allows nothing."""
        index = filled(vector_index, 4)
        index.put(numbers([-1, LARGEST]), unit(2, seed=4))

        assert sorted(index.search(unit(1)[0], 9, allowed=np.array([True, False, True]))[0].tolist()) == [0, 2]
        assert index.search(unit(1)[0], 9, allowed=np.zeros(0, dtype=np.bool_))[0].tolist() == []
        assert len(index.search(unit(1)[0], 9)[0]) == 6

    def test_a_longer_mask_than_ids_allows_no_removed_one(self, vector_index: Make) -> None:
        """Being allowed does not bring a vector back, and its replacement is found once."""
        index = filled(vector_index, 5)
        index.remove(numbers([2]))
        index.put(numbers([3]), unit(1, seed=9))
        ids, _ = index.search(unit(1)[0], 9, allowed=np.ones(50, dtype=np.bool_))

        assert sorted(ids.tolist()) == [0, 1, 3, 4]

    def test_is_restored_from_what_it_saved(self, vector_index: Make) -> None:
        """Saved pieces, joined and read as flat bytes, restore what was there when `saved` was called."""
        index = filled(vector_index, 40)
        index.remove(numbers([7]))
        saved = index.saved()
        if saved is None:
            pytest.skip("this index is not saved: `saved` returns None, as it may")
        index.put(numbers([99]), unit(1, seed=5))
        arrays = {
            name: np.frombuffer(b"".join(piece.tobytes() for piece in pieces), np.uint8)
            for name, pieces in saved.items()
        }
        again = vector_index(DIMENSION)
        again.restore(arrays)
        before, after = (one.search(unit(40)[3], 5)[0].tolist() for one in (index, again))
        again.put(numbers([99]), unit(1, seed=5))

        assert before == after
        assert len(again) == 40
        assert again.get(numbers([3, 99])) == pytest.approx(index.get(numbers([3, 99])), abs=1e-6)
        with pytest.raises(KeyError):
            again.get(numbers([7]))

    def test_knows_about_how_large_it_is(self, vector_index: Make) -> None:
        """`size` is in bytes and grows with what it holds: a cache drops indexes by it."""
        assert filled(vector_index, 500).size > filled(vector_index, 5).size > 0

    def test_finds_those_that_point_the_other_way(self, vector_index: Make) -> None:
        """A negative product is a result like any other; the caller has its own relevance floor."""
        index = vector_index(DIMENSION)
        vector = unit(1)
        index.put(numbers([7]), -vector)
        ids, products = index.search(vector[0], 5)

        assert ids.tolist() == [7]
        assert products == pytest.approx([-1.0], abs=1e-5)

    def test_put_replaces(self, vector_index: Make) -> None:
        """Remove the old vector of an id that is put again, or it is found twice."""
        index = filled(vector_index, 3)
        index.put(numbers([1]), unit(1, seed=9))
        ids, _ = index.search(unit(1, seed=9)[0], 10)

        assert len(index) == 3
        assert sorted(ids.tolist()) == [0, 1, 2]
        assert ids[0] == 1
        assert index.get(numbers([1])) == pytest.approx(unit(1, seed=9), abs=1e-6)

    def test_an_id_given_twice_in_one_put_keeps_its_last_vector(self, vector_index: Make) -> None:
        """Fold duplicates before adding."""
        index = vector_index(DIMENSION)
        vectors = unit(3)
        index.put(numbers([4, 5, 4]), vectors)

        assert len(index) == 2
        assert index.get(numbers([4, 5])) == pytest.approx(vectors[[2, 1]], abs=1e-6)

    def test_removed_is_gone(self, vector_index: Make) -> None:
        """Neither `search`, `get` nor `len` may know it."""
        index = filled(vector_index, 5)
        index.remove(numbers([1, 3]))
        ids, _ = index.search(unit(1)[0], 10)

        assert len(index) == 3
        assert sorted(ids.tolist()) == [0, 2, 4]
        with pytest.raises(KeyError):
            index.get(numbers([3]))

    def test_removing_what_is_not_there_does_nothing(self, vector_index: Make) -> None:
        """Ignore unknown ids, an id given twice, and an empty index."""
        index = filled(vector_index, 2)
        index.remove(numbers([99, 0, 0, -1]))
        empty = vector_index(DIMENSION)
        empty.remove(numbers([1]))

        assert len(index) == 1
        assert len(empty) == 0

    def test_an_emptied_index_can_be_filled_again(self, vector_index: Make) -> None:
        """Rows freed by `remove` are used again or forgotten, but never answer."""
        index = filled(vector_index, 4)
        index.remove(numbers(range(4)))
        index.put(numbers([2]), unit(1, seed=9))

        assert len(index) == 1
        assert index.search(unit(1, seed=9)[0], 5)[0].tolist() == [2]

    def test_gets_vectors_in_the_order_asked_for(self, vector_index: Make) -> None:
        """An id asked for twice is returned twice; none give shape (0, dimension)."""
        index = filled(vector_index, 5)

        assert index.get(numbers([3, 0, 3])) == pytest.approx(unit(5)[[3, 0, 3]], abs=1e-6)
        assert index.get(numbers([])).shape == (0, DIMENSION)

    def test_get_raises_for_an_unknown_id(self, vector_index: Make) -> None:
        """Raise `KeyError` even when the other ids are known."""
        with pytest.raises(KeyError):
            filled(vector_index, 2).get(numbers([0, 12345]))

    def test_nothing_may_be_put_or_removed(self, vector_index: Make) -> None:
        """Empty arrays are no error."""
        index = filled(vector_index, 2)
        index.put(numbers([]), np.empty((0, DIMENSION), dtype=np.float32))
        index.remove(numbers([]))

        assert len(index) == 2

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_vector_that_is_not_finite_is_refused(self, vector_index: Make, bad: float) -> None:
        """Raise `EmbeddingError` before changing anything: one such vector spoils every later search."""
        index = filled(vector_index, 2)
        vectors = unit(2, seed=9)
        vectors[1, 3] = bad
        with pytest.raises(EmbeddingError):
            index.put(numbers([0, 8]), vectors)

        assert len(index) == 2
        assert index.get(numbers([0, 1])) == pytest.approx(unit(2), abs=1e-6)

    @pytest.mark.parametrize("shape", [(2, DIMENSION + 1), (2, DIMENSION - 1), (1, DIMENSION), (2 * DIMENSION,)])
    def test_vectors_of_another_shape_are_refused(self, vector_index: Make, shape: tuple[int, ...]) -> None:
        """Raise `EmbeddingError`: the embedder returned something else than its space says."""
        index = filled(vector_index, 2)
        with pytest.raises(EmbeddingError):
            index.put(numbers([0, 8]), np.ones(shape, dtype=np.float32))

        assert len(index) == 2

    @pytest.mark.parametrize("query", [np.ones(DIMENSION + 1), np.full(DIMENSION, np.nan)], ids=["too long", "NaN"])
    def test_a_query_that_cannot_be_compared_is_refused(self, vector_index: Make, query: NDArray[np.float64]) -> None:
        """Raise `EmbeddingError` rather than return arbitrary neighbours."""
        with pytest.raises(EmbeddingError):
            filled(vector_index, 2).search(query.astype(np.float32), 1)

    def test_vectors_are_copied_in_and_out(self, vector_index: Make) -> None:
        """Changing an array that was put or got must not change the index."""
        index = vector_index(DIMENSION)
        given_ids, vectors = numbers([1, 2]), unit(2)
        index.put(given_ids, vectors)
        vectors[:] = 0
        given_ids[:] = 0
        index.get(numbers([1]))[:] = 0

        assert index.get(numbers([1, 2])) == pytest.approx(unit(2), abs=1e-6)

    def test_threads_search_and_get_at_once(self, vector_index: Make) -> None:
        """Use no buffer that belongs to the index in `search` or `get`."""
        index = filled(vector_index, 500)
        vectors = unit(500)
        expected = [index.search(vector, 5)[0].tolist() for vector in vectors]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda vector: index.search(vector, 5)[0].tolist(), vectors))
            got = list(pool.map(lambda number: index.get(numbers([number]))[0], range(500)))

        assert found == expected
        assert np.stack(got) == pytest.approx(vectors, abs=1e-6)

    @given(steps=STEPS)
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_behaves_like_a_dictionary(self, vector_index: Make, steps: list[tuple[str, list[int]]]) -> None:
        """After any puts and removals it holds what a dictionary would; hypothesis prints the shortest sequence
        that fails.
        """
        index = vector_index(DIMENSION)
        model: dict[int, NDArray[np.float32]] = {}
        for seed, (action, ids) in enumerate(steps):
            if action == "put":
                vectors = unit(len(ids), seed=seed)
                index.put(numbers(ids), vectors)
                model.update(zip(ids, vectors, strict=True))
            else:
                index.remove(numbers(ids))
                model = {number: vector for number, vector in model.items() if number not in ids}
        held = numbers(sorted(model))
        found, _ = index.search(unit(1)[0], len(model) + 1)

        assert len(index) == len(model)
        for number, vector in zip(held.tolist(), index.get(held), strict=True):
            assert vector == pytest.approx(model[number], abs=1e-6)
        assert self.least_recall < 1 or sorted(found.tolist()) == sorted(model)


def filled(make: Make, count: int) -> VectorIndex:
    """An index of the ids 0 to `count` - 1 and the vectors `unit(count)`."""
    index = make(DIMENSION)
    index.put(numbers(range(count)), unit(count))
    return index


def numbers(ids: Sequence[int]) -> NDArray[np.int64]:
    """Ids as an index takes them."""
    return np.array(list(ids), dtype=np.int64)


def unit(count: int, *, seed: int = 1) -> NDArray[np.float32]:
    """`count` vectors of length 1, the same for the same seed."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    scaled: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled
