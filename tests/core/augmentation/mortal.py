"""Four worker processes on one database, one of which is killed at a step of its work. Prints what came of it.

`python mortal.py URL`: for every step one line of JSON. The workers are forked from a process that has no threads, so
that a round costs no start of Python.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

from memori import Attribution, Memori, Message
from memori.augmentation.extraction.base import Extractor, Turn
from memori.augmentation.worker import serve
from memori.model import Proposal
from memori.settings import load
from memori.storage.records import Job, StorageOptions
from memori.storage.records import Turn as Said
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import event

STEPS = ("before the lease", "after the lease", "in the extractor", "before the commit", "after the commit")
ENTITIES, EACH = 3, 4
_SURVIVORS = 3


class Mortal(SQLStorage):
    """Ends its process at a step."""

    step = ""
    ready = -1

    def lease(self, **options: Any) -> list[Job]:
        if self.step == "before the lease":
            self.die()
        jobs = super().lease(**options)
        if self.step == "after the lease":
            self.die()
        return jobs

    def complete(self, *args: Any, **options: Any) -> Any:
        if self.step == "before the commit":
            event.listen(self._database._engine, "commit", lambda connection: self.die())
        done = super().complete(*args, **options)
        if self.step == "after the commit":
            self.die()
        return done

    def die(self) -> NoReturn:
        os.write(self.ready, b"." * _SURVIVORS)
        time.sleep(0.2)  # the others are at work meanwhile
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed")


class Learner(Extractor):
    """Learns one fact of a message, which is the message."""

    version = "learner/1"

    def __init__(self, storage: SQLStorage) -> None:
        super().__init__()
        self.storage = storage

    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        if isinstance(self.storage, Mortal) and self.storage.step == "in the extractor":
            self.storage.die()
        return [
            [Proposal(f"fact: {one.message.content}", "fact", at) for at, one in enumerate(turn.messages)]
            for turn in turns
        ]


def work(storage: SQLStorage) -> NoReturn:
    """Be a worker until no job is open."""
    signal.alarm(100)
    settings = load(lease_seconds=1.0, max_attempts=100, cache_dir="off")
    with Memori(storage, embedder="hashing", extractor=Learner(storage), settings=settings) as memori:
        memori.augmentation.batch = 2
        serve(memori.augmentation, concurrency=1, drain=True, stop=threading.Event(), grace=5)
    os._exit(0)


def fork(storage: SQLStorage, wait_for: int | None) -> int:
    """Start a worker, which first waits for a byte to read."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            if wait_for is not None:
                os.read(wait_for, 1)
            work(storage)
        os._exit(1)
    return child


def round_of(url: str, step: str) -> dict[str, Any]:
    """Record, let the workers work with one being killed, and look at what is stored."""
    entities = [Attribution(f"{step} {number}", "bot", "s", "crash") for number in range(ENTITIES)]
    storage = SQLStorage(url, StorageOptions())
    for number in range(EACH):
        for who in entities:
            said = (Message("user", f"{who.entity_id}, message {number}"),)
            storage.append(who, Said(said, resent=0, now=datetime.now(UTC)))
    storage.close()
    gate, ready = os.pipe()
    mortal = Mortal(url, StorageOptions())
    mortal.step, mortal.ready = step, ready
    survivors = [fork(SQLStorage(url, StorageOptions()), gate) for _ in range(_SURVIVORS)]
    killed = os.waitpid(fork(mortal, None), 0)[1]
    ends = [os.waitpid(child, 0)[1] for child in survivors]
    storage = SQLStorage(url, StorageOptions())
    found = [fact for who in entities for fact in storage.facts(who, statuses=())]
    states = [job.state for who in entities for job in storage.jobs(who)]
    storage.close()
    return {
        "step": step,
        "killed": os.WIFSIGNALED(killed) and os.WTERMSIG(killed) == signal.SIGKILL,
        "survivors": ends,
        "facts": sorted(fact.text for fact in found if fact.kind == "fact"),
        "episodes": sorted(fact.text for fact in found if fact.kind == "episode"),
        "mentions": sorted({fact.mentions for fact in found}),
        "states": states,
    }


def warm_up() -> None:
    """Import here what the workers would otherwise import one by one; no thread is left."""
    storage = SQLStorage("sqlite://", StorageOptions())
    with Memori(storage, embedder="hashing", extractor=Learner(storage)) as memori:
        memori.augmentation._wake = lambda: None  # type: ignore[method-assign]
        memori.record([("user", "hello")], attribution=Attribution("ada"))
        memori.augmentation._work()


if __name__ == "__main__":
    warm_up()
    for name in STEPS:
        sys.stdout.write(json.dumps(round_of(sys.argv[1], name)) + "\n")
        sys.stdout.flush()
