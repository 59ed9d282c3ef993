from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from memori import conformance

BROKEN = """
import numpy as np
import pytest
from memori.conformance import EmbedderConformance
from memori.embedding.hashing import HashingEmbedder


class Broken(HashingEmbedder):
    def embed(self, texts):
        return super().embed(texts) * np.float32(2)


class TestBroken(EmbedderConformance):
    @pytest.fixture
    def embedder(self):
        return Broken()


class TestForgotten(EmbedderConformance):
    pass
"""


def test_a_third_party_is_shown_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text(BROKEN)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "length_one", "test_broken.py"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert "FAILED test_broken.py::TestBroken::test_vectors_have_length_one" in done.stdout
    assert "comparison failed" in done.stdout, "asserts of the suites are not rewritten"
    assert "NotImplementedError: Supply a fixture `embedder`" in done.stdout


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_what_the_suites_need_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import memori.conformance"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert "MissingDependencyError" in done.stderr
    assert "pip install 'memori-core[conformance]'" in done.stderr


def test_an_unknown_suite_is_answered_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"EmbedderConformance, ExtractorConformance, .*StorageConformance"):
        conformance.RerankerConformance  # noqa: B018


def test_every_test_of_every_suite_says_what_to_check() -> None:
    suites = [getattr(conformance, name) for name in conformance.__all__]
    silent = [
        f"{suite.__name__}.{name}"
        for suite in suites
        for name, test in vars(suite).items()
        if name.startswith("test_") and not test.__doc__
    ]

    assert silent == []
