"""`memori demo`: offline, honest, and fit to be shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from memori import Attribution, Memori
from memori.cli import story
from memori.cli.loopback import Call

from tests.core.cli.conftest import Run

OFFLINE = """
import socket, sys
connect = socket.socket.connect

def loopback_only(self, address):
    if address[0] != "127.0.0.1":
        raise AssertionError(f"connected to {address}")
    return connect(self, address)

socket.socket.connect = loopback_only
sys.argv = ["memori", "demo"]
from memori.cli import main
main()
"""
BLOCK = "<memori_context>\nWhat is known.\n- Ada keeps bees. Stated at 2026-03-01 10:00.\n- More.\n</memori_context>"


def call(*contents: str) -> Call:
    return Call("/v1/chat/completions", {}, {"messages": [{"role": "user", "content": text} for text in contents]})


def test_as_shipped_it_shows_the_main_job_without_key_or_network(folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORI_", "OPENAI_"))}
    nowhere = {"HTTP_PROXY": "http://192.0.2.1:9", "HTTPS_PROXY": "http://192.0.2.1:9", "ALL_PROXY": ""}

    shown = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, env={**kept, **nowhere}, timeout=300
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "captured 10 messages" in shown.stdout
    assert re.search(r"^event +Ada moved to Lisbon last week\. +\d{4}-\d\d-\d\d$", shown.stdout, re.MULTILINE)
    assert re.search(r"^attribute +Ada is allergic to walnuts\.", shown.stdout, re.MULTILINE)
    assert shown.stdout.count(f"Without Memori: {story.NOTHING_KNOWN}") == 2
    assert re.search(r"With Memori: This is what I was shown: .*Lisbon", shown.stdout)
    assert re.search(r"With Memori: This is what I was shown: .*walnuts", shown.stdout)
    assert "\x1b" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert list(folder.iterdir()) == [], "a demo leaves nothing behind"


def test_the_sessions_are_days_apart_and_no_block_is_stored(run: Run) -> None:
    shown = run("demo", "--database", "sqlite:///demo.db")

    assert shown.exit_code == 0
    [entity] = set(re.findall(r"--entity (\S+)", shown.stdout))
    with Memori("sqlite:///demo.db") as memori:
        messages = memori.messages(attribution=Attribution(entity))
    first, second = messages[: 2 * len(story.FIRST_SESSION)], messages[2 * len(story.FIRST_SESSION) :]
    assert [one.message.content for one in first] == [words for pair in story.FIRST_SESSION for words in pair]
    assert [one.message.content for one in second[::2]] == list(story.SECOND_SESSION)
    assert len({one.session_id for one in first}) == len({one.session_id for one in second}) == 1
    assert "memori_context" not in "".join(one.message.content for one in messages)
    began, ended = first[0].message.created_at, second[-1].message.created_at
    assert began is not None
    assert ended is not None
    assert ended - began > story.DAYS_APART - timedelta(hours=1)


def test_the_block_is_shown_as_the_server_received_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("MEMORI_MIN_RELEVANCE", "0")  # the stand-in of an embedder knows no meaning

    shown = run("demo").stdout

    blocks = re.findall(r"│ (<memori_context>.*?</memori_context>) +│", shown, re.DOTALL)
    assert len(blocks) == len(story.SECOND_SESSION)
    assert all("- Ada said: " in block and "Stated at " in block for block in blocks)
    assert max(map(len, shown.splitlines())) <= 120


def test_a_second_run_on_the_same_database_is_about_somebody_new(run: Run) -> None:
    entities = [
        re.findall(r"--entity (\S+)", run("demo", "--database", "sqlite:///demo.db").stdout)[0] for _ in range(2)
    ]

    assert entities[0] != entities[1]


def test_the_scripted_model_knows_only_what_a_request_says() -> None:
    assert story.answer(call("Who keeps bees?")).text == story.NOTHING_KNOWN
    assert story.answer(call(f"{BLOCK}\n\nWho keeps bees?")).text == (
        "This is what I was shown: Ada keeps bees. Stated at 2026-03-01 10:00."
    )
    assert story.answer(call("- Ada keeps bees, says a list.")).text == story.NOTHING_KNOWN


def test_without_the_openai_package_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['openai'] = None; sys.argv = ['memori', 'demo']\nfrom memori.cli import main\nmain()"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert shown.returncode == 1
    assert "pip install 'memori-core[openai]'" in shown.stderr
    assert "Traceback" not in shown.stderr
