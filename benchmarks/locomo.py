"""Retrieval on LoCoMo: which share of a question's evidence is among the first memories recalled?

`python -m benchmarks.locomo --data DIR` reads the conversations of DIR (one JSON file each, of the authors' public
release). No model judges anything: the evidence is the turns that the dataset's authors named.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from memori import Attribution, Memori, RecallOptions, RecallWeights
from memori.model import Context, Kind, Message, Recalled
from memori.transcripts import Transcript, read

from benchmarks.metrics import hit_at, mean, ndcg_at, percentile, recall_at
from benchmarks.retrieval import database, ingest, plain_vectors

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
DEPTH = 20
BUDGETS = (250, 500, 1000)
"""Tokens allowed to a context."""
CONTEXT_DEPTH = 200
"""Memories a context may choose from: more than the largest budget has room for."""
TURN_ID = re.compile(r"D\d+:\d+")
ABLATED = [one.name for one in fields(RecallWeights) if one.name != "half_life"]
"""Parts of a score that can be left out, one at a time."""
MEASURES: dict[str, Callable[[Sequence[str], frozenset[str]], float]] = {
    "recall@5": lambda ranked, wanted: recall_at(5, ranked, wanted),
    "recall@10": lambda ranked, wanted: recall_at(10, ranked, wanted),
    "recall@20": lambda ranked, wanted: recall_at(20, ranked, wanted),
    "hit@10": lambda ranked, wanted: hit_at(10, ranked, wanted),
    "nDCG@10": lambda ranked, wanted: ndcg_at(10, ranked, wanted),
}


@dataclass(frozen=True)
class Question:
    """A question and the ids of the turns that answer it."""

    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True)
class Conversation:
    """A conversation of the dataset. `skipped`: questions of categories 1-4 whose evidence is no turn of it."""

    name: str
    sessions: list[Transcript]
    questions: list[Question]
    skipped: int

    @property
    def turns(self) -> list[Message]:
        """The turns of all sessions."""
        return [message for session in self.sessions for message in session.messages]


@dataclass(frozen=True)
class Shown:
    """What a context cost, and which shares of a question's evidence (0..1) and of its memories are in it."""

    tokens: int
    memories: int
    evidence: float


@dataclass
class Results:
    """What was measured over all conversations: scores by row, contexts by budget, and times in seconds."""

    scores: dict[str, list[tuple[Question, list[str]]]] = field(default_factory=dict)
    contexts: dict[int, list[Shown]] = field(default_factory=dict)
    ingested: list[tuple[int, float]] = field(default_factory=list)
    first_recall: list[float] = field(default_factory=list)
    embed: list[float] = field(default_factory=list)
    search: list[float] = field(default_factory=list)
    skipped: int = 0


def load(path: Path) -> Conversation:
    """Read a conversation. Evidence that names no turn is dropped, and a question that has no other is skipped."""
    sessions = list(read(path, batch=sys.maxsize))
    turns = {message.id for session in sessions for message in session.messages}
    questions, skipped = [], 0
    for raw in json.loads(path.read_text("utf-8"))["qa"]:
        if raw["category"] not in CATEGORIES:
            continue
        evidence = frozenset(TURN_ID.findall(" ".join(raw.get("evidence", ())))) & turns
        if evidence:
            questions.append(Question(raw["question"], raw["category"], frozenset(evidence)))
        else:
            skipped += 1
    return Conversation(path.stem, sessions, questions, skipped)


def turns_of(recalled: Sequence[Recalled], turn_of: dict[str, str]) -> list[str]:
    """The turn each memory came from; a memory that came from none keeps its place."""
    return [turn_of.get(memory.fact.message_key or "", "") for memory in recalled]


def shown(context: Context, turn_of: dict[str, str], evidence: frozenset[str]) -> Shown:
    """Account for a context: a fact counts as the turn it came from."""
    turns = turns_of(context.recalled, turn_of)
    return Shown(context.tokens, len(turns), recall_at(len(turns), turns, evidence))


def measure(
    conversation: Conversation, results: Results, *, extractor: str, keep: Path | None = None, ablate: bool = False
) -> None:
    """Ingest a conversation into a database of its own, or what `keep` lacks of it, and ask its questions."""
    entity = Attribution(conversation.name)
    with (
        database(f"{conversation.name}-{extractor}", keep) as url,
        Memori(url, extractor=extractor) as memori,
    ):
        began = time.perf_counter()
        new = ingest(memori, entity, conversation.sessions)
        results.ingested.append((new, time.perf_counter() - began))
        turn_of = {stored.key: str(stored.message.id) for stored in memori.messages(attribution=entity)}

        began = time.perf_counter()
        memori.recall("Who is this?", attribution=entity)
        results.first_recall.append(time.perf_counter() - began)

        turns = conversation.turns
        said = [f"{turn.name}: {turn.content}" for turn in turns]
        baseline = plain_vectors(memori.embedder, said, [str(turn.id) for turn in turns], depth=DEPTH)
        for question in conversation.questions:
            began = time.perf_counter()
            memori.embedder.embed_query(question.text)
            embedded = time.perf_counter()
            everything = memori.recall(question.text, limit=DEPTH, attribution=entity)
            answered = time.perf_counter()
            results.embed.append(embedded - began)
            results.search.append(max(0.0, (answered - embedded) - (embedded - began)))

            episodes = memori.recall(question.text, limit=DEPTH, attribution=entity, kinds=["episode"])
            for row, ranked in (
                ("plain vectors", baseline(question.text)),
                ("shipped, episodes", turns_of(episodes, turn_of)),
                ("shipped, all kinds", turns_of(everything, turn_of)),
            ):
                results.scores.setdefault(row, []).append((question, ranked))
            for budget in BUDGETS:
                context = memori.context(question.text, limit=CONTEXT_DEPTH, token_budget=budget, attribution=entity)
                results.contexts.setdefault(budget, []).append(shown(context, turn_of, question.evidence))
        results.skipped += conversation.skipped
        for left_out in ABLATED if ablate else ():
            without(left_out, url, entity, conversation, turn_of, results)


def without(
    left_out: str, url: str, entity: Attribution, conversation: Conversation, turn_of: dict[str, str], results: Results
) -> None:
    """Ask the questions again with one part of the score left out."""
    options = RecallOptions(weights=replace(RecallWeights(), **{left_out: 0.0}))
    with Memori(url, extractor="none", recall=options) as memori:
        rows: tuple[tuple[str, list[Kind] | None], ...] = (("episodes", ["episode"]), ("all kinds", None))
        for question in conversation.questions:
            for row, kinds in rows:
                found = memori.recall(question.text, limit=DEPTH, attribution=entity, kinds=kinds)
                ranked = turns_of(found, turn_of)
                results.scores.setdefault(f"without {left_out}, {row}", []).append((question, ranked))


def report(results: Results) -> str:
    """The results as Markdown."""
    lines = [
        f"| | questions | {' | '.join(MEASURES)} |",
        f"|---|---|{'---|' * len(MEASURES)}",
    ]
    for row, answered in results.scores.items():
        for name, wanted in [("overall", set(CATEGORIES)), *((name, {number}) for number, name in CATEGORIES.items())]:
            chosen = [(question, ranked) for question, ranked in answered if question.category in wanted]
            if chosen:
                scores = [mean([score(ranked, q.evidence) for q, ranked in chosen]) for score in MEASURES.values()]
                cells = " | ".join(f"{value:.3f}" for value in scores)
                lines.append(f"| {row}, {name} | {len(chosen)} | {cells} |")
    lines += ["", "| context of | tokens used | memories | share of evidence |", "|---|---|---|---|"]
    for budget, contexts in results.contexts.items():
        tokens, memories = mean([one.tokens for one in contexts]), mean([one.memories for one in contexts])
        evidence = mean([one.evidence for one in contexts])
        lines.append(f"| {budget} tokens | {tokens:.0f} | {memories:.1f} | {evidence:.3f} |")
    turns, seconds = (sum(values) for values in zip(*results.ingested, strict=True))
    total = [embed + search for embed, search in zip(results.embed, results.search, strict=True)]
    lines += [
        "",
        f"{len(results.ingested)} conversations, {turns:.0f} turns ingested at {turns / seconds:.0f} turns/s; "
        f"{results.skipped} questions without usable evidence left out.",
        f"First recall of an entity (builds its index): {1000 * percentile(results.first_recall, 50):.1f} ms.",
        *(
            f"Recall, {name}: p50 {1000 * percentile(times, 50):.1f} ms, p95 {1000 * percentile(times, 95):.1f} ms."
            for name, times in (("in all", total), ("embedding", results.embed), ("search", results.search))
        ),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locomo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of LoCoMo conversations, one JSON file each")
    parser.add_argument("--limit", type=int, help="take only so many conversations")
    parser.add_argument(
        "--extractor", default="local", help="which extractor proposes facts ('none' for episodes only)"
    )
    parser.add_argument(
        "--keep", type=Path, help="folder to keep the databases in: the next run ingests nothing and only recalls"
    )
    parser.add_argument("--ablate", action="store_true", help="also leave out each part of the score, one at a time")
    given = parser.parse_args(arguments)
    files = sorted(given.data.glob("*.json"))[: given.limit]
    if not files:
        parser.error(f"{given.data} holds no JSON files; give the folder of LoCoMo conversations.")
    results = Results()
    for path in files:
        measure(load(path), results, extractor=given.extractor, keep=given.keep, ablate=given.ablate)
        print(f"{path.name} done", file=sys.stderr)
    print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
