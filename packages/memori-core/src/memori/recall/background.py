"""Long work in short steps, in a thread of its own that stops, or lets a fork pass, between any two of them."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator

from ..process import fork_gate, on_fork

_ending = threading.Event()
_threads: set[threading.Thread] = set()
_END = object()


def in_background(
    steps: Generator[None, None, None],
    *,
    wanted: Callable[[], bool],
    failed: Callable[[Exception], None],
    begin: Callable[[], None],
) -> threading.Thread:
    """Run the steps in a thread until they end, or are no longer `wanted`, or the process ends; return the thread.

    No fork falls into a step: the locks of the numerical libraries are free in the child. `begin` is called first.
    The steps are closed at the end, so what they clean up in a `finally` is cleaned up.
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
            steps.close()
            _threads.discard(thread)

    thread = threading.Thread(target=run, name="memori-index", daemon=True)
    _threads.add(thread)
    try:
        thread.start()
    except RuntimeError as error:
        # The system has no more threads to give, or the interpreter is ending.
        _threads.discard(thread)
        failed(error)
    return thread


def _end() -> None:
    # A thread of the interpreter's end must not come back from the numerical libraries when there is no interpreter.
    _ending.set()
    for thread in tuple(_threads):
        thread.join()


def _after_fork() -> None:
    _threads.clear()


atexit.register(_end)
on_fork(_after_fork)
