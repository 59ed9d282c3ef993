"""Models of sentence-transformers, on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from ..errors import ConfigurationError, EmbeddingError
from ..process import on_fork
from .base import Embedder, Space, checked_texts

MAX_CHARACTERS = 32_768


class SentenceTransformersEmbedder(Embedder):
    """`sentence-transformers/BAAI/bge-small-en-v1.5`, fetched from the hub once, or a folder's path.

    `device`: "cpu", "cuda", "mps"; None takes the best there is. `query_prompt` and `document_prompt` stand before
    each text; None takes the model's own, "" none. The first 32,768 characters of a text are read; what of them is
    longer than the model takes is cut.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        device: str | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> None:
        super().__init__(model)
        if not model:
            raise ConfigurationError(
                'embedder="sentence-transformers" needs a model: write '
                'embedder="sentence-transformers/all-MiniLM-L6-v2", or the path of a folder after the slash.'
            )
        self._name = model
        self._device = device
        self._query_prompt = query_prompt
        self._document_prompt = document_prompt
        self._path = _folder(model)
        self._space: Space | None = None
        self._loaded: Any = None
        self._inherited: Any = None
        self._lock = threading.RLock()
        on_fork(self._after_fork)

    @property
    def space(self) -> Space:
        """Known once the model is loaded. A folder's is named after its files: another model is another space."""
        if self._space is None:
            with self._lock:
                model = self._model()
                name = self._name if self._path is None else _fingerprint(self._path)
                if self._document_prompt is not None:
                    prompt = hashlib.sha256(self._document_prompt.encode("utf-8", "surrogatepass")).hexdigest()
                    name = f"{name}+{prompt[:8]}"
                self._space = Space("sentence-transformers", name, len(self._encode(model.encode_document, [""])[0]))
        return self._space

    @property
    def max_tokens(self) -> int:  # type: ignore[override]
        """What the model reads, less the marks around a text; 512 where the model doesn't say."""
        told = getattr(self._model(), "max_seq_length", None)
        return max(int(told) - 2, 1) if told else Embedder.max_tokens

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text, with the prompt for documents."""
        prepared = [text[:MAX_CHARACTERS] for text in checked_texts(texts)]
        if not prepared:
            return np.empty((0, self.space.dimension), dtype=np.float32)
        return self._encode(self._model().encode_document, prepared, self._document_prompt)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, with the prompt for queries."""
        prepared = [one[:MAX_CHARACTERS] for one in checked_texts([text])]
        vector: NDArray[np.float32] = self._encode(self._model().encode_query, prepared, self._query_prompt)[0]
        return vector

    def _encode(self, encode: Callable[..., Any], texts: list[str], prompt: str | None = None) -> NDArray[np.float32]:
        try:
            rows: NDArray[np.float32] = np.array(
                encode(texts, prompt=prompt, show_progress_bar=False), dtype=np.float32
            )
        except Exception as error:  # models raise anything: of the device, of memory, of their own code
            raise EmbeddingError(f"The model {self._name} failed: {type(error).__name__}: {error}") from error
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        # A text from which the tokenizer leaves nothing.
        rows[lengths[:, 0] == 0, 0] = 1.0
        unit: NDArray[np.float32] = np.divide(rows, np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
        return unit

    def _model(self) -> Any:
        with self._lock:
            if self._loaded is None:
                try:
                    self._loaded = SentenceTransformer(str(self._path or self._name), device=self._device)
                except Exception as error:  # of the hub, of the disk, of torch
                    where = f"the folder {self._path}" if self._path else f"{self._name!r} of the hub"
                    raise EmbeddingError(
                        f"sentence-transformers cannot load {where} ({type(error).__name__}). Check the name, and the "
                        "network where it is not fetched yet, or give the path of a folder that `model.save` wrote."
                    ) from error
            return self._loaded

    def _after_fork(self) -> None:
        # Kept, not freed: the parent's threads and device are not the child's to end.
        self._inherited, self._loaded = (self._inherited, self._loaded), None
        self._lock = threading.RLock()


def _folder(model: str) -> Path | None:
    """The folder a model names by a path; None for a name of the hub. Raises `ConfigurationError` for no model."""
    path = Path(model).expanduser()
    if not (path.is_dir() or path.is_absolute() or model.startswith((".", "~"))):
        return None
    if not (path / "modules.json").is_file() and not (path / "config.json").is_file():
        what = "has no modules.json or config.json" if path.is_dir() else "is no folder"
        raise ConfigurationError(
            f"{path} is no model of sentence-transformers: it {what}. Give the folder that `model.save` wrote, or a "
            "name of the hub such as all-MiniLM-L6-v2."
        )
    return path.resolve()


def _fingerprint(folder: Path) -> str:
    """The folder's name and a digest of its weights and settings, wherever it lies."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".json", ".safetensors", ".bin", ".txt", ".model"}:
            with path.open("rb") as file:
                digest.update(
                    path.relative_to(folder).as_posix().encode() + hashlib.file_digest(file, "sha256").digest()
                )
    return f"{folder.name}-{digest.hexdigest()[:12]}"
