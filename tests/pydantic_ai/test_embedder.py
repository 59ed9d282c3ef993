"""Models of Pydantic AI embed for Memori: like any embedder, on a loop of their own, giving no keys away."""

import asyncio
from collections.abc import Sequence

import pytest
from memori import Attribution, Embedder, Memori, errors, suppressed
from memori.conformance import EmbedderConformance
from memori.embedding.hashing import HashingEmbedder
from memori_pydantic_ai import PydanticAIEmbedder
from pydantic_ai import Embedder as NativeEmbedder
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult, EmbeddingSettings, TestEmbeddingModel
from pydantic_ai.embeddings.result import EmbedInputType


class Hashing(EmbeddingModel):
    """A model that needs no network: the hashing embedder behind Pydantic AI's interface."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[EmbedInputType, int, bool]] = []
        self.failure: Exception | None = None
        self.wait = 0.0

    model_name = "hashing"
    system = "memori"

    async def embed(
        self, inputs: str | Sequence[str], *, input_type: EmbedInputType, settings: EmbeddingSettings | None = None
    ) -> EmbeddingResult:
        texts, _ = self.prepare_embed(inputs, settings)
        self.asked.append((input_type, len(texts), suppressed()))
        await asyncio.sleep(self.wait)
        if self.failure is not None:
            raise self.failure
        vectors = (HashingEmbedder().embed(texts) * 3).tolist()
        return EmbeddingResult(
            vectors, inputs=texts, input_type=input_type, model_name=self.model_name, provider_name=self.system
        )


class TestPydanticAIEmbedder(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return PydanticAIEmbedder(Hashing())


async def test_it_serves_a_memory_inside_a_running_loop(memori: Memori, tmp_path: object) -> None:
    model = Hashing()
    embedder = PydanticAIEmbedder(NativeEmbedder(model))
    with Memori(f"sqlite:///{tmp_path}/another.db", extractor="none", embedder=embedder) as it:
        it.remember("Ada drinks green tea.", attribution=Attribution("ada"))

        (found,) = await it.arecall("green tea", attribution=Attribution("ada"))

    assert found.text == "Ada drinks green tea."
    assert embedder.space.key == f"pydantic-ai/memori:hashing/{HashingEmbedder().space.dimension}"
    assert {kind for kind, _, _ in model.asked} == {"query", "document"}
    assert all(silent for _, _, silent in model.asked)


def test_many_texts_are_asked_for_in_batches() -> None:
    model = Hashing()

    PydanticAIEmbedder(model).embed([f"text {number}" for number in range(200)])

    assert [count for _, count, _ in model.asked] == [1, 96, 96, 8]


def test_a_failure_says_which_model_and_nothing_it_said() -> None:
    model = Hashing()
    model.failure = RuntimeError("key sk-secret refused")
    embedder = PydanticAIEmbedder(model)

    with pytest.raises(errors.EmbeddingError, match=r"pydantic-ai/memori:hashing failed \(RuntimeError\)") as raised:
        embedder.embed(["tea"])

    assert raised.value.__cause__ is raised.value.__context__ is None
    with pytest.raises(errors.EmbeddingError, match=r"nowhere:model failed \(UserError|ValueError\)"):
        PydanticAIEmbedder("nowhere:model").embed(["tea"])


def test_a_model_that_does_not_answer_is_given_up() -> None:
    model = Hashing()
    model.wait = 60

    with pytest.raises(errors.EmbeddingError, match=r"gave no answer within 0\.05 s"):
        PydanticAIEmbedder(model, timeout=0.05).embed(["tea"])


def test_a_model_whose_dimension_changes_is_refused() -> None:
    embedder = PydanticAIEmbedder(TestEmbeddingModel(dimensions=8))
    assert embedder.space.dimension == 8
    embedder._native = NativeEmbedder(TestEmbeddingModel(dimensions=4))

    with pytest.raises(errors.EmbeddingError, match=r"shape \(1, 4\) where \(1, 8\) was due"):
        embedder.embed(["tea"])


def test_what_is_no_embedder_is_refused() -> None:
    with pytest.raises(TypeError, match="got int"):
        PydanticAIEmbedder(4)  # type: ignore[arg-type]
