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


def test_a_folder_without_conversations_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path)])

    assert "holds no JSON files" in capsys.readouterr().err
