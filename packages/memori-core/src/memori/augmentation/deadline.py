"""Run an extractor, which is anybody's code, for a bounded time: a call that hangs is abandoned and costs its own jobs.

A batch that fails is taken apart, so that a job costs the others of its call their time once at most; one that
was tried before is in no batch. The jobs whose calls are done go on while others still wait.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from itertools import islice

from ..errors import ExtractionError
from ..model import Proposal
from ..process import on_fork
from ..storage.records import Job
from .extraction.base import Extraction, Extractor, Turn
from .lease import Lease

MOST_FACTS = 200
"""A job's proposals beyond these are not looked at."""

Proposed = Extraction | Exception
_MOST_HANGING = 8
_PATIENCE = 2.0
"""Seconds after which the worker finds somebody to do other work meanwhile."""
_LOOK = 0.25
"""Seconds between looks at whether the jobs are still wanted."""

_hanging: Counter[int] = Counter()
_counting = threading.Lock()


def _after_fork() -> None:
    # The threads that hang are not in the child, nor is the one that may have held the lock.
    global _counting
    _counting = threading.Lock()
    _hanging.clear()


on_fork(_after_fork)


class _Call:
    """One call of an extractor, in a thread that nobody has to wait for."""

    def __init__(self, extractor: Extractor, jobs: Sequence[Job], turns: Mapping[str, Turn], *, seconds: float) -> None:
        self.jobs = jobs
        self._turns = [turns[job.id] for job in jobs]
        self._seconds = seconds
        self.future: Future[list[Extraction] | Exception] = Future()
        self._extractor = extractor
        self._abandoned = False
        with _counting:
            hanging = _hanging[id(extractor)]
        if hanging >= _MOST_HANGING:
            self.deadline = 0.0
            self.future.set_result(
                ExtractionError(
                    f"{hanging} earlier calls of the extractor {extractor.version!r} still hang; it is asked again "
                    "when one of them returns, or after a restart."
                )
            )
            return
        self.deadline = time.monotonic() + seconds
        run = contextvars.Context().run
        threading.Thread(target=run, args=(self._run,), name="memori-extraction", daemon=True).start()

    def ended(self, now: float, lease: Lease) -> bool:
        """Whether it has returned, run out of time, or is wanted no more."""
        return self.future.done() or now >= self.deadline or not any(lease.holds(job) for job in self.jobs)

    def outcome(self) -> list[Extraction] | Exception:
        """What came of it. A call that goes on is abandoned, and counted until it returns."""
        with _counting:
            if self.future.done():
                return self.future.result()
            self._abandoned = True
            _hanging[id(self._extractor)] += 1
        return ExtractionError(
            f"the extractor {self._extractor.version!r} was given up after {self._seconds:g} s; extraction_timeout "
            "says how long it may take"
        )

    def _run(self) -> None:
        outcome: list[Extraction] | Exception
        try:
            found = self._extractor.extract(self._turns)
            if len(found) != len(self._turns):
                raise ExtractionError(f"the extractor answered {len(found)} of {len(self._turns)} turns")
            outcome = [one if isinstance(one, Extraction) else Extraction(_first(one)) for one in found]
        except Exception as error:  # noqa: BLE001 - foreign code; the error stays with the job
            outcome = error
        except BaseException as error:  # noqa: BLE001 - it may try to end its thread, but has to answer
            outcome = ExtractionError(f"{type(error).__name__}: {error}")
        with _counting:
            if self._abandoned:
                _hanging[id(self._extractor)] -= 1
            self.future.set_result(outcome)


def _first(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    return tuple(islice(proposals, MOST_FACTS + 1))


def extract(
    extractor: Extractor, jobs: Sequence[Job], turns: Mapping[str, Turn], lease: Lease, *, seconds: float
) -> Iterator[tuple[Job, Proposed]]:
    """What the extractor finds for each job, or why it doesn't; in the order in which its calls end.

    `turns`: what it is shown of each job, by the job's id.
    Jobs whose lease is lost meanwhile are left out.
    """
    fresh = [job for job in jobs if job.attempt == 1]
    alone = [[job] for job in jobs if job.attempt > 1]
    calls = [_Call(extractor, group, turns, seconds=seconds) for group in ([fresh] if fresh else []) + alone]
    patience = time.monotonic() + _PATIENCE
    with ExitStack() as stalled:
        while calls:
            wait([call.future for call in calls], timeout=_LOOK, return_when=FIRST_COMPLETED)
            now = time.monotonic()
            for call in [call for call in calls if call.ended(now, lease)]:
                calls.remove(call)
                outcome = call.outcome()
                if not isinstance(outcome, Exception):
                    yield from zip(call.jobs, outcome, strict=True)
                elif len(call.jobs) == 1:
                    yield call.jobs[0], outcome
                else:
                    calls += [_Call(extractor, [job], turns, seconds=seconds) for job in call.jobs if lease.holds(job)]
            if calls and now > patience:
                patience = math.inf
                stalled.enter_context(lease.stalled())
