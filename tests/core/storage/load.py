"""One process of a load: threads whose event loops run tasks that record and recall, all on one database.

`python load.py URL NUMBER THREADS TASKS` waits for a line on stdin, works, and prints what went wrong as JSON. The test
that starts it computes what must be stored from the same functions.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

from memori import Attribution, Memori, Message

TURNS = 2
WORDS = ("amber", "basalt", "cobalt", "denim", "ebony", "fuchsia", "garnet", "hazel")
"""A word for each person, which nobody else ever says."""


def history(process: int, thread: int, task: int) -> list[Message]:
    """What one task says to an agent, turn by turn; no two messages of the load are the same."""
    where = f"{WORDS[task]} p{process} t{thread}"
    return [
        message
        for turn in range(TURNS)
        for message in (Message("user", f"{where} asks {turn}"), Message("assistant", f"{where} is answered {turn}"))
    ]


def own_session(process: int, thread: int, task: int) -> Attribution:
    """A session that only one task writes to; the person is shared by every process and thread."""
    return Attribution(f"person-{task}", "bot", f"p{process}-t{thread}")


def shared_session(task: int) -> Attribution:
    """A session of the person that every process and thread writes to at once."""
    return Attribution(f"person-{task}", "bot", "everybody")


def shout(process: int, thread: int, task: int) -> Message:
    """What a task says in the shared session, under a native id."""
    return Message("user", f"{WORDS[task]} p{process} t{thread} shouts", id=f"p{process}-t{thread}")


async def task(memori: Memori, process: int, thread: int, number: int) -> list[str]:
    """Record a growing history, resent with every turn; say one thing twice where others talk; recall."""
    own, shared = own_session(process, thread, number), shared_session(number)
    said = history(process, thread, number)
    for turn in range(1, TURNS + 1):
        await memori.arecord(said[: 2 * turn], attribution=own)
    await memori.arecord(shout(process, thread, number), attribution=shared)
    await memori.arecord(shout(process, thread, number), attribution=shared)
    found = await memori.arecall(" ".join(WORDS), attribution=own.with_session(None), limit=20)
    return [f"{own.entity_id} was given {one.text!r}" for one in found if WORDS[number] not in one.text]


def thread(memori: Memori, process: int, number: int, tasks: int) -> list[str]:
    """One event loop, and its tasks."""

    async def run() -> list[list[str] | BaseException]:
        return await asyncio.gather(*(task(memori, process, number, n) for n in range(tasks)), return_exceptions=True)

    wrong: list[str] = []
    for result in asyncio.run(run()):
        wrong += ["".join(traceback.format_exception(result))] if isinstance(result, BaseException) else result
    return wrong


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url: str, process: int, threads: int, tasks: int) -> None:
    with Memori(url, embedder="hashing", extractor="none") as memori:
        memori.config.storage.build()
        say("ready")
        sys.stdin.readline()
        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(lambda number: thread(memori, process, number, tasks), range(threads))
        wrong = [one for part in found for one in part]
        if not memori.augmentation.wait(timeout=150):
            wrong.append(f"jobs are left: {memori.augmentation.status()}")
    say(json.dumps(wrong))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
