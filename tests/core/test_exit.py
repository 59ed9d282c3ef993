"""Leaving without waiting loses nothing and ends cleanly, even while the models are still being loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from memori import Attribution, Memori

SCRIPT = """
import time
from memori import Attribution, Memori

memori = Memori("sqlite:///memori.db")
ada = Attribution("ada")
memori.record([("user", "I moved to Berlin.")], attribution=ada)
memori.recall("Where does Ada live?", attribution=ada)
time.sleep({seconds})
"""


@pytest.mark.parametrize("seconds", [0, 0.5, 1])
def test_a_script_that_ends_at_once_loses_nothing(tmp_path: Path, seconds: float) -> None:
    script = SCRIPT.format(seconds=seconds)

    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    with Memori(f"sqlite:///{tmp_path / 'memori.db'}") as memori:
        assert memori.augmentation.wait(timeout=60)
        assert [fact.text for fact in memori.facts(attribution=Attribution("ada"), kinds=["episode"])] == [
            "I moved to Berlin."
        ]
