"""Do the weights of recall hold on a conversation that they were not chosen on?

`python -m benchmarks.leave_one_out --data DIR --keep DIR` asks every question of `benchmarks.locomo` under a grid of
weights. For each conversation the weights that are best on the others are chosen, and scored on the one left out.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

from memori import Attribution, Memori, RecallOptions, RecallWeights

from benchmarks.locomo import Conversation, load, turns_of
from benchmarks.metrics import mean, recall_at
from benchmarks.retrieval import database, ingest

GRID = {
    "lexical": (0.15, 0.2, 0.25),
    "speaker": (0.1, 0.15, 0.2),
    "neighbour": (0.1, 0.15, 0.2),
    "importance": (0.0, 0.32),
}
SETTINGS = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]


def scores(conversation: Conversation, keep: Path | None) -> list[list[float]]:
    """recall@10 of every question, with episodes alone, under each setting of the grid."""
    entity = Attribution(conversation.name)
    with database(f"{conversation.name}-none", keep) as url:
        with Memori(url, extractor="none") as memori:
            ingest(memori, entity, conversation.sessions)
            turn_of = {stored.key: str(stored.message.id) for stored in memori.messages(attribution=entity)}
        found = []
        for setting in SETTINGS:
            options = RecallOptions(weights=replace(RecallWeights(), **setting))
            with Memori(url, extractor="none", recall=options) as memori:
                found.append(
                    [
                        recall_at(
                            10,
                            turns_of(memori.recall(one.text, limit=10, attribution=entity, kinds=["episode"]), turn_of),
                            one.evidence,
                        )
                        for one in conversation.questions
                    ]
                )
    return found


def main() -> None:
    """Score, choose, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of LoCoMo conversations, one JSON file each")
    parser.add_argument("--keep", type=Path, help="folder to keep the databases in")
    given = parser.parse_args()
    by_name = {}
    for path in sorted(given.data.glob("*.json")):
        by_name[path.stem] = scores(load(path), given.keep)
        print(f"{path.stem} done", file=sys.stderr)
    held: list[float] = []
    for left_out, own in by_name.items():
        others = [found for name, found in by_name.items() if name != left_out]
        best = max(range(len(SETTINGS)), key=lambda number: mean([one for found in others for one in found[number]]))
        chosen = ", ".join(f"{name} {value}" for name, value in SETTINGS[best].items())
        print(f"| {left_out} | {chosen} | {mean(own[best]):.3f} |")
        held += own[best]
    print(f"| all | | {mean(held):.3f} |")


if __name__ == "__main__":
    main()
