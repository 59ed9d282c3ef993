from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from memori.conformance import EmbedderConformance
from memori.embedding.hashing import HashingEmbedder
from memori.errors import ConfigurationError


class TestHashingEmbedder(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> HashingEmbedder:
        return HashingEmbedder()


class TestHashingEmbedderOfAnotherSize(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> HashingEmbedder:
        return HashingEmbedder("64")


def test_the_name_gives_the_dimension_and_so_the_space() -> None:
    assert HashingEmbedder("1024").embed(["x"]).shape == (1, 1024)
    assert HashingEmbedder("1024").space != HashingEmbedder().space


@pytest.mark.parametrize("dimension", ["7", "65537", "", "-8", "many", "²"])
def test_another_dimension_is_refused_with_what_can_be_typed(dimension: str) -> None:
    with pytest.raises(ConfigurationError, match="8 to 65536"):
        HashingEmbedder(dimension)


def test_every_process_gives_the_same_vector() -> None:
    code = (
        "import hashlib; from memori.embedding.hashing import HashingEmbedder;"
        "print(hashlib.sha256(HashingEmbedder().embed(['Ada moved to Berlin'])).hexdigest())"
    )
    here = hashlib.sha256(HashingEmbedder().embed(["Ada moved to Berlin"]).tobytes()).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, env={"PYTHONHASHSEED": "7"}
    )

    assert there.stdout.strip() == here


def test_shared_words_and_spellings_bring_texts_near() -> None:
    embedder = HashingEmbedder()
    moved, same_word, same_spelling, unrelated = embedder.embed(
        ["she moved to Berlin", "Berlin is cold", "she moves", "my dog eats"]
    )

    assert moved @ same_word > 0.2 > moved @ unrelated
    assert moved @ same_spelling > 0.2


def test_it_loads_no_model() -> None:
    code = (
        "import sys; from memori.embedding.hashing import HashingEmbedder; HashingEmbedder().embed(['x']);"
        "print(sorted({'onnxruntime', 'tokenizers', 'spacy', 'faiss'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert loaded.strip() == "[]"


def test_what_lies_beyond_the_limit_does_not_count() -> None:
    embedder = HashingEmbedder()
    text = "word " * 2000

    assert np.array_equal(embedder.embed([text + "different end"]), embedder.embed([text]))
