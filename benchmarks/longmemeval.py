"""Retrieval on LongMemEval: are the sessions that hold the answer among the first sessions recalled?

`python -m benchmarks.longmemeval --data FILE` reads a file in the format of LongMemEval (Wu et al., ICLR 2025). No
model judges anything: the evidence is the sessions that the dataset names.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from memori import Attribution, Memori
from memori.embedding.base import Embedder
from memori.model import Message
from memori.transcripts import Transcript

from benchmarks.metrics import mean, recall_at
from benchmarks.retrieval import Ranker, database, ingest, plain_vectors

DATE = "%Y/%m/%d (%a) %H:%M"
DEPTH = 100
"""Memories recalled for a question; several may come from one session."""
PLACES = (1, 3, 5, 10)


@dataclass(frozen=True)
class Question:
    """A question and the ids of the sessions that answer it."""

    text: str
    kind: str
    evidence: frozenset[str]


@dataclass(frozen=True)
class Haystack:
    """Sessions of one person and what is asked about them. `skipped`: questions that no session of it answers."""

    name: str
    sessions: list[Transcript]
    questions: list[Question]
    skipped: int


@dataclass
class Results:
    """The sessions found for each question, by row, and how long recording took, in seconds."""

    found: dict[str, list[tuple[Question, list[str]]]] = field(default_factory=dict)
    ingested: list[tuple[int, float]] = field(default_factory=list)
    skipped: int = 0

    def score(self, row: str, k: int, *, kind: str | None = None) -> float:
        """The mean share of a question's sessions among the first k."""
        return mean([recall_at(k, found, q.evidence) for q, found in self.found[row] if kind in (None, q.kind)])


def load(path: Path) -> list[Haystack]:
    """Read a file. Questions about the same sessions in a row share a haystack; abstention questions are skipped."""
    return [
        _haystack(list(questions))
        for _, questions in groupby(json.loads(path.read_text("utf-8")), lambda raw: raw["haystack_session_ids"])
    ]


def _haystack(raw: list[dict[str, Any]]) -> Haystack:
    first = raw[0]
    sessions = [
        _session(*given)
        for given in zip(
            first["haystack_session_ids"], first["haystack_dates"], first["haystack_sessions"], strict=True
        )
    ]
    known = frozenset(session.session_id for session in sessions)
    answerable = [
        Question(one["question"], one["question_type"], evidence)
        for one in raw
        if not one["question_id"].endswith("_abs") and (evidence := known & frozenset(one["answer_session_ids"]))
    ]
    return Haystack(first["question_id"], sessions, answerable, len(raw) - len(answerable))


def _session(session_id: str, date: str, turns: Sequence[dict[str, Any]]) -> Transcript:
    said_at = datetime.strptime(date, DATE).replace(tzinfo=UTC)
    messages = (
        Message(turn["role"], turn["content"], id=f"{session_id}:{number}", created_at=said_at)
        for number, turn in enumerate(turns)
        if turn["content"].strip()
    )
    return Transcript(session_id, tuple(messages))


def plain_turns(embedder: Embedder, sessions: Sequence[Transcript]) -> Ranker:
    """Cosine with each turn, answering with the turn's session."""
    turns = [(session.session_id, turn) for session in sessions for turn in session.messages]
    return plain_vectors(embedder, [turn.content for _, turn in turns], [session_id for session_id, _ in turns])


def plain_rounds(embedder: Embedder, sessions: Sequence[Transcript]) -> Ranker:
    """Cosine with each round (what the user said and what was answered), answering with the round's session."""
    texts: list[str] = []
    ids: list[str] = []
    for session in sessions:
        for number, turn in enumerate(session.messages):
            if number and turn.role == "assistant" and session.messages[number - 1].role == "user":
                texts[-1] += f"\n{turn.content}"
            else:
                texts.append(turn.content)
                ids.append(session.session_id)
    return plain_vectors(embedder, texts, ids)


def measure(
    haystack: Haystack,
    results: Results,
    *,
    embedder: str = "minilm",
    extractor: str = "local",
    keep: Path | None = None,
) -> None:
    """Record a haystack's sessions with their dates and ask its questions."""
    entity = Attribution(haystack.name)
    with (
        database(f"{haystack.name}-{extractor}", keep) as url,
        Memori(url, embedder=embedder, extractor=extractor) as memori,
    ):
        began = time.perf_counter()
        new = ingest(memori, entity, haystack.sessions)
        results.ingested.append((new, time.perf_counter() - began))
        session_of = {stored.key: stored.session_id for stored in memori.messages(attribution=entity)}

        def shipped(question: str, **options: Any) -> list[str]:
            recalled = memori.recall(question, limit=DEPTH, attribution=entity, **options)
            return [session_of[one.fact.message_key] for one in recalled if one.fact.message_key in session_of]

        rows: dict[str, Ranker] = {
            "plain vectors, turns": plain_turns(memori.embedder, haystack.sessions),
            "plain vectors, rounds": plain_rounds(memori.embedder, haystack.sessions),
            "shipped, episodes": lambda question: shipped(question, kinds=["episode"]),
            "shipped, all kinds": shipped,
        }
        for question in haystack.questions:
            for row, rank in rows.items():
                # A session stands where its first memory stands.
                results.found.setdefault(row, []).append((question, list(dict.fromkeys(rank(question.text)))))
        results.skipped += haystack.skipped


def report(results: Results) -> str:
    """The results as Markdown."""
    lines = [f"| | questions | {' | '.join(f'recall@{k}' for k in PLACES)} |", f"|---|---|{'---|' * len(PLACES)}"]
    for row, found in results.found.items():
        for kind in (None, *sorted({question.kind for question, _ in found})):
            asked = sum(kind in (None, question.kind) for question, _ in found)
            cells = " | ".join(f"{results.score(row, k, kind=kind):.3f}" for k in PLACES)
            lines.append(f"| {row}, {kind or 'overall'} | {asked} | {cells} |")
    turns, seconds = (sum(values) for values in zip(*results.ingested, strict=True))
    lines += [
        "",
        f"{len(results.ingested)} haystacks, {turns:.0f} turns ingested at {turns / seconds:.0f} turns/s; "
        f"{results.skipped} questions that no session answers left out.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.longmemeval", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="a file in the format of LongMemEval")
    parser.add_argument("--limit", type=int, help="take only so many haystacks")
    parser.add_argument("--embedder", default="minilm", help="which embedder turns text into vectors")
    parser.add_argument(
        "--extractor", default="local", help="which extractor proposes facts ('none' for episodes only)"
    )
    parser.add_argument(
        "--keep", type=Path, help="folder to keep the databases in: the next run ingests nothing and only recalls"
    )
    given = parser.parse_args(arguments)
    if not given.data.is_file():
        parser.error(f"{given.data} is no file; `python -m benchmarks.chats FILE` writes one.")
    results = Results()
    for haystack in load(given.data)[: given.limit]:
        measure(haystack, results, embedder=given.embedder, extractor=given.extractor, keep=given.keep)
        print(f"{haystack.name} done", file=sys.stderr)
    print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
