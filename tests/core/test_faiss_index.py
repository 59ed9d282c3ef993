from __future__ import annotations

import numpy as np
import pytest
from memori.conformance import VectorIndexConformance
from memori.errors import EmbeddingError
from memori.recall.index.faiss import FaissIndex


class TestFaissIndex(VectorIndexConformance):
    @pytest.fixture
    def vector_index(self) -> type[FaissIndex]:
        return FaissIndex


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
