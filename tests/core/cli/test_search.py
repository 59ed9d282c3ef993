"""`memori recall`, `memori facts` and `memori forget`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from memori import Attribution, Memori, Message
from memori.storage.records import Turn

from tests.core.cli.conftest import Run, said, write

ADA = Attribution("ada")


@pytest.fixture
def known(run: Run, folder: Path) -> None:
    """Ada's database: what she said, and three facts."""
    run("import", write(folder / "chat.jsonl", *said("I keep bees.", "The bees sleep.")), "--entity", "ada")
    with Memori() as memori:
        memori.remember("Ada lives in Rome.", attribution=ADA, valid_from=datetime(2026, 1, 5, tzinfo=UTC))
        memori.remember("Ada likes [bold]honey[/bold].", kind="preference", attribution=ADA)


pytestmark = pytest.mark.usefixtures("known")


def test_recall_shows_what_answers_best_first(run: Run) -> None:
    done = run("recall", "Who keeps bees?", "--entity", "ada")

    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].split() == ["Score", "Said", "Kind", "Memory"]
    assert lines[2].split()[1:] == ["2026-03-01", "episode", "user:", "I", "keep", "bees."]
    scores = [float(line.split()[0]) for line in lines[2:]]
    assert scores == sorted(scores, reverse=True)


def test_limit_bounds_what_is_shown(run: Run) -> None:
    done = run("recall", "bees", "--entity", "ada", "--limit", "1")

    assert len(done.stdout.splitlines()) == 3


def test_explain_draws_the_parts_of_each_score_as_a_table(run: Run) -> None:
    done = run("recall", "bees", "--entity", "ada", "--explain", "--limit", "2")

    memories, parts = done.stdout.split("\n\n")
    heading, _, *rows = parts.splitlines()
    assert heading.split()[:3] == ["Score", "vector", "lexical"]
    assert heading.split()[-1] == "relevance"
    assert len(rows) == 2
    assert all(len(row.split()) == len(heading.split()) for row in rows)
    assert [row.split()[0] for row in rows] == [line.split()[0] for line in memories.splitlines() if line[:1] == "0"]


def test_json_holds_all_there_is_to_know(run: Run) -> None:
    plain = json.loads(run("recall", "keep bees", "--entity", "ada", "--json").stdout)
    explained = json.loads(run("recall", "keep bees", "--entity", "ada", "--json", "--explain").stdout)

    assert [one["text"] for one in plain] == [one["text"] for one in explained]
    assert plain[0]["text"] == "I keep bees."
    assert plain[0]["said_at"] == "2026-03-01T10:00:00+00:00"
    assert "parts" not in plain[0]
    assert explained[0]["parts"]["lexical"] == 1.0


@pytest.mark.parametrize(
    ("as_of", "found"),
    [("2026-02-28", 0), ("2026-03-01", 1), ("2026-03-01T09:00", 0), ("2026-03-01T12:00+02:00", 1), ("2026-03-02", 2)],
)
def test_as_of_asks_about_another_day(run: Run, as_of: str, found: int) -> None:
    done = run("recall", "bees", "--entity", "ada", "--as-of", as_of, "--json")

    assert len([one for one in json.loads(done.stdout) if one["kind"] == "episode"]) == found


@pytest.mark.parametrize("as_of", ["tomorrow", "2026-13-01", ""])
def test_an_as_of_that_is_no_date_is_a_usage_error(run: Run, as_of: str) -> None:
    done = run("recall", "bees", "--entity", "ada", "--as-of", as_of)

    assert done.exit_code == 2
    assert "is no date; write 2026-05-08" in " ".join(done.stderr.split())


@pytest.mark.parametrize("question", ["", "  \n"])
def test_a_blank_question_is_a_usage_error(run: Run, question: str) -> None:
    done = run("recall", question, "--entity", "ada")

    assert done.exit_code == 2
    assert "blank" in done.stderr


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001"])
def test_a_limit_out_of_range_is_a_usage_error(run: Run, limit: str) -> None:
    assert run("recall", "bees", "--entity", "ada", "--limit", limit).exit_code == 2


def test_a_question_without_an_answer_says_so(run: Run) -> None:
    done = run("recall", "quantum chromodynamics", "--entity", "ada")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "Nothing" in done.stderr


def test_recall_says_when_there_is_more_to_learn(run: Run) -> None:
    storage = Memori().config.storage
    storage.append(
        Attribution("ada", namespace="default"),
        Turn((Message("user", "Bees dance."),), resent=0, now=datetime.now(UTC)),
    )

    done = run("recall", "bees", "--entity", "ada")

    assert "1 job of 'ada' not yet learnt from. Work them off with: memori retry" in done.stderr
    assert "dance" not in done.stdout
    run("retry")
    assert "dance" in run("recall", "bees", "--entity", "ada").stdout


@pytest.mark.parametrize("command", [("recall", "bees"), ("facts",)])
def test_an_entity_nobody_knows_is_an_error(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--entity", "Ada")

    assert done.exit_code == 1
    assert "Nothing is stored about an entity 'Ada' in sqlite:///memory.db, namespace 'default'" in done.stderr


def test_another_namespace_is_another_memory(run: Run) -> None:
    done = run("recall", "bees", "--entity", "ada", "--namespace", "other")

    assert done.exit_code == 1
    assert "namespace 'other'" in done.stderr


def test_a_mistyped_database_is_an_error_and_is_not_made(run: Run, folder: Path) -> None:
    done = run("recall", "bees", "--entity", "ada", "--database", "sqlite:///typo.db")

    assert done.exit_code == 1
    assert "There is no database at typo.db" in done.stderr
    assert not (folder / "typo.db").exists()


@pytest.mark.parametrize("url", ["nonsense", "gopher://user:secret@host/db", "sqlite:memory.db"])
def test_a_url_nobody_understands_is_a_clean_error_without_its_password(run: Run, url: str) -> None:
    done = run("facts", "--entity", "ada", "--database", url)

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert "secret" not in done.stderr


def test_facts_lists_them_newest_first(run: Run) -> None:
    done = run("facts", "--entity", "ada")

    rows = done.stdout.splitlines()[2:]
    assert rows[0].startswith("preference   Ada likes [bold]honey[/bold].")
    assert rows[1].split() == ["fact", "Ada", "lives", "in", "Rome.", "2026-01-05"]
    assert "2 facts of 'ada'." in done.stderr


def test_facts_can_be_narrowed(run: Run) -> None:
    done = run("facts", "--entity", "ada", "--kind", "preference", "--json")

    assert [fact["kind"] for fact in json.loads(done.stdout)] == ["preference"]


def test_an_unknown_kind_is_a_usage_error_that_lists_the_kinds(run: Run) -> None:
    done = run("facts", "--entity", "ada", "--kind", "opinion")

    assert done.exit_code == 2
    assert "preference" in done.stderr


def test_a_forgotten_fact_is_gone_but_kept_as_history(run: Run) -> None:
    listed = run("facts", "--entity", "ada", "--kind", "fact", "--ids").stdout.splitlines()[2]
    fact_id = listed.split()[-1]

    assert run("forget", fact_id, "--entity", "ada").exit_code == 0

    assert "Rome" not in run("facts", "--entity", "ada").stdout
    assert "Rome" not in run("recall", "Where does Ada live?", "--entity", "ada").stdout
    assert "forgotten" in run("facts", "--entity", "ada", "--all").stdout


def test_what_is_not_there_cannot_be_forgotten(run: Run) -> None:
    done = run("forget", "nothing", "--entity", "ada")

    assert done.exit_code == 1
    assert "has no fact 'nothing'" in done.stderr


def test_what_somebody_said_cannot_steer_the_terminal(run: Run, folder: Path) -> None:
    run("import", write(folder / "evil.jsonl", *said("\x1b]0;owned\x07\x9b31m wasps")), "--entity", "eve")

    done = run("recall", "wasps", "--entity", "eve")

    assert "wasps" in done.stdout
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout)
