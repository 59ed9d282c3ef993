"""A worker may be killed at any step while others work: every message is learnt from exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.augmentation import mortal
from tests.core.storage.backends import BACKENDS, empty_database

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers are forked; there is nothing to install")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_killed_at_any_step_costs_no_fact_and_repeats_none(backend: str, tmp_path: Path) -> None:
    with empty_database(backend, tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", mortal.__file__, url], capture_output=True, text=True, timeout=300
        )

    assert done.returncode == 0, done.stderr
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["step"] for one in rounds] == list(mortal.STEPS)
    for one in rounds:
        said = sorted(
            f"{one['step']} {entity}, message {number}"
            for entity in range(mortal.ENTITIES)
            for number in range(mortal.EACH)
        )
        assert one["killed"], one["step"]
        assert one["survivors"] == [0, 0, 0], done.stderr
        assert one["episodes"] == said
        assert one["facts"] == [f"fact: {text}" for text in said]
        assert one["mentions"] == [1]
        assert set(one["states"]) == {"done"}
