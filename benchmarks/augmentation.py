"""What learning costs: messages a second, how soon they can be recalled, and what `record` feels of it, on SQLite.

`python -m benchmarks.augmentation` records two-message turns of everyday English for twenty people and learns from
them with the default extractor and embedder, in three ways: by the worker thread of the process that records, by one
`memori worker` beside it, and by two. Every process is started and has loaded its models before anything is timed.
Where Linux tells how long a thread was ready and waited for a processor, that is printed too: on a machine that is
busy with other things it is most of the time.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from memori import Attribution, Memori
from memori.settings import load

from benchmarks.metrics import percentile

PEOPLE = 20
SAID = (
    ("I moved to Lisbon last week, and the flat is still full of boxes.", "How nice! What brings you there?"),
    ("I work as a data engineer at a bakery chain now.", "That sounds like fresh bread every day."),
    ("My daughter Mia loves to draw whales. She is seven years old.", "What a lovely hobby. Does she paint, too?"),
    ("Can you remind me what we said about the trip to Norway?", "You wanted to take the night train in March."),
    ("I used to play the violin, but I sold it two years ago.", "Do you miss it sometimes?"),
    ("My sister Ana is getting married to Tom in June.", "Congratulations to both of them!"),
    ("I prefer short answers, by the way, and no bullet points.", "All right."),
    ("We had dinner with Peter yesterday, he is no longer at Siemens.", "What does he do now?"),
)


def turn(number: int) -> list[tuple[str, str]]:
    """A question and an answer that no other turn has."""
    asked, answered = SAID[number % len(SAID)]
    return [("user", f"{asked} That is note {number}."), ("assistant", answered)]


def person(number: int) -> Attribution:
    """Whom a turn is about."""
    return Attribution(f"person {number % PEOPLE}", "bot", f"session {number % PEOPLE}")


@contextmanager
def workers(url: str, number: int) -> Iterator[list[int]]:
    """So many `memori worker` processes; their process ids."""
    environment = {**os.environ, "MEMORI_CACHE_DIR": "off"}
    command = [sys.executable, "-m", "memori", "worker", "--database", url]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(number)
    ]
    try:
        yield [one.pid for one in running]
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)


@contextmanager
def memory(others: int) -> Iterator[tuple[Memori, list[int]]]:
    """A memory on a file of its own, the processes that learn, and everything loaded."""
    with tempfile.TemporaryDirectory(prefix="memori-") as folder:
        url = f"sqlite:///{folder}/memory.db"
        settings = load(cache_dir="off", drain_timeout=0.0)
        with Memori(url, settings=settings) as memori:
            memori.config.storage.build()
            if others:
                memori.augmentation._wake = lambda: None  # type: ignore[method-assign]
            with workers(url, others) as processes:
                for number in range(10 * max(1, others)):
                    memori.record(turn(-1 - number), attribution=person(number))
                finished(memori)
                memori.recall("Where does she live?", attribution=person(0))
                yield memori, processes or [os.getpid()]


def finished(memori: Memori) -> None:
    """Wait for every job, asking seldom."""
    while memori.config.storage.open_jobs(None):
        time.sleep(0.05)


def milliseconds(call: Callable[[], object]) -> tuple[float, float]:
    """How long it took, and how much of that this thread waited for a processor."""
    queued, began = _queued(), time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began), _queued() - queued


def _queued() -> float:
    status = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    return int(status.read_text().split()[1]) / 1e6 if status.exists() else 0.0


def processor_seconds(processes: Sequence[int]) -> float:
    """What the processes have used so far; 0 where that can't be told."""
    used = 0
    for process in processes:
        status = Path(f"/proc/{process}/stat")
        if status.exists():
            used += sum(map(int, status.read_text().rpartition(")")[2].split()[11:13]))
    return used / os.sysconf("SC_CLK_TCK") if used else 0.0


def throughput(memori: Memori, turns: int, processes: Sequence[int]) -> str:
    """Messages learnt from a second, and a second of a processor, from when all were recorded to an empty outbox."""
    for number in range(turns):
        memori.record(turn(number), attribution=person(number))
    began, used = time.perf_counter(), processor_seconds(processes)
    left = 2 * len(memori.config.storage.open_jobs(None))
    finished(memori)
    took, used = time.perf_counter() - began, processor_seconds(processes) - used
    return f"{left / took:.1f} messages a second" + (f", {left / used:.1f} a second of a processor" if used else "")


def recallable(memori: Memori, turns: int) -> list[float]:
    """Milliseconds from the call of `record` until the turn has been learnt from, with nothing else to do."""
    took = []
    for number in range(turns):
        time.sleep(0.05)
        began = time.perf_counter()
        receipt = memori.record(turn(100_000 + number), attribution=person(number))
        while memori.config.storage.job_states([receipt.job_id or ""]) != {receipt.job_id: "done"}:
            time.sleep(0.002)
        took.append(1000 * (time.perf_counter() - began))
    return took


def record(memori: Memori, calls: int, *, busy: bool) -> list[tuple[float, float]]:
    """Milliseconds that each call of `record` took, twenty a second, while there is much, or nothing, to learn."""
    if busy:
        for number in range(calls):
            memori.record(turn(200_000 + number), attribution=person(number))
    took = []
    for number in range(calls):
        time.sleep(0.05)
        if not busy:
            finished(memori)
        elif not memori.config.storage.open_jobs(None):
            raise RuntimeError("the worker had nothing left to do: raise the number of turns")
        said, who = turn(300_000 + number), person(number)
        took.append(milliseconds(lambda said=said, who=who: memori.record(said, attribution=who)))  # type: ignore[misc]
    finished(memori)
    return took


def spread(took: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"p50 {percentile(took, 50):.1f} ms, p95 {percentile(took, 95):.1f} ms"


def resident(process: int) -> str:
    """The most memory a process held, or that it can't be told here."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return f"{int(found[1]) / 1024:,.0f} MiB" if found else "unknown"


def main() -> None:
    """Measure the three ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=300, help="two-message turns that are learnt from")
    parser.add_argument("--calls", type=int, default=100, help="calls of record that are timed, and turns recalled")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2], help="0 is the thread beside record")
    given = parser.parse_args()
    for others in given.workers:
        with memory(others) as (memori, processes):
            print(f"\n{f'{others} memori worker' if others else 'the worker thread'}{'s' * (others > 1)}")
            print(f"  learnt from: {throughput(memori, given.turns, processes)}")
            print(f"  record to recallable: {spread(recallable(memori, given.calls))}")
            for busy in (False, True):
                took = record(memori, given.calls, busy=busy)
                alone = [whole - queued for whole, queued in took]
                print(f"  record, {'while busy' if busy else 'nothing to learn'}: {spread([one for one, _ in took])}")
                print(f"    without waiting for a processor: {spread(alone)}")
            print(f"  most memory held: {', '.join(resident(one) for one in processes)}", flush=True)


if __name__ == "__main__":
    main()
