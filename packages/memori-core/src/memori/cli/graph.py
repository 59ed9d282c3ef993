"""`memori graph`: what is known of an entity as a graph, on the terminal or in a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .console import console, count, note, print_json, table, text
from .options import AsOf, Database, Entity, Json, Namespace, opened


def graph(
    entity: Entity,
    around: Annotated[
        str | None, typer.Option("--around", metavar="NODE", help="Only what is near this node.", show_default=False)
    ] = None,
    hops: Annotated[int, typer.Option("--hops", min=1, max=10, help="So many steps from that node.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write it as .mmd (Mermaid), .dot, .graphml, or a picture: .svg, .png, .pdf.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many triples.")] = 1000,
    as_of: AsOf = None,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Show what is known of an entity as a graph: who is what to whom."""
    from ..knowledge.graph import Graph

    with opened(database, namespace) as memori:
        known = memori.graph(entity, as_of=as_of, limit=limit)
    if around is not None:
        known = Graph(known.neighbours(around, hops=hops))
    if out is not None:
        note(f"Written: {known.save(out)} ({count(len(known.nodes), 'node')}, {count(len(known), 'triple')}).")
        return
    if json:
        print_json([asdict(triple) for triple in known])
        return
    shown = table("Subject", "Predicate", "Object", wide="Object")
    for triple in known:
        shown.add_row(text(triple.subject), text(triple.predicate), text(triple.object))
    if known:
        console().print(shown)
    note(f"{count(len(known), 'triple')} of {entity!r}." + (" More with --limit." if len(known) == limit else ""))
