"""`memori reindex`: embed what is stored with another embedder, while the application runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from .console import count, note, progress, seconds
from .options import AnyEntity, Database, Namespace, opened


def reindex(
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder", metavar="NAME", help="What to embed with. Without it: the one configured.", show_default=False
        ),
    ] = None,
    entity: AnyEntity = None,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Delete the vectors of other embedders.")] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, max=10_000, help="So many facts commit together.")] = 256,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Embed every memory with another embedder. May be stopped at any time and goes on where it was."""
    began = time.perf_counter()
    with opened(database, namespace, embedder=embedder) as memori, progress() as bars:
        bar = bars.add_task("Embedding", total=0, unit="facts")
        try:
            done = memori.reindex(
                entity_id=entity,
                drop_old=drop_old,
                batch=batch,
                progress=lambda so_far, total: bars.update(bar, completed=so_far, total=total),
            )
        except KeyboardInterrupt:
            note("Interrupted. What was embedded is stored; go on with the same command.")
            raise
    took = seconds(time.perf_counter() - began)
    of = count(done.entities, "entity", "entities")
    typer.echo(f"{count(done.facts, 'fact')} of {of} embedded in {took}. Active space: {done.space}.")
