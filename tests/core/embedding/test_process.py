"""What the default embedder and the index do to a process: its files, its environment and its children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EMBED = "from memori.embedding.onnx import MiniLMEmbedder; MiniLMEmbedder().embed(['tea'])"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS", "TF_BUILD")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**kept, **environment}
    )


def test_embedding_leaves_no_device_id_behind(tmp_path: Path) -> None:
    done = run(EMBED, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))

    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_embedding_says_nothing_on_the_terminal() -> None:
    done = run(EMBED)

    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork; there is nothing to test")
def test_a_child_of_a_parent_that_embedded_and_searched_does_both_and_exits() -> None:
    # The alarm ends a child that hangs, and its status then isn't 0.
    done = run(
        """
import os, signal, sys, threading
import faiss
import numpy as np
from memori.embedding.onnx import MiniLMEmbedder
from memori.recall.index.faiss import FaissIndex

TEXTS = ["Ada moved to Berlin", "The dog eats carrots", "Grace plays the cello"] * 20
embedder = MiniLMEmbedder()
vectors = embedder.embed(TEXTS)
index = FaissIndex(384)
index.put(np.arange(len(TEXTS)), vectors)
faiss.omp_set_num_threads(4)
host = faiss.IndexFlatIP(384)
host.add(vectors)
host.search(vectors, 5)

def works():
    assert (index.search(embedder.embed_query("Berlin"), 20)[0] % 3 == 0).all()
    host.search(vectors, 5)
    fresh = FaissIndex(384)
    fresh.put(np.arange(3), embedder.embed(TEXTS[:3]))
    assert fresh.search(embedder.embed_query("cello"), 1)[0].tolist() == [2]

works()
child = os.fork()
if child == 0:
    signal.alarm(45)
    works()
    failures = []
    threading.excepthook = failures.append
    thread = threading.Thread(target=works)
    thread.start()
    thread.join()
    grandchild = os.fork()
    if grandchild == 0:
        signal.alarm(30)
        works()
        sys.exit(0)
    sys.exit(len(failures) or os.waitpid(grandchild, 0)[1])
status = os.waitpid(child, 0)[1]
works()
print("child ended with", status)
"""
    )

    assert done.stdout == "child ended with 0\n", done.stderr
