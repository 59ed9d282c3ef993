"""Training in short steps, in a thread of its own that stops, or lets a fork pass, between any two of them."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from ...process import fork_gate, on_fork

STEP = 2048
"""Vectors that one step looks at: a tenth of a second at most."""

_ending = threading.Event()
_threads: set[threading.Thread] = set()


def clusters(
    sample: NDArray[np.float32], count: int, *, rounds: int = 6, seed: int = 7
) -> Generator[None, None, NDArray[np.float32]]:
    """Spherical k-means: return `count` unit centres of the sample, shape (count, dimension).

    It yields between steps. A centre that no vector chose becomes one of the vectors (Dhillon and Modha, 2001).
    """
    random = np.random.default_rng(seed)
    centres = sample[random.choice(len(sample), count, replace=False)]
    for _ in range(rounds):
        sums = np.zeros_like(centres)
        chosen = np.zeros(count, dtype=np.int64)
        for start in range(0, len(sample), STEP):
            vectors = sample[start : start + STEP]
            nearest = (vectors @ centres.T).argmax(axis=1)
            order = np.argsort(nearest, kind="stable")
            labels, starts = np.unique(nearest[order], return_index=True)
            sums[labels] += np.add.reduceat(vectors[order], starts)
            chosen += np.bincount(nearest, minlength=count)
            yield
        lost = np.flatnonzero(chosen == 0)
        sums[lost] = sample[random.integers(len(sample), size=len(lost))]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return centres


def in_background(
    steps: Iterator[None], *, wanted: Callable[[], bool], failed: Callable[[Exception], None], begin: Callable[[], None]
) -> None:
    """Run the steps in a thread until they end, or are no longer `wanted`, or the process ends.

    No fork falls into a step: the locks of the numerical libraries are free in the child. `begin` is called first.
    """

    def run() -> None:
        try:
            begin()
            while wanted() and not _ending.is_set():
                with fork_gate:
                    if next(steps, _END) is _END:
                        break
        except Exception as error:  # noqa: BLE001 - whoever asked for it goes on without
            failed(error)
        finally:
            _threads.discard(thread)

    thread = threading.Thread(target=run, name="memori-index", daemon=True)
    _threads.add(thread)
    thread.start()


_END = object()


def _end() -> None:
    # A thread of the interpreter's end must not come back from the numerical libraries when there is no interpreter.
    _ending.set()
    for thread in tuple(_threads):
        thread.join()


def _after_fork() -> None:
    _threads.clear()


atexit.register(_end)
on_fork(_after_fork)
