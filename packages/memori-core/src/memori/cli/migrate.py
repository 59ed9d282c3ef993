"""`memori migrate`: create or migrate the tables, or show the SQL that would."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import note
from .options import Database


def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Print the SQL that is to be run, and run nothing.")] = False,
    database: Database = None,
) -> None:
    """Create the tables, or bring them to this version. It may run while applications start, and again."""
    from ..client import Memori
    from ..settings import load

    # Whatever the applications may do by themselves, here somebody asks for it.
    settings = load().model_copy(update={"migrate": "auto", "drain_timeout": 0.0})
    with Memori(database, settings=settings) as memori:
        storage = memori.config.storage
        todo = storage.plan()
        if plan and todo:
            typer.echo(todo)
            return
        if todo:
            storage.build()
        note(f"{storage.display}: {'the tables are ready' if todo else 'nothing to do'}.")
