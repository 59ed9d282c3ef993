"""`memori jobs` shows the outbox; `memori worker` works it off as a process of its own and leaves in good order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core.cli.conftest import Install, Run, said, write

FAILING = """
from memori import hookimpl, Provider
from memori.augmentation.extraction.base import Extractor

class Failing(Extractor):
    version = "failing/1"
    def extract(self, turns):
        raise RuntimeError("the engine is out of oil")

@hookimpl
def memori_extractors():
    return [Provider("failing", "failing_module:Failing")]
"""
HANGING = FAILING.replace("failing", "hanging").replace(
    'raise RuntimeError("the engine is out of oil")', 'open("reached", "w").close(); __import__("time").sleep(600)'
)


@pytest.fixture
def dead(run: Run, folder: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a job that failed for good; the extractor works again."""
    install("failing", FAILING)
    monkeypatch.setenv("MEMORI_MAX_ATTEMPTS", "1")
    file = write(folder / "chat.jsonl", *said("I live in Rome."))
    monkeypatch.setenv("MEMORI_EXTRACTOR", "failing")
    run("import", file, "--entity", "ada")
    monkeypatch.setenv("MEMORI_EXTRACTOR", "none")
    [job] = json.loads(run("jobs", "list", "--json").stdout)
    return job["id"]


def test_jobs_are_listed_and_shown_with_their_error_and_what_was_said(run: Run, dead: str) -> None:
    listed, shown = run("jobs", "list", "--state", "dead"), run("jobs", "show", dead)

    [row] = [line.split() for line in listed.stdout.splitlines() if line.startswith(dead)]
    assert row[:5] == [dead, "dead", "1", "ada", "RuntimeError:"]
    assert "error         RuntimeError: the engine is out of oil" in shown.stdout
    assert "entity        ada" in shown.stdout
    assert "user: I live in Rome." in shown.stdout
    assert json.loads(run("jobs", "show", dead, "--json").stdout)["messages"] == [
        {"role": "user", "content": "I live in Rome."}
    ]
    assert "No jobs." in run("jobs", "list", "--state", "pending").stderr
    assert "No jobs." in run("jobs", "list", "--entity", "bob").stderr


def test_a_dead_job_is_given_another_round_and_a_worker_takes_it_up(run: Run, dead: str) -> None:
    assert run("jobs", "retry", "--entity", "bob").stdout == "0 dead jobs given another round.\n"

    retried = run("jobs", "retry", dead)
    pending = json.loads(run("status", "--json").stdout)
    worked = run("worker", "--drain", "--concurrency", "2")

    assert retried.stdout == "1 dead job given another round.\n"
    assert "memori worker --drain" in retried.stderr
    assert (pending["pending"], pending["dead"]) == (1, 0)
    assert worked.exit_code == 0
    assert json.loads(run("status", "--json").stdout)["done"] == 1


@pytest.mark.parametrize("command", ["show", "retry"])
def test_a_job_that_is_not_there_is_a_clean_error(run: Run, dead: str, command: str) -> None:
    done = run("jobs", command, "nonsense")

    assert done.exit_code == 1
    assert done.stderr == "Error: There is no job 'nonsense'. List those there are with: memori jobs list\n"


def test_a_state_that_is_none_is_a_usage_error(run: Run, dead: str) -> None:
    done = run("jobs", "list", "--state", "lost")

    assert done.exit_code == 2
    assert "states are pending, running, done, dead" in done.stderr


def test_a_worker_makes_no_database_where_a_path_was_mistyped(run: Run, folder: Path) -> None:
    done = run("worker", "--database", "sqlite:///mistyped.db")

    assert done.exit_code == 1
    assert "There is no database at mistyped.db" in done.stderr
    assert not (folder / "mistyped.db").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs Unix signals; there is nothing to install")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_worker_in_good_order_even_while_its_extractor_hangs(
    run: Run, folder: Path, install: Install, dead: str, number: signal.Signals
) -> None:
    install("hanging", HANGING)
    run("jobs", "retry")
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "site"),
        "MEMORI_EXTRACTOR": "hanging",
        "MEMORI_DRAIN_TIMEOUT": "0.1",
    }
    command = [sys.executable, "-m", "memori", "worker"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        deadline = time.monotonic() + 60
        while not (folder / "reached").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

        worker.send_signal(number)
        out, problems = worker.communicate(timeout=60)

    assert (worker.returncode, out) == (0, "Stopped. New in memory: 0 facts and 0 messages kept verbatim.\n")
    assert problems == "Working for sqlite:///memory.db.\n"
    [job] = json.loads(run("jobs", "list", "--json").stdout)
    assert (job["state"], job["attempts"], job["leased_until"]) == ("pending", 0, None)
