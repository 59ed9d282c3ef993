"""The default embedder: all-MiniLM-L6-v2 on ONNX Runtime, on this machine."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# ONNX Runtime's builds report to their maker and keep a device id in the user's cache, unless told so before import.
_TELEMETRY_OFF = os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1") != "0"

import onnxruntime  # noqa: E402
from tokenizers.implementations import BertWordPieceTokenizer  # noqa: E402

from ..errors import EmbeddingError  # noqa: E402
from ..process import fork_gate, on_fork  # noqa: E402
from . import weights  # noqa: E402
from .base import Embedder, Space, checked_texts  # noqa: E402
from .packed import packed  # noqa: E402

DIMENSION = 384
MAX_TOKENS = 256
# 254 word pieces are never longer than this in prose; a tokenizer reads all it is given, even what is then cut.
MAX_CHARACTERS = 8192
# More than this no longer fits the caches of a core, and a query that arrives meanwhile waits for one batch.
BATCH_TOKENS = 512
MAX_THREADS = 4


class MiniLMEmbedder(Embedder):
    """all-MiniLM-L6-v2: 384 dimensions, English, the first 256 tokens of a text.

    `model` is the path of an ONNX file or its directory; None is the packaged file, or the hub's where the package
    is not installed. However many of these there are, each file is checked and loaded once per process.
    """

    # Two of the model's are the marks at a text's beginning and end.
    max_tokens = MAX_TOKENS - 2

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model)
        self._path = None if model is None else weights.locate(model)
        self._found: weights.Weights | None = None

    @property
    def space(self) -> Space:
        """Named after the file: another file is another space."""
        return Space("minilm", self._weights().name, DIMENSION)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text. A text's vector doesn't depend on what it is batched with."""
        prepared = checked_texts(texts)
        vectors = np.empty((len(prepared), DIMENSION), dtype=np.float32)
        if not prepared:
            return vectors
        model = _loaded(self._weights())
        # One at a time: encoding a batch starts threads, and then every later fork of the host prints a warning.
        tokens = [model.tokenizer.encode(text.strip()[:MAX_CHARACTERS]).ids for text in prepared]
        for batch in _batches([len(ids) for ids in tokens]):
            vectors[batch] = model.run([tokens[i] for i in batch])
        return vectors

    def count_tokens(self, text: str) -> int:
        """Return how many word pieces a text has."""
        counted: int = len(_whole_tokenizer().encode(*checked_texts([text]), add_special_tokens=False).ids)
        return counted

    def _weights(self) -> weights.Weights:
        if self._found is None:
            self._found = weights.find(self._path)
        return self._found


class _Model:
    """A tokenizer and a session; both may be used by several threads at once."""

    def __init__(self, found: weights.Weights) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(MAX_THREADS, _cores())
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait by spinning would take the host's cores between two calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        content = found.read()
        if found.sha256 == weights.PACKAGED_SHA256:
            content = packed(content)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise EmbeddingError(f"{found.path} cannot be loaded as an ONNX model: {error}") from error
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._path = found.path
        self.tokenizer = _tokenizer()

    def run(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Embed tokenised texts in one batch: the mean of each text's token vectors, at length 1."""
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            hidden: Any = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise EmbeddingError(f"The model {self._path} failed: {type(error).__name__}: {error}") from error
        if hidden.shape != (*ids.shape, DIMENSION):
            raise EmbeddingError(
                f"{self._path} is no export of all-MiniLM-L6-v2: for tokens of shape {ids.shape} it returned "
                f"{hidden.shape}, expected {(*ids.shape, DIMENSION)}."
            )
        # A mean divides by the number of tokens, which the length cancels.
        summed: NDArray[np.float32] = np.einsum("bth,bt->bh", hidden, mask.astype(np.float32))
        vectors: NDArray[np.float32] = summed / np.linalg.norm(summed, axis=1, keepdims=True)
        if not np.isfinite(vectors).all():
            raise EmbeddingError(f"The model {self._path} returned vectors that are not finite.")
        return vectors


_models: dict[weights.Weights, _Model] = {}
_lock = threading.Lock()


def _loaded(found: weights.Weights) -> _Model:
    with fork_gate, _lock:
        model = _models.get(found)
        if model is None:
            if _TELEMETRY_OFF:
                onnxruntime.disable_telemetry_events()
            model = _models[found] = _Model(found)
        return model


def _after_fork() -> None:
    """Leave the parent's sessions alone: freeing one waits for threads the child hasn't got, even at its exit."""
    global _lock, _models
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_models))
    _models = {}
    _lock = threading.Lock()


on_fork(_after_fork)


def _tokenizer() -> BertWordPieceTokenizer:
    tokenizer = BertWordPieceTokenizer(weights.vocabulary(), lowercase=True)
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


@cache
def _whole_tokenizer() -> BertWordPieceTokenizer:
    """One that cuts nothing."""
    return BertWordPieceTokenizer(weights.vocabulary(), lowercase=True)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of texts of about one length, at most `BATCH_TOKENS` tokens with padding, or one text."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[number] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
