"""The retrieval benchmark reads its data as it says and measures through the real facade."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.locomo import load, main

CONVERSATION = {
    "speaker_a": "Ada",
    "speaker_b": "Bo",
    "session_1_date_time": "1:56 pm on 8 May, 2023",
    "session_1": [
        {"speaker": "Ada", "dia_id": "D1:1", "text": "I moved to Berlin."},
        {"speaker": "Bo", "dia_id": "D1:2", "text": "I bought a green bicycle."},
    ],
    "session_2_date_time": "9:00 am on 9 May, 2023",
    "session_2": [{"speaker": "Ada", "dia_id": "D2:1", "text": "My sister plays the cello."}],
    "qa": [
        {"question": "Where does Ada live?", "evidence": ["D1:1"], "category": 4},
        {"question": "What do Bo and Ada's sister have?", "evidence": ["D1:2; D2:1", "D9:9"], "category": 1},
        {"question": "Who plays?", "evidence": ["D:2:1"], "category": 2},
        {"question": "What is Bo's car?", "evidence": ["D1:2"], "category": 5},
    ],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "one.json").write_text(json.dumps(CONVERSATION), "utf-8")
    return tmp_path


def test_evidence_that_names_no_turn_is_dropped_and_adversarial_questions_are_not_asked(data: Path) -> None:
    conversation = load(data / "one.json")

    assert [(question.category, set(question.evidence)) for question in conversation.questions] == [
        (4, {"D1:1"}),
        (1, {"D1:2", "D2:1"}),
    ]
    assert conversation.skipped == 1
    assert [turn.id for turn in conversation.turns] == ["D1:1", "D1:2", "D2:1"]


def test_every_row_finds_all_of_three_turns(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--extractor", "none"]) == 0

    printed = capsys.readouterr().out
    rows = [line.split(" | ") for line in printed.splitlines() if ", overall" in line]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("| plain vectors, overall", "2", "1.000"),
        ("| shipped, episodes, overall", "2", "1.000"),
        ("| shipped, all kinds, overall", "2", "1.000"),
    ]
    assert "3 turns ingested" in printed
    assert "1 questions without usable evidence" in printed


def test_a_context_large_enough_for_all_turns_holds_all_evidence(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--data", str(data), "--extractor", "none"])

    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if "tokens | " in line]
    assert [(row[0], row[3]) for row in rows] == [
        ("250 tokens", "1.000"),
        ("500 tokens", "1.000"),
        ("1000 tokens", "1.000"),
    ]
    assert all(0 < int(tokens) <= int(budget.split()[0]) for budget, tokens, *_ in rows)


def test_what_is_kept_is_not_ingested_again(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", str(data), "--extractor", "none", "--keep", str(tmp_path / "kept")]
    main(given)
    first = capsys.readouterr().out
    main(given)
    second = capsys.readouterr().out

    assert "3 turns ingested" in first
    assert "0 turns ingested" in second
    assert [line for line in first.splitlines() if line.startswith("|")] == [
        line for line in second.splitlines() if line.startswith("|")
    ]


def test_a_folder_without_conversations_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path)])

    assert "holds no JSON files" in capsys.readouterr().err
