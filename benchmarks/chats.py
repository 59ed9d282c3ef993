"""Write the chats of `data/chats.txt` as a file in the format of LongMemEval: `python -m benchmarks.chats FILE`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "data" / "chats.txt"
DATE = "%Y/%m/%d (%a) %H:%M"
ASKED = datetime.fromisoformat("2025-09-30T18:00+00:00")
ROLES = {"U": "user", "A": "assistant"}
_TURN = re.compile(r"([UA])(\*?): (.+)")


def questions(source: str) -> list[dict[str, Any]]:
    """The questions of a source, each with all its sessions as the haystack. `data/README.md` describes the source."""
    haystack: dict[str, list[dict[str, Any]]] = {}
    dates: list[str] = []
    asked: list[dict[str, Any]] = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("# "):
            name, when = line[2:].split(" ", 1)
            haystack[name] = []
            dates.append(datetime.fromisoformat(f"{when}+00:00").strftime(DATE))
        elif line.startswith("? "):
            kind, evidence = line[2:].split("|")
            kind, _, absent = kind.strip().partition("_")
            asked.append(
                {
                    "question_id": f"q{len(asked) + 1:02}{'_abs' if absent else ''}",
                    "question_type": kind,
                    "question_date": ASKED.strftime(DATE),
                    "answer_session_ids": evidence.split(),
                }
            )
        elif line.startswith(("Q: ", "=: ")):
            asked[-1]["question" if line[0] == "Q" else "answer"] = line[3:]
        elif turn := _TURN.fullmatch(line):
            said = {"role": ROLES[turn[1]], "content": turn[3]}
            haystack[list(haystack)[-1]].append(said | ({"has_answer": True} if turn[2] else {}))
        elif line:
            raise ValueError(f"line {number} is no session, turn or question: {line!r}")
    shared = {
        "haystack_session_ids": list(haystack),
        "haystack_dates": dates,
        "haystack_sessions": list(haystack.values()),
    }
    return [question | shared for question in asked]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chats", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the JSON file to write")
    given = parser.parse_args(arguments)
    given.file.write_text(json.dumps(questions(SOURCE.read_text("utf-8")), ensure_ascii=False), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
