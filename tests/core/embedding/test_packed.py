from __future__ import annotations

import platform

import numpy as np
import onnxruntime
import pytest
from memori.embedding import onnx, weights
from memori.embedding.packed import packed

TEXTS = [
    "I moved to Bergen in 2021.",
    "My sister Anna is allergic to peanuts",
    "?",
    "What did we say about the budget for the kitchen, and who was to call the plumber?" * 5,
]


@pytest.fixture(scope="module")
def model() -> onnx._Model:
    return onnx._Model(weights.find(None))


@pytest.fixture(scope="module")
def as_in_file(model: onnx._Model) -> onnx._Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "packed", lambda content: content)
        return onnx._Model(weights.find(None))


def test_vectors_are_those_of_the_file(model: onnx._Model, as_in_file: onnx._Model) -> None:
    tokens = [model.tokenizer.encode(text).ids for text in TEXTS]

    assert (np.sum(model.run(tokens) * as_in_file.run(tokens), axis=1) > 0.998).all()


def test_a_vector_does_not_depend_on_its_batch(model: onnx._Model) -> None:
    tokens = [model.tokenizer.encode(text).ids for text in TEXTS]

    assert model.run(tokens) == pytest.approx(np.concatenate([model.run([one]) for one in tokens]), abs=1e-4)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="weights are packed on x86-64")
def test_no_float_weights_are_left() -> None:
    content = weights.find(None).read()

    assert packed(content).count(b"MatMulNBits") == 36


@pytest.mark.parametrize(("place", "name", "value"), [
    (platform, "machine", lambda: "riscv64"), (onnxruntime, "__version__", "1.20.1"),
])  # fmt: skip
def test_elsewhere_the_file_stays_as_it_is(
    place: object, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, value)
    content = weights.find(None).read()

    assert packed(content) is content
