"""What a recall takes as an entity's memories grow, part by part, through the `Memori` facade.

`python -m benchmarks.recall_scale --sizes 1000 10000 100000` makes an SQLite database for each size: one entity of so
many facts, and as many again, up to 100,000, of entities with 100 each. Every measurement has a process of its own, so
that memory is told apart. Sentences are generated; the first `--sample` are embedded with the default embedder, the
rest of the vectors are mixtures of those (see `benchmarks/sentences.py`). Queries are other such sentences, embedded
when asked.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from memori import Attribution, Memori
from memori.embedding.base import Embedder, Space
from memori.embedding.onnx import MiniLMEmbedder
from memori.keys import new_key
from memori.model import Fact
from memori.recall.entity_index import EntityIndex
from memori.recall.index.faiss import FaissIndex
from memori.recall.index.words import WordIndex, highest
from memori.settings import Settings
from memori.storage.records import FactChanges, NewFact, StorageOptions, Turn
from memori.storage.sql.storage import SQLStorage
from memori.text import fold, terms
from numpy.typing import NDArray

from benchmarks.metrics import percentile
from benchmarks.sentences import embedded, sentences, spread

ONE = Attribution("one", "benchmark", namespace="default")
EACH = 100
"""Facts of each of the many entities."""
QUERIES = 200
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
BATCH = 1000
PARTS = ("embed", "vector", "lexical", "storage")


@dataclass(frozen=True)
class Setup:
    """Where one size's database, saved indexes and sample of vectors are."""

    folder: Path
    size: int
    space: Space

    @property
    def url(self) -> str:
        """The database."""
        return f"sqlite:///{self.folder / f'{self.size}.db'}"

    def memori(self) -> Memori:
        """A new Memori object on it."""
        settings = Settings(database_url=self.url, cache_dir=str(self.folder / f"{self.size}-cache"))
        return Memori(embedder="minilm", extractor="none", settings=settings)


def many(setup: Setup) -> list[Attribution]:
    """The small entities."""
    count = min(setup.size, 100_000) // EACH
    return [Attribution(f"small {n}", "benchmark", namespace="default") for n in range(count)]


def fill(setup: Setup) -> float:
    """Write the facts; return how many went in a second."""
    began = time.perf_counter()
    storage = SQLStorage(setup.url, StorageOptions())
    owners = [(ONE, BATCH)] * (setup.size // BATCH) + [(who, EACH) for who in many(setup)]
    vectors = spread(np.load(setup.folder / "sample.npy"), sum(count for _, count in owners))
    said = sentences()
    written = 0
    for who, count in owners:
        if who is not ONE or not written:
            storage.append(who, Turn((), resent=0, now=BEGAN, conversation_id=None, join_recent=False))
        facts = tuple(
            new_fact(next(said), vectors[written + n : written + n + 1], written + n, setup.size) for n in range(count)
        )
        storage.apply(who, FactChanges(facts, space=setup.space), expected=None, now=BEGAN)
        written += count
    storage.close()
    return written / (time.perf_counter() - began)


def new_fact(text: str, vector: NDArray[np.float32], number: int, size: int) -> NewFact:
    """A fact as the pipeline would hand it over, said on a day of the last year."""
    said_at = BEGAN - timedelta(days=365 * number / size)
    fact = Fact(id=new_key(), text=text, kind="fact", said_at=said_at)
    return NewFact(fact, " ".join(terms(text)), fold(text).encode().hex()[:64], vector)


@contextmanager
def timed(memori: Memori) -> Iterator[dict[str, list[float]]]:
    """Milliseconds that each part took, call by call, while inside."""
    took: dict[str, list[float]] = defaultdict(list)
    storage, embedder = memori.config.storage, memori.embedder
    places: list[tuple[str, Any, str]] = [
        ("embed", embedder, "embed_query"),
        ("vector", EntityIndex, "nearest"),
        ("lexical", WordIndex, "scores"),
        *(("storage", storage, name) for name in ("state", "changes_since", "facts")),
    ]
    before = [(place, name, getattr(place, name)) for _, place, name in places]
    for part, place, name in places:
        setattr(place, name, _timing(getattr(place, name), took[part]))
    try:
        yield took
    finally:
        for place, name, method in before:
            setattr(place, name, method)


def _timing(method: Callable[..., Any], took: list[float]) -> Callable[..., Any]:
    def call(*given: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*given, **options)
        finally:
            took.append(1000 * (time.perf_counter() - began))

    return call


def queries() -> list[str]:
    """Sentences that nobody said, without their number."""
    return [said.partition(" (")[0] for said in itertools.islice(sentences(seed=99), QUERIES)]


def resident() -> float:
    """MiB of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def spread_of(took: list[float]) -> str:
    """Median, 95th and 99th percentile."""
    return " / ".join(f"{percentile(took, share):.2f}" for share in (50, 95, 99))


def ask(memori: Memori, entities: list[Attribution]) -> tuple[list[float], dict[str, list[float]]]:
    """How long each query took with one entity after the other, and the parts of it, in milliseconds."""
    whole: list[float] = []
    parts: dict[str, list[float]] = {part: [] for part in (*PARTS, "fusion")}
    with timed(memori) as took:
        for query, who in zip(queries(), itertools.cycle(entities), strict=False):
            for calls in took.values():
                calls.clear()
            began = time.perf_counter()
            memori.recall(query, attribution=who, limit=10)
            whole.append(1000 * (time.perf_counter() - began))
            spent = {part: sum(took[part]) for part in PARTS}
            for part, milliseconds in spent.items():
                parts[part].append(milliseconds)
            parts["fusion"].append(whole[-1] - sum(spent.values()))
    return whole, parts


def cold(setup: Setup) -> dict[str, str]:
    """The first recall, which builds; then recalls in a row; and what the approximate index misses."""
    memori = setup.memori()
    memori.embedder.embed(["the model is loaded"])
    before, began = resident(), time.perf_counter()
    memori.recall("warm", attribution=ONE)
    first = time.perf_counter() - began
    index = memori._recall._cache.current(memori.config.storage, ONE, setup.space)
    vectors = index.vectors
    assert isinstance(vectors, FaissIndex)
    waited = vectors.wait(1200)
    trained = time.perf_counter() - began
    saved = memori._recall._cache._saved
    assert saved is not None
    saved.close(timeout=600)
    whole, parts = ask(memori, [ONE])
    after = resident()
    asked = [memori.embedder.embed_query(query) for query in queries()]
    exact = FaissIndex(setup.space.dimension, approximate_from=10**9)
    exact.put(np.arange(setup.size), vectors.get(np.arange(setup.size)))
    missed = [
        len(set(vectors.search(one, 10)[0].tolist()) & set(exact.search(one, 10)[0].tolist())) / 10 for one in asked
    ]
    searches = _searches(lambda one: vectors.search(one, 50), asked)
    exactly = _searches(lambda one: exact.search(one, 50), asked)
    memori.close()
    return {
        "first recall, built": f"{first:.2f} s",
        "partitions ready after": f"{trained:.1f} s" if vectors.approximate and waited else "exact",
        "recall": spread_of(whole),
        **{f"- {part}": spread_of(took) for part, took in parts.items()},
        "index search, 50 of it": spread_of(searches),
        "the same, exact": spread_of(exactly),
        "recall@10 against exact": f"{np.mean(missed):.4f}",
        "memory": f"{after - before:.0f} MiB",
    }


def restored(setup: Setup) -> dict[str, str]:
    """The first recall of a process that finds the saved index, and its memory."""
    memori = setup.memori()
    memori.embedder.embed(["the model is loaded"])
    before, began = resident(), time.perf_counter()
    memori.recall("warm", attribution=ONE)
    first = time.perf_counter() - began
    ask(memori, [ONE])
    after = resident()
    memori.close()
    return {"first recall, saved index": f"{first:.2f} s", "memory, saved index": f"{after - before:.0f} MiB"}


def small(setup: Setup) -> dict[str, str]:
    """Recalls of many small entities: each for the first time, then again."""
    memori = setup.memori()
    memori.embedder.embed(["the model is loaded"])
    entities = many(setup)[:QUERIES]
    first, _ = ask(memori, entities)
    again, _ = ask(memori, entities)
    memori.close()
    return {f"{EACH} facts, first time": spread_of(first[: len(entities)]), f"{EACH} facts, again": spread_of(again)}


def flat(setup: Setup) -> dict[str, str]:
    """An exact FAISS index of 768 dimensions by Euclidean distance, as large."""
    import faiss

    random = np.random.default_rng(7)
    index = faiss.IndexFlatL2(768)
    for start in range(0, setup.size, 10_000):
        index.add(random.standard_normal((min(10_000, setup.size - start), 768), dtype=np.float32))
    asked = list(random.standard_normal((50, 768), dtype=np.float32))
    return {"IndexFlatL2, 768-d, 50 of it": spread_of(_searches(lambda one: index.search(one[np.newaxis], 50), asked))}


def index_alone(setup: Setup) -> dict[str, str]:
    """Vectors and words of one entity, without a database."""
    dimension = setup.space.dimension
    vectors = spread(np.load(setup.folder / "sample.npy"), setup.size)
    index = FaissIndex(dimension)
    began = time.perf_counter()
    index.put(np.arange(setup.size), vectors)
    index.wait(3000)
    trained = time.perf_counter() - began
    embedder: Embedder = MiniLMEmbedder()
    asked = [embedder.embed_query(query) for query in queries()]
    found = [index.search(one, 10)[0] for one in asked]
    truth = [np.argpartition(vectors @ one, -10)[-10:] for one in asked]
    missed = [len(set(some.tolist()) & set(all_.tolist())) / 10 for some, all_ in zip(found, truth, strict=True)]
    searches = _searches(partial(index.search, limit=50), asked)
    few = np.arange(setup.size) % 10 == 0
    filtered = _searches(partial(index.search, limit=50, allowed=few), asked)
    del vectors, index
    lexical = WordIndex()
    for said in itertools.islice(sentences(), setup.size):
        lexical.add(terms(said))
    took = []
    for query in queries():
        began = time.perf_counter()
        highest(lexical.scores(terms(query)), 50)
        took.append(1000 * (time.perf_counter() - began))
    return {
        "partitions ready after": f"{trained:.1f} s",
        "- lexical": spread_of(took),
        "index search, 50 of it": spread_of(searches),
        "the same, a tenth allowed": spread_of(filtered),
        "recall@10 against exact": f"{np.mean(missed):.4f}",
    }


def _searches(search: Callable[[NDArray[np.float32]], object], asked: list[NDArray[np.float32]]) -> list[float]:
    took: list[float] = []
    timing = _timing(search, took)
    for one in asked:
        timing(one)
    return took


def sample(folder: Path, count: int) -> Space:
    """Embed the sample that every size's vectors are made from."""
    embedder: Embedder = MiniLMEmbedder()
    np.save(folder / "sample.npy", embedded(embedder, sample=count))
    return embedder.space


def main() -> None:
    """Print a table, a column for each size."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    arguments.add_argument("--sample", type=int, default=10_000)
    arguments.add_argument("--index-only", action="store_true", help="vectors and words without a database")
    given = arguments.parse_args()
    columns: list[dict[str, str]] = []
    with (
        tempfile.TemporaryDirectory(prefix="memori-") as folder,
        multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as alone,
    ):
        space = alone.apply(sample, (Path(folder), given.sample))
        for size in given.sizes:
            setup = Setup(Path(folder), size, space)
            column = {}
            if not given.index_only:
                column["facts written a second"] = f"{alone.apply(fill, (setup,)):.0f}"
            for part in (index_alone, flat) if given.index_only else (cold, restored, small, flat):
                column |= alone.apply(part, (setup,))
            columns.append(column)
            print(f"{size}: {column}", flush=True)
    print("| | " + " | ".join(f"{size:,}" for size in given.sizes) + " |")
    print("|---|" + "---|" * len(columns))
    for name in dict.fromkeys(itertools.chain(*columns)):
        print(f"| {name} | " + " | ".join(column.get(name, "") for column in columns) + " |")


if __name__ == "__main__":
    main()
