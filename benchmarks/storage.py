"""What each database costs: migration, `record` with one and eight writers, and what recall reads of it.

`python -m benchmarks.storage sqlite postgresql mariadb` starts the servers that the tests start, with a commit that
reaches the disk; `--url` measures an empty database of your own. Recall is measured for entities of `--own` facts in
a table that holds `--others` facts of other entities besides: it must not get slower as those grow.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from memori import Attribution, Message
from memori.embedding.base import Space
from memori.keys import new_key
from memori.model import Fact
from memori.storage.base import Storage
from memori.storage.mongodb.storage import MongoStorage
from memori.storage.records import FactChanges, NewFact, StorageOptions, Turn
from memori.storage.sql.storage import SQLStorage
from memori.text import terms

from benchmarks.metrics import mean, percentile
from tests.core.storage import mongodb, servers

SPACE = Space("benchmark", "random", 384)
WRITERS = 8
TURNS = 800
SLOW_TURNS = 80
"""Of the server that stands in for MongoDB, which answers a few requests a second once several threads ask."""
QUERIES = 100
FOUND = 20
DURABLE_MARIADB = ("--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")
OTHERS_EACH = 100
"""Facts of each of the other entities."""

_random = random.Random(7)
_vocabulary = ["".join(_random.choices("aeioubdfgklmnprstvz", k=7)) for _ in range(3000)]
_frequencies = [1 / (rank + 10) for rank in range(len(_vocabulary))]


@contextmanager
def database(name: str) -> Iterator[str]:
    """The URL of an empty database on a server of its own, whose commits are as durable as they come."""
    with tempfile.TemporaryDirectory(prefix="memori-", dir="/tmp") as folder:
        if name == "sqlite":
            yield f"sqlite:///{folder}/memory.db"
            return
        if name == "mongodb":
            server = mongodb.start(replica_set_name="memori", storage_path=folder, sync_on_commit=True)
            yield f"{server.uri.partition('?')[0].rstrip('/')}/benchmark"
            server.stop()
            return
        if name == "postgresql":
            server = servers.start_postgresql(Path(folder))
        else:
            server = servers.start_mariadb(Path(folder), *DURABLE_MARIADB)
        with server.database() as url:
            yield url


def times(call: Callable[[int], object], repeats: int) -> list[float]:
    """How long each of the calls took, in milliseconds."""
    took = []
    for number in range(repeats):
        began = time.perf_counter()
        call(number)
        took.append(1000 * (time.perf_counter() - began))
    return took


def spread(took: Sequence[float]) -> str:
    """Median, 95th percentile and longest."""
    return f"{percentile(took, 50):.1f} / {percentile(took, 95):.1f} / {max(took):.0f} ms"


def append(storage: Storage, session: str, number: int = 0) -> None:
    """A turn of two messages and its job, in a session of its own."""
    said = (
        Message("user", f"question {number} " + "word " * 40),
        Message("assistant", f"answer {number} " + "word " * 60),
    )
    who = Attribution(f"person {session}", "bot", session, "benchmark")
    receipt = storage.append(who, Turn(said, resent=2, now=datetime.now(UTC)))
    assert receipt.stored == 2


def measure_record(storage: Storage, writers: int) -> str:
    """Turns a second, and how long one takes."""
    each = (SLOW_TURNS if isinstance(storage, MongoStorage) else TURNS) // writers
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda writer: append(storage, f"warm {writers} {writer}"), range(writers)))
        began = time.perf_counter()
        run = [pool.submit(times, partial(append, storage, f"{writers} {one}"), each) for one in range(writers)]
        took = [one for future in run for one in future.result()]
        elapsed = time.perf_counter() - began
    return f"{len(took) / elapsed:,.0f}/s, {spread(took)}"


def facts(number: int) -> Iterator[NewFact]:
    """Facts of a dozen words, rare and common ones, each with a vector."""
    vectors = np.random.default_rng(7).standard_normal((min(number, 1000), SPACE.dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for place in range(number):
        said = " ".join(_random.choices(_vocabulary, _frequencies, k=12))
        yield NewFact(
            Fact(new_key(), said, "fact", said_at=datetime.now(UTC)),
            " ".join(terms(said)),
            f"{place:064}",
            vectors[place % len(vectors) : place % len(vectors) + 1],
        )


def fill(storage: Storage, entity: str, number: int) -> list[str]:
    """Give an entity so many facts; return their ids."""
    ids = []
    who = Attribution(entity, namespace="benchmark")
    rows = facts(number)
    while batch := tuple(itertools.islice(rows, 1000)):
        storage.apply(who, FactChanges(add=batch, space=SPACE), expected=None, now=datetime.now(UTC))
        ids += [new.fact.id for new in batch]
    return ids


def measure_recall(storage: Storage, entity: str, ids: list[str]) -> dict[str, str]:
    """What one recall reads: with its index at hand, through the database's full text, and to build its index."""
    who = Attribution(entity, namespace="benchmark")
    queries = [terms(" ".join(_random.sample(_vocabulary[:1000], 3))) for _ in range(QUERIES)]
    picked = [_random.sample(ids, FOUND) for _ in range(QUERIES)]

    def with_index(number: int) -> None:
        storage.state(who)
        assert len(storage.facts(who, ids=picked[number])) == FOUND

    def by_words(number: int) -> None:
        storage.search(who, queries[number], limit=FOUND)

    def build_index(_: int) -> None:
        assert len(storage.changes_since(who, SPACE, 0).rows) == len(ids)

    with_index(0)
    by_words(0)
    return {
        "index at hand": spread(times(with_index, QUERIES)),
        "full text": spread(times(by_words, QUERIES)),
        "reading the index": f"{mean(times(build_index, 3)):,.0f} ms",
    }


def measure(name: str, url: str, own: Sequence[int], others: Sequence[int]) -> None:
    storage: Storage = (MongoStorage if url.startswith("mongodb") else SQLStorage)(url, StorageOptions())
    try:
        [migration] = times(lambda _: storage.build(), 1)
        print(f"\n{name}\n  migration: {migration:,.0f} ms")
        for writers in (1, WRITERS):
            print(f"  record, {writers} writer{'s' * (writers > 1)}: {measure_record(storage, writers)}")
        entities = {f"own {number}": fill(storage, f"own {number}", number) for number in own}
        there = 0
        for wanted in others:
            while there < wanted:
                fill(storage, f"other {there}", OTHERS_EACH)
                there += OTHERS_EACH
            for entity, ids in entities.items():
                found = measure_recall(storage, entity, ids)
                said = ", ".join(f"{what} {value}" for what, value in found.items())
                print(f"  {len(ids):,} facts among {there:,} of others: {said}", flush=True)
    finally:
        storage.close()


def main() -> None:
    """Measure each of the named databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help="sqlite, postgresql, mariadb, mongodb")
    parser.add_argument("--url", action="append", default=[], help="an empty database of your own")
    parser.add_argument("--own", type=int, nargs="+", default=[10_000], help="facts of the entity that recalls")
    parser.add_argument(
        "--others", type=int, nargs="+", default=[0, 100_000], help="facts of other entities, ascending"
    )
    given = parser.parse_args()
    for name in given.backends or ([] if given.url else ["sqlite"]):
        with database(name) as url:
            measure(name, url, given.own, given.others)
    for url in given.url:
        measure(url.partition(":")[0], url, given.own, given.others)


if __name__ == "__main__":
    main()
