"""What every embedder must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ..embedding.base import Embedder

SENTENCES = (
    "Ada moved to Berlin in the spring.",
    "The dog refuses to eat carrots.",
    "Remember to renew the passport before June.",
    "Grace plays the cello in an orchestra.",
    "The invoice of the plumber was paid twice.",
    "Linus is allergic to penicillin.",
    "They adopted two kittens from the shelter.",
    "The meeting about the budget is on Thursday at nine.",
)
AWKWARD = {
    "empty": "",
    "white space": " \t\r\n\u00a0",
    "NUL": "a\0b",
    "only NUL": "\0",
    "lone surrogate": "half a pair \ud83d and the rest",
    "only a lone surrogate": "\udfff",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈",
    "right to left": "שלום עולם \u202e reversed",
    "Japanese": "彼女は春にベルリンへ引っ越した。",
    "combining marks": "Z" + "\u0301" * 200,
    "punctuation": "?!… --- ###",
    "one word without end": "a" * 20_000,
    "a megabyte": "lorem ipsum dolor sit amet " * 40_000,
}
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class EmbedderConformance:
    """Subclass this and supply the fixture `embedder`. It is made anew for each test: keep the model per process."""

    closeness = 0.999
    """The least cosine between two vectors of one text. Lower it only for a model whose arithmetic is that coarse."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder to test."""
        raise NotImplementedError("Supply a fixture `embedder` that returns the embedder to test.")

    def test_is_an_embedder(self, embedder: Embedder) -> None:
        """Subclass `memori.embedding.base.Embedder`; defaults that are added to it later then reach yours."""
        assert isinstance(embedder, Embedder)

    def test_is_made_from_the_rest_of_its_name_or_none(self, embedder: Embedder) -> None:
        """`__init__` takes one optional argument and passes it to `super().__init__`, which keeps it in `model`."""
        assert embedder.model is None or isinstance(embedder.model, str)

    def test_space_says_where_vectors_live(self, embedder: Embedder) -> None:
        """Name the embedder and the model in `space`: two models that share a name would be compared."""
        space = embedder.space

        assert space.embedder.strip()
        assert space.model.strip()
        assert space.dimension > 0

    def test_space_stays_the_same(self, embedder: Embedder) -> None:
        """Derive `space` from the model alone: stored vectors are found again by it."""
        before = embedder.space
        embedder.embed(SENTENCES[:1])

        assert embedder.space == before

    def test_one_vector_for_each_text(self, embedder: Embedder) -> None:
        """Return an array of shape (texts, dimension of the space), float32."""
        vectors = embedder.embed(SENTENCES)

        assert vectors.shape == (len(SENTENCES), embedder.space.dimension)
        assert vectors.dtype == np.float32

    def test_no_texts_give_no_vectors(self, embedder: Embedder) -> None:
        """Return an array of shape (0, dimension) for an empty list; don't call the model."""
        vectors = embedder.embed([])

        assert vectors.shape == (0, embedder.space.dimension)
        assert vectors.dtype == np.float32

    def test_vectors_have_length_one(self, embedder: Embedder) -> None:
        """Divide each vector by its Euclidean length: the index compares by inner product."""
        assert_unit(embedder.embed(SENTENCES))

    def test_a_query_is_one_unit_vector(self, embedder: Embedder) -> None:
        """`embed_query` returns shape (dimension,), not (1, dimension)."""
        vector = embedder.embed_query(SENTENCES[0])

        assert vector.shape == (embedder.space.dimension,)
        assert vector.dtype == np.float32
        assert_unit(vector[np.newaxis])

    def test_a_text_is_nearest_to_itself(self, embedder: Embedder) -> None:
        """A query in the words of a text finds it. If not, queries and texts are embedded too differently, or the
        vectors are returned in another order than the texts.
        """
        vectors = embedder.embed(SENTENCES)
        queries = np.stack([embedder.embed_query(text) for text in SENTENCES])

        assert (queries @ vectors.T).argmax(axis=1).tolist() == list(range(len(SENTENCES)))

    def test_a_text_has_one_vector_whatever_it_is_batched_with(self, embedder: Embedder) -> None:
        """Check the attention mask and the order of results where texts are sorted by length, and group texts of
        equal length where padding changes the arithmetic (dynamic quantisation does that).
        """
        longer = [" ".join(SENTENCES[:n]) for n in range(1, len(SENTENCES))]
        together = embedder.embed([*longer, *reversed(SENTENCES), "", *longer])
        alone = np.concatenate([embedder.embed([text]) for text in [*longer, *reversed(SENTENCES), "", *longer]])

        assert_same(together, alone, self.closeness)

    @given(texts=st.lists(ANY_TEXT, max_size=6))
    @FEW
    def test_any_text_has_a_vector_of_its_own(self, embedder: Embedder, texts: list[str]) -> None:
        """As above, for whatever text hypothesis finds: it prints the smallest list that fails."""
        together = embedder.embed(texts)

        assert_unit(together)
        assert_same(together, np.array([embedder.embed([text])[0] for text in texts]), self.closeness)

    @pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD.keys())
    def test_awkward_text_has_a_vector(self, embedder: Embedder, text: str) -> None:
        """Clean the text (`memori.embedding.base.checked_texts`) and cut it at the model's limit; give a text from
        which nothing is left some fixed unit vector.
        """
        vectors = embedder.embed([text, SENTENCES[0]])

        assert_unit(vectors)
        assert_unit(embedder.embed_query(text)[np.newaxis])
        assert_same(vectors[1:], embedder.embed(SENTENCES[:1]), self.closeness)

    @pytest.mark.parametrize("texts", [[None], [1], [b"bytes"], ["good", ["nested"]], "a string", b"bytes"])
    def test_what_is_no_list_of_strings_is_refused(self, embedder: Embedder, texts: list[str]) -> None:
        """Raise `TypeError`, for a bare string too, which would be embedded letter by letter."""
        with pytest.raises(TypeError):
            embedder.embed(texts)

    def test_the_given_list_is_left_alone(self, embedder: Embedder) -> None:
        """Sort and clean a copy."""
        texts = [*reversed(SENTENCES), "a\0b"]
        before = list(texts)
        embedder.embed(texts)

        assert texts == before

    def test_a_tuple_will_do(self, embedder: Embedder) -> None:
        """`texts` is any sequence of strings."""
        assert_same(embedder.embed(tuple(SENTENCES)), embedder.embed(list(SENTENCES)), self.closeness)

    def test_returned_vectors_are_the_callers_own(self, embedder: Embedder) -> None:
        """Return a fresh, writable array: a caller that changes it must not change what others get."""
        vectors = embedder.embed(SENTENCES[:1])
        expected = vectors.copy()
        vectors[:] = 0

        assert_same(embedder.embed(SENTENCES[:1]), expected, self.closeness)

    def test_threads_share_one_embedder(self, embedder: Embedder) -> None:
        """Use no buffer that belongs to the instance, and load the model under a lock."""
        batches = [list(SENTENCES[n:]) for n in range(len(SENTENCES))] * 3
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(embedder.embed, batches))

        for vectors, batch in zip(at_once, batches, strict=True):
            assert_same(vectors, embedder.embed(batch), self.closeness)


def assert_unit(vectors: NDArray[np.float32]) -> None:
    """Every row has length 1, to a thousandth, and no NaN."""
    assert np.linalg.norm(vectors, axis=1).tolist() == pytest.approx([1.0] * len(vectors), abs=1e-3)


def assert_same(given: NDArray[np.float32], expected: NDArray[np.float32], closeness: float) -> None:
    """Row by row, the cosine of two arrays of unit vectors is at least `closeness`."""
    cosines = [float(a @ b) for a, b in zip(given, expected, strict=True)]
    assert all(cosine >= closeness for cosine in cosines), cosines
