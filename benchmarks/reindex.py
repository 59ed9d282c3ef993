"""How many facts a second are embedded anew: conversations learnt with one embedder, brought over to the default one.

`python -m benchmarks.reindex --data DIR` reads the same conversations as `benchmarks.locomo`. Only the reindexing is
timed, from the second batch on: the first loads the model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from memori import Attribution, Memori

from benchmarks.locomo import load
from benchmarks.retrieval import ingest


def main() -> None:
    """Learn, reindex, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="LoCoMo conversations, one JSON each")
    parser.add_argument("--embedder", default="minilm", help="what to embed with anew")
    parser.add_argument("--batch", type=int, default=256, help="facts that commit together")
    options = parser.parse_args()
    conversations = [load(path) for path in sorted(options.data.glob("*.json"))]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/memori.db"
        with Memori(url, embedder="hashing", extractor="none") as memori:
            for conversation in conversations:
                ingest(memori, Attribution(conversation.name), conversation.sessions)
        committed: list[tuple[float, int]] = []
        with Memori(url, embedder=options.embedder, extractor="none") as memori:
            done = memori.reindex(
                batch=options.batch, progress=lambda facts, _: committed.append((time.perf_counter(), facts))
            )
        (began, first), (ended, last) = committed[1], committed[-1]
        print(f"{done.facts:,} facts of {done.entities} entities into {done.space}, {options.batch} a batch")
        print(f"{(last - first) / (ended - began):.0f} facts a second, their windows included")


if __name__ == "__main__":
    main()
