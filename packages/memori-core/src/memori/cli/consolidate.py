"""`memori consolidate`: do now what the worker does every six hours."""

from __future__ import annotations

from dataclasses import asdict

import typer

from .console import count, print_json
from .options import AnyEntity, Database, Json, Namespace, opened


def consolidate(
    entity: AnyEntity = None, json: Json = False, database: Database = None, namespace: Namespace = None
) -> None:
    """Put what stands out of an entity's memory at hand, and expire what outlived its retention."""
    with opened(database, namespace) as memori:
        done = memori.consolidate(entity_id=entity)
    if json:
        print_json(asdict(done))
        return
    typer.echo(
        f"{count(done.entities, 'entity', 'entities')}: {count(done.promoted, 'fact')} into the short-term tier, "
        f"{done.demoted:,} out of it, {done.expired:,} expired."
    )
