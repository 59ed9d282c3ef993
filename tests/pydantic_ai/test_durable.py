"""Inside a durable workflow recall and capture are steps, and a process that dies between them repeats nothing."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(find_spec("dbos") is None, reason="needs DBOS: pip install 'pydantic-ai-slim[dbos]'")
def test_a_workflow_whose_process_dies_goes_on_in_the_next_and_stores_its_run_once(tmp_path: Path) -> None:
    def process(ending: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.pydantic_ai.durable_process", str(tmp_path), ending]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    died, lived = process("die"), process("live")

    assert died.returncode == 9, died.stderr[-2000:]
    assert lived.returncode == 0, lived.stderr[-2000:]
    report = json.loads(lived.stdout.splitlines()[-1])
    assert report["answer"] == "Noted, thank you."
    assert report["recalls"] == report["requests"] == []
    assert report["stored"] == [
        ["user", "What tea do I drink?"],
        ["assistant", ""],
        ["tool", "nothing special"],
        ["assistant", "Noted, thank you."],
    ]
    assert report["steps"] == [
        "host__capability__memori.recall",
        "host__model.request",
        "host__model.request",
        "host__capability__memori.store",
    ]
