"""What the retrieval benchmarks share: recording through the facade, and the baseline beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from memori import Attribution, Memori
from memori.embedding.base import Embedder
from memori.transcripts import Transcript

Ranker = Callable[[str], list[str]]
"""Answers a question with ids, best first. An id may come twice and takes a place each time."""


def plain_vectors(embedder: Embedder, texts: Sequence[str], ids: Sequence[str], *, depth: int | None = None) -> Ranker:
    """The baseline: cosine between the question and each text. The ids of the first `depth`, else of all."""
    vectors = embedder.embed(texts)

    def rank(question: str) -> list[str]:
        best = np.argsort(-(vectors @ embedder.embed_query(question)), kind="stable")[:depth]
        return [ids[index] for index in best]

    return rank


def ingest(memori: Memori, entity: Attribution, sessions: Sequence[Transcript]) -> int:
    """Record every session and wait for the facts; return how many turns were new to the database."""
    new = 0
    for session in sessions:
        new += memori.record(session.messages, attribution=entity.with_session(session.session_id)).stored
    if not memori.augmentation.wait():
        raise SystemExit(f"Augmentation failed: {memori.augmentation.status()}")
    return new


@contextmanager
def database(name: str, keep: Path | None = None) -> Iterator[str]:
    """The URL of a database: `name` in the folder `keep`, else one that is gone afterwards."""
    with tempfile.TemporaryDirectory() as passing:
        folder = keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        yield f"sqlite:///{folder}/{name}.db"
