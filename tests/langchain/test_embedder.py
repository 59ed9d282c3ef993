"""LangChainEmbedder: any LangChain embeddings pass the suite of embedders, and failures tell no secret."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from memori import Attribution, Embedder, Memori
from memori.conformance import EmbedderConformance
from memori.embedding.hashing import HashingEmbedder
from memori.errors import EmbeddingError
from memori_langchain import LangChainEmbedder

ADA = Attribution("ada")


class Hashed(Embeddings):
    """Words, hashed: LangChain's shape of embeddings, with lengths that are not 1."""

    def __init__(self, model: str = "words") -> None:
        self.model = model
        self._embedder = HashingEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return (3 * self._embedder.embed(texts)).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class TestConformance(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return LangChainEmbedder(Hashed())


def test_memory_is_kept_and_found_with_it(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder=LangChainEmbedder(Hashed()), extractor="none") as memori:
        memori.remember("Ada drinks green tea.", attribution=ADA)

        assert [one.text for one in memori.recall("green tea", attribution=ADA)] == ["Ada drinks green tea."]


def test_models_have_spaces_of_their_own() -> None:
    spaces = {
        LangChainEmbedder(given, **options).space.key
        for given, options in (
            (Hashed(), {}),
            (Hashed("other"), {}),
            (Hashed(), {"name": "mine"}),
            (DeterministicFakeEmbedding(size=8), {}),
        )
    }

    assert len(spaces) == 4
    assert any(key.startswith("langchain/Hashed:words/") for key in spaces)


class Broken(Embeddings):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return [1.0, 0.0]


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("bad key sk-secret"), [], [[1.0]], [[1.0, 0.0], [0.0, 1.0]], [["a", "b"]], "no", None],
)
def test_a_model_that_answers_nonsense_is_an_embedding_error_without_its_words(answer: Any) -> None:
    with pytest.raises(EmbeddingError, match="langchain/Broken") as told:
        LangChainEmbedder(Broken(answer)).embed(["text"])

    assert "sk-secret" not in str(told.value)
    assert told.value.__context__ is None


def test_what_is_no_embeddings_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a LangChain Embeddings, got str"):
        LangChainEmbedder("openai")  # type: ignore[arg-type]


def test_a_query_is_embedded_as_the_model_embeds_queries() -> None:
    class Asymmetric(Hashed):
        def embed_query(self, text: str) -> list[float]:
            return super().embed_query(f"query: {text}")

    embedder = LangChainEmbedder(Asymmetric())

    assert np.allclose(embedder.embed_query("tea"), embedder.embed(["query: tea"])[0])
