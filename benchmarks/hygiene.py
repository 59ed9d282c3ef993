"""How clean the facts are that extraction makes of real conversations.

`python -m benchmarks.hygiene --data DIR` reads LoCoMo conversations (one JSON file each) as `benchmarks.locomo` does
and counts what nobody would want in a memory. No model judges anything.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from memori import Attribution, Memori
from memori.model import Fact
from memori.text import asks, fold, terms

from benchmarks.locomo import Conversation, load
from benchmarks.retrieval import database, ingest

DEPTH = 10
"""A fact is recalled when it is among so many first memories."""
_SAME = 0.8
"""Share of terms in common from which two facts of one speaker say the same."""
_ASKS = re.compile(
    r"^(?:who|what|when|where|why|how|which|whose|do|does|did|can|could|would|will|is|are|was|were|have|has)\b", re.I
)
_DANGLING = re.compile(
    r"^(?:he|she|it|they|this|that|these|those|there|here|his|her|their|its|him|them|i|we|you|my|our|your)\b", re.I
)
_PRONOUN = re.compile(r"\b(?:he|she|it|they|him|her|them|his|hers|its|theirs|this|these|those)\b", re.IGNORECASE)
_POINTING = re.compile(
    r"\b(?:this|these|those)(?! (?:\w+ )?(?:morning|afternoon|evening|night|day|week|weekend|month|year|summer|winter"
    r"|spring|autumn|fall|time|\w+day|january|february|march|april|may|june|july|august|september|october|november"
    r"|december)s?\b)",
    re.IGNORECASE,
)
_LEFT_HANGING = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours|you|your|yours)\b", re.IGNORECASE)


@dataclass
class Counts:
    """Facts by what is wrong with them, and the turns they came from.

    `pronoun`: any third-person pronoun, explained or not, so that no dangling one is missed.
    """

    turns: int = 0
    facts: int = 0
    duplicate: int = 0
    question: int = 0
    dangling: int = 0
    pronoun: int = 0
    never_recalled: int = 0
    superseded: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add another conversation's."""
        for one in fields(self):
            if one.name != "examples":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def is_question(text: str) -> bool:
    """Whether a fact asks: it ends or begins like a question."""
    return asks(text) or _ASKS.match(text) is not None


def is_dangling(text: str) -> bool:
    """Whether a fact begins with a pronoun, points at something ("this bowl"), or still says "I" or "you"."""
    unquoted = re.sub(r'"[^"]*"', "", text)
    return any(search(unquoted) for search in (_DANGLING.match, _POINTING.search, _LEFT_HANGING.search))


def duplicates(facts: Sequence[Fact]) -> list[Fact]:
    """The facts that say what an earlier one says: the same words, or four fifths of the terms in common.

    Facts with different numbers, dates or negation are told apart.
    """
    found, seen = [], list[tuple[set[str], Fact]]()
    for fact in facts:
        said = set(terms(fact.text)) | set(re.findall(r"\b(?:not|never|no|\w+n't|\d+)\b", fact.text.lower()))
        same = any(
            fold(other.text) == fold(fact.text)
            or (len(said & words) >= _SAME * len(said | words) and other.valid_from == fact.valid_from)
            for words, other in seen
        )
        if same:
            found.append(fact)
        seen.append((said, fact))
    return found


def measure(conversation: Conversation, *, extractor: str = "local", keep: Path | None = None) -> Counts:
    """Ingest a conversation, or what `keep` lacks of it, ask its questions and count."""
    entity = Attribution(conversation.name)
    with database(f"{conversation.name}-{extractor}", keep) as url, Memori(url, extractor=extractor) as memori:
        ingest(memori, entity, conversation.sessions)
        facts = memori.facts(attribution=entity, limit=10_000)
        recalled = {
            memory.fact.id
            for question in conversation.questions
            for memory in memori.recall(question.text, limit=DEPTH, attribution=entity)
        }
        superseded = len(memori.facts(attribution=entity, statuses=["superseded"], limit=10_000))
    kinds = {
        "duplicate": [fact.text for fact in duplicates(facts[::-1])],
        "question": [fact.text for fact in facts if is_question(fact.text)],
        "dangling": [fact.text for fact in facts if is_dangling(fact.text)],
        "pronoun": [fact.text for fact in facts if _PRONOUN.search(fact.text)],
        "never_recalled": [fact.text for fact in facts if fact.id not in recalled],
    }
    counted = {name: len(texts) for name, texts in kinds.items()}
    return Counts(len(conversation.turns), len(facts), **counted, superseded=superseded, examples=kinds)


def report(rows: dict[str, Counts]) -> str:
    """The table, as it stands in benchmarks/README.md."""
    lines = [
        "| conversation | turns | facts | facts per turn | duplicate | question-like | dangling | with a pronoun "
        "| never recalled | superseded |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in rows.items():
        shares = (one.duplicate, one.question, one.dangling, one.pronoun, one.never_recalled)
        cells = " | ".join(f"{count / max(one.facts, 1):.3f}" for count in shares)
        per_turn = one.facts / max(one.turns, 1)
        lines.append(f"| {name} | {one.turns} | {one.facts} | {per_turn:.2f} | {cells} | {one.superseded} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hygiene", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of LoCoMo conversations, one JSON file each")
    parser.add_argument("--limit", type=int, help="take only so many conversations")
    parser.add_argument("--extractor", default="local", help="which extractor proposes facts")
    parser.add_argument("--keep", type=Path, help="folder to keep the databases in, shared with benchmarks.locomo")
    parser.add_argument("--examples", type=int, default=0, help="show so many facts of each fault")
    given = parser.parse_args(arguments)
    files = sorted(given.data.glob("*.json"))[: given.limit]
    if not files:
        parser.error(f"{given.data} holds no JSON files; give the folder of LoCoMo conversations.")
    rows: dict[str, Counts] = {}
    total = Counts()
    for path in files:
        rows[path.stem] = counts = measure(load(path), extractor=given.extractor, keep=given.keep)
        total.add(counts)
        for fault, texts in counts.examples.items():
            for text in texts[: given.examples]:
                print(f"{path.stem} {fault}: {text}")
    print(report({**rows, "all": total}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
