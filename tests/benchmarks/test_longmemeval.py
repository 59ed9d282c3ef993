"""Session recall is measured as it says, and what is shipped finds no fewer sessions than plain cosine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from memori.embedding.hashing import HashingEmbedder

from benchmarks.chats import SOURCE, questions
from benchmarks.chats import main as write
from benchmarks.longmemeval import Results, load, main, measure, plain_rounds

SOURCE_OF_TWO = """
# tea 2025-01-02 08:00
U*: I drink green tea every morning.
A: Two minutes at eighty degrees are enough.

# bicycle 2025-01-03 09:30
U: My green bicycle has a flat tyre.
A: Patch the tube or replace it.

? single-session-user | tea
Q: Which tea do I drink every morning?
=: Green tea
? multi-session | tea bicycle
Q: What green tea and which bicycle with a flat tyre do I have?
=: Both
? single-session-user_abs |
Q: What is my dog's name?
=: Never said
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(questions(SOURCE_OF_TWO)), "utf-8")
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.json"
    assert write([str(path)]) == 0
    return path


def test_questions_about_the_same_sessions_share_a_haystack_and_those_without_an_answer_are_left_out(
    data: Path,
) -> None:
    (haystack,) = load(data)

    assert [(one.kind, set(one.evidence)) for one in haystack.questions] == [
        ("single-session-user", {"tea"}),
        ("multi-session", {"tea", "bicycle"}),
    ]
    assert haystack.skipped == 1
    first = haystack.sessions[0].messages[0]
    assert (first.role, first.content) == ("user", "I drink green tea every morning.")
    assert first.created_at == datetime(2025, 1, 2, 8, tzinfo=UTC)


def test_questions_about_other_sessions_have_a_haystack_of_their_own(data: Path) -> None:
    raw: list[dict[str, Any]] = json.loads(data.read_text("utf-8"))
    for part in ("haystack_session_ids", "haystack_dates", "haystack_sessions"):
        raw[1][part] = raw[1][part][1:]
    data.write_text(json.dumps(raw), "utf-8")

    one, two, three = load(data)

    assert [session.session_id for session in two.sessions] == ["bicycle"]
    assert two.questions[0].evidence == {"bicycle"}
    assert (len(one.sessions), len(three.questions)) == (2, 0)


def test_a_round_is_what_was_said_with_its_answer(data: Path) -> None:
    (haystack,) = load(data)

    assert plain_rounds(HashingEmbedder(), haystack.sessions)("green tea eighty degrees") == ["tea", "bicycle"]


def test_every_row_finds_both_sessions(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--embedder", "hashing", "--extractor", "none"]) == 0

    printed = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if ", overall" in line]
    assert [row[0] for row in rows] == [
        "plain vectors, turns, overall",
        "plain vectors, rounds, overall",
        "shipped, episodes, overall",
        "shipped, all kinds, overall",
    ]
    # One of two sessions can be first, and both are among the first three.
    assert {tuple(row[1:]) for row in rows} == {("2", "0.750", "1.000", "1.000", "1.000")}
    assert "4 turns ingested" in printed
    assert "1 questions that no session answers" in printed


def test_what_is_kept_is_not_ingested_again(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", str(data), "--embedder", "hashing", "--extractor", "none", "--keep", str(tmp_path / "kept")]
    main(given)
    main(given)

    printed = capsys.readouterr().out
    assert "4 turns ingested" in printed
    assert "0 turns ingested" in printed


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path / "nowhere.json")])

    assert "is no file; `python -m benchmarks.chats FILE` writes one" in capsys.readouterr().err


def test_a_line_that_means_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 is no session, turn or question: 'X: hello'"):
        questions("# tea 2025-01-02 08:00\nX: hello")


def test_the_chats_have_the_shape_of_the_dataset() -> None:
    written = questions(SOURCE.read_text("utf-8"))

    sessions = dict(zip(written[0]["haystack_session_ids"], written[0]["haystack_sessions"], strict=True))
    answering = {name for name, turns in sessions.items() if any(turn.get("has_answer") for turn in turns)}
    assert len(sessions) >= 40
    assert written[0]["haystack_dates"][0] == "2025/01/06 (Mon) 07:40"
    assert {question["question_type"] for question in written} == {
        "single-session-user",
        "single-session-assistant",
        "single-session-preference",
        "multi-session",
        "temporal-reasoning",
        "knowledge-update",
    }
    for question in written:
        assert question["question"]
        assert question["answer"]
        assert set(question["answer_session_ids"]) <= answering
        assert bool(question["answer_session_ids"]) != question["question_id"].endswith("_abs")


def test_the_recipe_finds_no_fewer_sessions_than_plain_cosine(chats: Path) -> None:
    """On chats between a user and an assistant plain cosine is good already: what serves others must not harm them."""
    results = Results()
    (haystack,) = load(chats)
    measure(haystack, results, extractor="none")

    assert len(haystack.questions) == 29
    plain = max(results.score("plain vectors, turns", 3), results.score("plain vectors, rounds", 3))
    assert results.score("shipped, episodes", 3) >= plain > 0.9
