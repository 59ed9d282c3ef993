"""Any embedding model of LlamaIndex is an embedder of Memori."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings.mock_embed_model import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from memori import Attribution, Memori, errors
from memori.conformance.embedder import EmbedderConformance
from memori.embedding.hashing import HashingEmbedder
from memori_llamaindex import LlamaIndexEmbedder
from pydantic import PrivateAttr


class Hashed(BaseEmbedding):
    """A model that tells queries from texts, and whose vectors are not of length 1."""

    model_name: str = "hashed"
    answers: Any = None
    _queries: list[str] = PrivateAttr(default_factory=list)
    _batches: list[int] = PrivateAttr(default_factory=list)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self._batches.append(len(texts))
        if isinstance(self.answers, Exception):
            raise self.answers
        if self.answers is not None and texts != ["dimension"]:
            return self.answers  # type: ignore[no-any-return]
        return (HashingEmbedder().embed(texts) * 3).tolist()  # type: ignore[no-any-return]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        self._queries.append(query)
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        raise NotImplementedError


class TestLlamaIndexEmbedder(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> LlamaIndexEmbedder:
        return LlamaIndexEmbedder(Hashed(), index_id="hashed/v1")


def test_facts_are_embedded_as_texts_in_batches_and_questions_as_queries(tmp_path: Path) -> None:
    model = Hashed(embed_batch_size=2)
    ada = Attribution("ada")
    with Memori(f"sqlite:///{tmp_path / 'm.db'}", extractor="none", embedder=LlamaIndexEmbedder(model)) as memori:
        memori.record([("user", "I live in Lisbon."), ("user", "I sail."), ("user", "I bake.")], attribution=ada)
        assert memori.augmentation.wait(30)

        found = memori.recall("Where do I live?", attribution=ada)

    assert found[0].text == "I live in Lisbon."
    assert model._queries == ["Where do I live?"]
    assert max(model._batches) == 2


def test_the_space_is_named_by_the_model_or_by_its_index_id() -> None:
    assert LlamaIndexEmbedder(Hashed()).space.key == "llamaindex/hashed/256"
    assert LlamaIndexEmbedder(Hashed(), index_id="mine").space.model == "mine"


def test_our_own_calls_are_tagged_for_observers() -> None:
    seen: list[dict[str, Any]] = []

    class Watcher(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            seen.append(event.tags)

    dispatcher = get_dispatcher()
    watcher = Watcher()
    dispatcher.add_event_handler(watcher)
    try:
        LlamaIndexEmbedder(Hashed()).embed(["Hello."])
    finally:
        dispatcher.event_handlers.remove(watcher)

    assert seen
    assert all(tags.get("memori.internal") is True for tags in seen)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (RuntimeError("key sk-secret was refused"), r"failed \(RuntimeError\)"),
        ([[1.0, 2.0]], "2 dimensions for 1 texts"),
        ([[float("nan")] * 256], "finite numbers"),
        ([["words"]], r"failed \(ValidationError\)"),
    ],
)
def test_a_model_that_fails_says_so_and_gives_no_secret_away(answers: Any, said: str) -> None:
    embedder = LlamaIndexEmbedder(Hashed(answers=answers))

    with pytest.raises(errors.EmbeddingError, match=said) as raised:
        embedder.embed(["Hello."])
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_model_without_a_name_needs_one() -> None:
    with pytest.raises(errors.ConfigurationError, match="index_id="):
        LlamaIndexEmbedder(MockEmbedding(embed_dim=3))
    assert LlamaIndexEmbedder(MockEmbedding(embed_dim=3), index_id="mock").space.dimension == 3
    with pytest.raises(TypeError, match="got str"):
        LlamaIndexEmbedder("minilm")  # type: ignore[arg-type]
