"""`memori worker`: a process of its own that works off the outbox."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from .console import note
from .ingest import Learnt
from .options import Database, opened


def worker(
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            min=1,
            max=64,
            metavar="N",
            help="Threads. More help an extractor that waits for a model; for the local one run more workers.",
        ),
    ] = 1,
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Stop when no job is open, those that wait for another attempt included."),
    ] = False,
    embedder: Annotated[
        str | None, typer.Option("--embedder", metavar="NAME", help="What to embed with.", show_default=False)
    ] = None,
    extractor: Annotated[
        str | None, typer.Option("--extractor", metavar="NAME", help="What proposes facts.", show_default=False)
    ] = None,
    database: Database = None,
) -> None:
    """Learn from what was recorded, as a process of its own; any number may share a database.

    On SIGTERM or Ctrl-C it finishes what is under way, or gives it back to the others after the drain_timeout.
    """
    from ..augmentation.worker import serve
    from ..settings import load

    learnt = Learnt()
    stop = _on_signal()
    with opened(database, None, plugins=[learnt], embedder=embedder, extractor=extractor) as memori:
        note(f"Working for {memori.config.storage.display}.")
        serve(memori.augmentation, concurrency=concurrency, drain=drain, stop=stop, grace=load().drain_timeout)
    typer.echo(f"Stopped. New in memory: {learnt}.")


def _on_signal() -> threading.Event:
    """Set by the first signal to stop; the next one ends the process at once, as ever."""
    stop = threading.Event()

    def first(number: int, _: FrameType | None) -> None:
        for one, default in before.items():
            signal.signal(one, default)
        stop.set()

    before = {one: signal.signal(one, first) for one in (signal.SIGTERM, signal.SIGINT)}
    return stop
