"""What memory adds to a call of a registered client, and how long it holds up an event loop.

`python -m benchmarks.overhead` asks a scripted model on this machine, through OpenAI's SDK, with the client alone and
with memory in four ways, one after the other, as an application has one. Each question is asked of both clients, in
either order; a difference is one within such a pair. After each pair the background work is waited for: a
model would take longer than that. Sentences are those of `benchmarks.recall_scale`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memori import Attribution, Memori
from memori.cli.loopback import LoopbackServer
from memori.settings import Settings
from openai import AsyncOpenAI, OpenAI

from benchmarks.metrics import percentile
from benchmarks.recall_scale import ONE, Setup, fill, queries, sample, timed

Speaker = Attribution | Callable[[], Attribution | None]
SLOW = 0.05
"""Seconds that each call of the slow storage takes longer."""


def ask(client: OpenAI, query: str) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": query}])
    return 1000 * (time.perf_counter() - began)


def memory(setup: Setup, **options: Any) -> Memori:
    """A Memori object on the benchmark's database."""
    cache = str(setup.folder / "cache")
    settings = Settings(database_url=setup.url, cache_dir=cache, **options)
    return Memori(embedder="minilm", extractor="none", settings=settings)


def added(setup: Setup, calls: int) -> Iterator[str]:
    """Rows of a table: milliseconds of the client alone, then what each way of having memory adds."""
    strangers = (Attribution(f"stranger {number}") for number in itertools.count())
    known = f"an entity of {setup.size:,} facts"
    ways: dict[str, tuple[dict[str, Any], Speaker]] = {
        "nobody named: memory is off": ({}, lambda: None),
        "recording alone (`auto_ingest=False`)": ({"auto_ingest": False}, Attribution("recorded")),
        "an entity without memories": ({}, lambda: next(strangers)),
        known: ({}, ONE),
    }
    alone: list[float] = []
    embedding: list[float] = []
    rows = []
    with LoopbackServer() as server, OpenAI(base_url=server.url, api_key="none") as client:
        ask(client, "Warm up.")
        for way, (options, who) in ways.items():
            with memory(setup, **options) as memori, OpenAI(base_url=server.url, api_key="none") as registered:
                memori.llm.register(registered, attribution=who)
                ask(registered, "Warm up.")
                # An index that is built for the first time takes longer than a call waits.
                memori.recall("Warm up.", attribution=ONE)
                differences = []
                with timed(memori) as parts:
                    for number, query in enumerate(queries()[:calls]):
                        parts["embed"].clear()
                        spent = {one: ask(one, query) for one in _in_turns(number, client, registered)}
                        memori.augmentation.wait(60)
                        alone.append(spent[client])
                        differences.append(spent[registered] - spent[client])
                        if way == known:
                            embedding.append(sum(parts["embed"]))
                rows.append(row(f"+ {way}", differences))
        given = sum("memori_context" in str(call.body) for call in server.calls)
    yield row("the client alone", alone)
    yield from rows
    yield row("of it, embedding the question", embedding)
    yield f"| calls that were given memories | {given} of {len(server.calls)} | | |"


def _in_turns(number: int, *clients: OpenAI) -> Sequence[OpenAI]:
    return clients[::-1] if number % 2 else clients


def row(name: str, took: list[float]) -> str:
    """The 10th percentile, which a busy machine disturbs least, the median and the 95th."""
    return f"| {name} | " + " | ".join(f"{percentile(took, share):.1f}" for share in (10, 50, 95)) + " |"


@contextmanager
def slowed(memori: Memori) -> Iterator[None]:
    """Let the storage sleep before each call that a recall or a recording makes."""
    storage: Any = memori.config.storage

    def sleeping(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            time.sleep(SLOW)
            return method(*given, **options)

        return call

    names = ("state", "facts", "append")
    for name in names:
        setattr(storage, name, sleeping(getattr(storage, name)))
    yield
    for name in names:
        delattr(storage, name)


async def stall(server: LoopbackServer, calls: int, memori: Memori | None) -> float:
    """The longest time, in milliseconds, that the event loop did not get round while calls were made."""
    longest, running = 0.0, True

    async def beat() -> None:
        nonlocal longest
        before = time.perf_counter()
        while running:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

    async with AsyncOpenAI(base_url=server.url, api_key="none") as client:
        if memori is not None:
            memori.llm.register(client, attribution=ONE)
        asked = ["warm", *queries()[:calls]]
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": asked.pop(0)}])
        beating = asyncio.create_task(beat())
        for query in asked:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": query}])
        running = False
        await beating
    return 1000 * longest


def stalls(setup: Setup, calls: int) -> Iterator[str]:
    """Rows of a table: the longest stall without memory, and with a large entity in a slow storage."""
    with LoopbackServer() as server, memory(setup) as memori, slowed(memori):
        alone = asyncio.run(stall(server, calls, None))
        remembering = asyncio.run(stall(server, calls, memori))
    yield f"| longest stall of the event loop, the client alone | | | {alone:.1f} |"
    slow = f"storage {1000 * SLOW:.0f} ms slower each call"
    yield f"| the same, an entity of {setup.size:,} facts, {slow} | | | {remembering:.1f} |"


def main() -> None:
    """Print one table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=10_000)
    arguments.add_argument("--sample", type=int, default=2000)
    arguments.add_argument("--calls", type=int, default=100)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="memori-") as folder:
        space = sample(Path(folder), given.sample)
        setup = Setup(Path(folder), given.size, space)
        fill(setup)
        print("| milliseconds | 10th percentile | median | 95th percentile |\n|---|---|---|---|")
        for line in (*added(setup, given.calls), *stalls(setup, min(given.calls, 20))):
            print(line, flush=True)


if __name__ == "__main__":
    main()
