"""`memori import` and `memori retry`: what is kept, what is refused, and what is said about it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from memori import Attribution, Memori

from tests.core.cli.conftest import Install, Run, said, write

LOCOMO = {
    "speaker_a": "Ann",
    "speaker_b": "Ben",
    "session_1_date_time": "1:56 pm on 8 May, 2023",
    "session_1": [
        {"speaker": "Ann", "dia_id": "D1:1", "text": "I adopted a cat."},
        {"speaker": "Ben", "dia_id": "D1:2", "text": "What is its name?"},
    ],
    "session_2_date_time": "9:00 am on 1 June, 2023",
    "session_2": [{"speaker": "Ann", "dia_id": "D2:1", "text": "The cat is called Pixel."}],
}
FAILING = """
from memori import Provider, hookimpl

class Extractor:
    version = "failing/1"

    def __init__(self, model=None): ...

    def extract(self, turns):
        raise RuntimeError("the engine is out of oil")

@hookimpl
def memori_extractors():
    return [Provider("failing", "failing_module:Extractor")]
"""


def stored(entity: str = "ada", database: str = "sqlite:///memory.db") -> list[str]:
    with Memori(database) as memori:
        return [one.message.content for one in memori.messages(attribution=Attribution(entity))]


def learnt(entity: str = "ada") -> set[str]:
    with Memori() as memori:
        return {fact.text for fact in memori.facts(attribution=Attribution(entity), kinds=["episode"])}


def test_a_transcript_is_recorded_and_learnt_from(run: Run, folder: Path) -> None:
    file = write(folder / "chat.jsonl", *said("I live in Rome.", "I play chess."))

    done = run("import", file, "--entity", "ada", "--process", "bot")

    assert done.exit_code == 0
    assert learnt() == {"I live in Rome.", "I play chess."}
    assert done.stdout.splitlines()[2].split() == ["chat.jsonl", "ada", "1", "2", "0"]
    assert "New in memory: 0 facts and 2 messages kept verbatim." in done.stdout
    assert "sqlite:///memory.db, namespace 'default'" in done.stdout


def test_what_was_imported_before_is_known(run: Run, folder: Path) -> None:
    file = write(folder / "chat.jsonl", *said("I live in Rome."))
    run("import", file, "--entity", "ada")
    write(folder / "chat.jsonl", *said("I live in Rome.", "I play chess."))

    done = run("import", file, "--entity", "ada")

    assert done.stdout.splitlines()[2].split() == ["chat.jsonl", "ada", "1", "1", "1"]
    assert stored() == ["I live in Rome.", "I play chess."]


def test_a_file_that_goes_wrong_keeps_what_came_before_and_says_where(run: Run, folder: Path) -> None:
    file = write(folder / "chat.jsonl", *said("I live in Rome."), {"role": "robot", "content": "Beep."})

    done = run("import", file, "--entity", "ada")

    assert done.exit_code == 1
    assert f"{file}, line 2: message 2 has the unknown role 'robot'" in done.stderr
    assert "What came before the error is stored" in done.stderr
    assert "Traceback" not in done.stderr
    assert learnt() == {"I live in Rome."}


def test_a_repaired_file_is_finished_without_repeating(run: Run, folder: Path) -> None:
    file = write(folder / "chat.jsonl", *said("I live in Rome."), {"role": "robot", "content": "Beep."})
    run("import", file, "--entity", "ada")
    write(folder / "chat.jsonl", *said("I live in Rome.", "I play chess."))

    done = run("import", file, "--entity", "ada")

    assert done.exit_code == 0
    assert stored() == ["I live in Rome.", "I play chess."]


def test_files_after_one_that_goes_wrong_are_named_as_not_read(run: Run, folder: Path) -> None:
    good = write(folder / "good.jsonl", *said("I live in Rome."))
    bad = write(folder / "bad.jsonl", {"role": "robot"})
    rest = write(folder / "rest.jsonl", *said("I play chess."))

    done = run("import", good, bad, rest, "--entity", "ada")

    assert done.exit_code == 1
    assert f"Not read: {rest}" in done.stderr
    assert stored() == ["I live in Rome."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xff\xfe[\x00", "UTF-16"),
        (b"\x89PNG\x00", "is binary"),
        (b'[{"role": "user", "content": "caf\xe9"}]', "is not UTF-8"),
        (b'{"a": 1}', "holds neither a message"),
        (b"[1, 2", "line 1: is not valid JSON"),
    ],
)
def test_a_file_that_is_no_transcript_is_refused_and_nothing_is_stored(
    run: Run, folder: Path, content: bytes, reason: str
) -> None:
    (folder / "chat.json").write_bytes(content)

    done = run("import", "chat.json", "--entity", "ada")

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: chat.json")
    assert reason in done.stderr
    assert done.stdout == ""
    assert stored() == []


@pytest.mark.parametrize(("name", "reason"), [("nowhere.json", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_named(run: Run, name: str, reason: str) -> None:
    done = run("import", name, "--entity", "ada")

    assert done.exit_code == 1
    assert reason in done.stderr


@pytest.mark.parametrize("options", [(), ("--entity", "ada", "--entity-per-file")])
def test_whose_memory_it_is_is_never_guessed(run: Run, folder: Path, options: tuple[str, ...]) -> None:
    done = run("import", write(folder / "chat.jsonl", *said("I live in Rome.")), *options)

    assert done.exit_code == 2
    assert "--entity-per-file" in done.stderr
    assert not (folder / "memory.db").exists()


def test_each_file_may_be_about_somebody_else(run: Run, folder: Path) -> None:
    ann = write(folder / "ann.jsonl", *said("I live in Rome."))
    ben = write(folder / "ben.jsonl", *said("I live in Oslo."))

    done = run("import", ann, ben, "--entity-per-file")

    assert done.exit_code == 0
    assert (stored("ann"), stored("ben")) == (["I live in Rome."], ["I live in Oslo."])


def test_two_files_of_one_name_are_not_taken_for_one_person(run: Run, folder: Path) -> None:
    (folder / "other").mkdir()
    one = write(folder / "chat.jsonl", *said("I live in Rome."))
    two = write(folder / "other" / "chat.jsonl", *said("I live in Oslo."))

    done = run("import", one, two, "--entity-per-file")

    assert done.exit_code == 2
    assert "'chat'" in done.stderr
    assert not (folder / "memory.db").exists()


def test_an_entity_that_cannot_be_one_is_refused(run: Run, folder: Path) -> None:
    done = run("import", write(folder / "chat.jsonl", *said("Hi.")), "--entity", "  ")

    assert done.exit_code == 1
    assert "entity_id is blank" in done.stderr


def test_a_locomo_conversation_keeps_its_sessions_speakers_and_dates(run: Run, folder: Path) -> None:
    (folder / "conversation.json").write_text(json.dumps(LOCOMO))

    done = run("import", "conversation.json", "--entity-per-file")

    assert done.stdout.splitlines()[2].split() == ["conversation.json", "conversation", "2", "3", "0"]
    with Memori() as memori:
        messages = memori.messages(attribution=Attribution("conversation"))
    assert [(one.message.name, one.session_id, f"{one.message.created_at:%Y-%m-%d}") for one in messages] == [
        ("Ann", "conversation-1", "2023-05-08"),
        ("Ben", "conversation-1", "2023-05-08"),
        ("Ann", "conversation-2", "2023-06-01"),
    ]


def test_a_locked_database_is_a_clean_error(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(folder / "chat.jsonl", *said("I live in Rome."))
    run("import", file, "--entity", "ada")
    monkeypatch.setenv("MEMORI_BUSY_TIMEOUT", "0.1")
    holder = sqlite3.connect("memory.db")
    holder.execute("BEGIN IMMEDIATE")

    done = run("import", file, "--entity", "bob")
    holder.rollback()
    holder.close()

    assert done.exit_code == 1
    assert "database is locked" in done.stderr
    assert "Another program holds the database's lock" in done.stderr
    assert stored("bob") == []


def test_a_file_that_is_no_database_is_a_clean_error(run: Run, folder: Path) -> None:
    (folder / "memory.db").write_text("Dear diary, " * 200)

    done = run("import", write(folder / "chat.jsonl", *said("I live in Rome.")), "--entity", "ada")

    assert done.exit_code == 1
    assert "file is not a database" in done.stderr
    assert (folder / "memory.db").read_text().startswith("Dear diary")


def test_what_fails_for_good_is_said_and_can_be_tried_again(
    run: Run, folder: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("failing", FAILING)
    monkeypatch.setenv("MEMORI_EXTRACTOR", "failing")
    monkeypatch.setenv("MEMORI_MAX_ATTEMPTS", "1")
    file = write(folder / "chat.jsonl", *said("I live in Rome."))

    done = run("import", file, "--entity", "ada")

    assert done.exit_code == 1
    assert "1 of 1 job failed: RuntimeError: the engine is out of oil" in done.stderr
    assert "memori retry" in done.stderr
    assert stored() == ["I live in Rome."]

    monkeypatch.setenv("MEMORI_EXTRACTOR", "none")
    again = run("retry")

    assert again.exit_code == 0
    assert "1 job worked off (1 dead before)" in again.stdout
    assert json.loads(run("status", "--json").stdout)["dead"] == 0


def test_retry_with_nothing_left_does_nothing(run: Run, folder: Path) -> None:
    run("import", write(folder / "chat.jsonl", *said("I live in Rome.")), "--entity", "ada")

    done = run("retry", "--entity", "ada")

    assert done.exit_code == 0
    assert done.stdout.startswith("0 jobs worked off")


@pytest.mark.skipif(os.name == "nt", reason="needs a Unix terminal; there is nothing to install")
def test_a_terminal_sees_bars_and_a_pipe_does_not(folder: Path) -> None:
    import pty

    file = write(folder / "chat.jsonl", *said("I live in Rome."))
    command = [sys.executable, "-m", "memori", "import", file, "--entity", "ada"]
    terminal, end = pty.openpty()

    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=end, env={**os.environ, "TERM": "xterm"}, check=True, text=True
    )
    os.close(end)
    bars = os.read(terminal, 100_000).decode()
    os.close(terminal)

    assert piped.stderr == ""
    assert "Recording" in bars
    assert "1/1 messages" in bars
    assert "\x1b" not in piped.stdout + shown.stdout
