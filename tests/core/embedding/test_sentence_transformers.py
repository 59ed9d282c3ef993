"""Models of sentence-transformers: small ones with random weights, made here, so that nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from memori.conformance import EmbedderConformance
from memori.errors import ConfigurationError, EmbeddingError, MissingDependencyError
from memori.plugins import Plugins

try:
    import sentence_transformers
except ImportError:
    sentence_transformers = None

needs_it = pytest.mark.skipif(
    sentence_transformers is None, reason="pip install 'memori-core[sentence-transformers]' runs these"
)


@pytest.mark.skipif(sentence_transformers is not None, reason="only where sentence-transformers is not installed")
def test_without_the_library_its_installation_is_named() -> None:
    plugins = Plugins()
    with pytest.raises(MissingDependencyError, match=r"pip install 'memori-core\[sentence-transformers\]'"):
        plugins.load(plugins.provider("embedders", "sentence-transformers"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that averages the vectors of bytes and pairs of bytes, saved."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(letters + [a + b for a in letters for b in letters])}
    merges = [(a, b) for a in letters for b in letters]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    weights = np.random.default_rng(7).standard_normal((len(vocabulary), 128)).astype(np.float32)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights)],
        device="cpu",
        prompts={"query": "", "document": ""},
    )
    path = tmp_path_factory.mktemp("models") / "bytes"
    model.save(str(path))
    return path


@needs_it
class TestSentenceTransformers(EmbedderConformance):
    @pytest.fixture
    def embedder(self, folder: Path):
        from memori.embedding.sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(str(folder), device="cpu")


@needs_it
def test_prompts_stand_before_texts_and_queries(folder: Path) -> None:
    from memori.embedding.sentence_transformers import SentenceTransformersEmbedder as Made

    plain = Made(str(folder), device="cpu")
    prompted = Made(str(folder), device="cpu", query_prompt="query: ", document_prompt="passage: ")

    assert np.allclose(prompted.embed(["tea"]), plain.embed(["passage: tea"]), atol=1e-5)
    assert np.allclose(prompted.embed_query("tea"), plain.embed(["query: tea"])[0], atol=1e-5)
    assert prompted.space != plain.space


@needs_it
def test_a_folder_is_one_space_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    import shutil

    from memori.embedding.sentence_transformers import SentenceTransformersEmbedder as Made

    moved = shutil.copytree(folder, tmp_path / folder.name)
    assert Made(str(moved), device="cpu").space == Made(str(folder), device="cpu").space

    settings = moved / "config_sentence_transformers.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "prompts": {"document": "other: "}}))
    assert Made(str(moved), device="cpu").space != Made(str(folder), device="cpu").space


@needs_it
@pytest.mark.parametrize("missing", [True, False])
def test_a_path_that_is_no_model_is_told(tmp_path: Path, missing: bool) -> None:
    from memori.embedding.sentence_transformers import SentenceTransformersEmbedder

    path = tmp_path / "nowhere" if missing else tmp_path
    with pytest.raises(ConfigurationError, match="is no folder" if missing else r"no modules\.json"):
        SentenceTransformersEmbedder(str(path))


@needs_it
def test_a_broken_model_is_an_embedding_error(tmp_path: Path) -> None:
    from memori.embedding.sentence_transformers import SentenceTransformersEmbedder

    (tmp_path / "modules.json").write_text("{")
    with pytest.raises(EmbeddingError, match="cannot load the folder"):
        SentenceTransformersEmbedder(str(tmp_path), device="cpu").embed(["tea"])


@needs_it
def test_a_name_without_a_model_is_answered_with_an_example() -> None:
    from memori.embedding.sentence_transformers import SentenceTransformersEmbedder

    with pytest.raises(ConfigurationError, match="sentence-transformers/all-MiniLM-L6-v2"):
        SentenceTransformersEmbedder()
