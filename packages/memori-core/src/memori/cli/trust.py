"""Commands that say what to trust: review, revert, diff."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, time
from typing import Annotated

import typer

from .console import console, count, day, note, print_json, table, text
from .options import Database, Entity, Json, Namespace, moment, opened
from .search import must_be_known


def review(
    entity: Entity,
    approve: Annotated[
        list[str] | None, typer.Option("--approve", metavar="ID", help="Trust this fact.", show_default=False)
    ] = None,
    reject: Annotated[
        list[str] | None, typer.Option("--reject", metavar="ID", help="Never look at it again.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the newest.")] = 100,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """List what waits for review, or decide about it."""
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        for fact_id in approve or []:
            note(f"Approved: {memori.approve(fact_id).text}")
        for fact_id in reject or []:
            memori.reject(fact_id)
            note(f"Rejected: {fact_id}")
        if approve or reject:
            return
        found = memori.review(limit=limit)
        if not found:
            must_be_known(memori, entity)
    if json:
        print_json([asdict(fact) for fact in found])
        return
    if found:
        shown = table("From", "Kind", "Claim", "Said", "Id", whole=("Id",), wide="Claim")
        for fact in found:
            when = day(fact.said_at or fact.created_at)
            shown.add_row(text(fact.source), text(fact.kind), text(fact.text), text(when), text(fact.id))
        console().print(shown)
    note(f"{count(len(found), 'fact')} of {entity!r} to review. Decide with --approve ID or --reject ID.")


def revert(
    source: Annotated[
        str, typer.Argument(help="A message's, conversation's (document's) or session's id.", show_default=False)
    ],
    entity: Entity,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Take back all that a message, document or session brought in. The messages stay."""
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        done = memori.revert(source)
    if json:
        print_json(asdict(done))
        return
    for what, facts in (("Retired", done.retired), ("Back", done.restored)):
        for fact in facts:
            if fact.kind != "episode":
                note(f"{what}: {fact.text}")
    said = count(done.messages, "message")
    note(f"{count(len(done.retired), 'memory', 'memories')} of {said} retired, {len(done.restored)} brought back.")


def _start(value: str) -> datetime:
    """The time an option names; a day means its start."""
    found = moment(value)
    return datetime.combine(found, time.min, found.tzinfo) if len(value.strip()) <= len("2026-05-08") else found


def diff(
    entity: Entity,
    since: Annotated[
        datetime,
        typer.Option("--from", parser=_start, metavar="DATE", help="After this; a day means its start, in UTC."),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(
            "--to", parser=moment, metavar="DATE", help="Up to this, or now; a day means its end.", show_default=False
        ),
    ] = None,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Show what began and what ceased to be so between two times."""
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        try:
            found = memori.diff(since, until)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if not found:
            must_be_known(memori, entity)
    if json:
        print_json([asdict(one) for one in found])
        return
    if found:
        shown = table("When", "", "Fact", wide="Fact")
        for one in found:
            after = f" → {one.by.text}" if one.by else ""
            sign = "+" if one.what == "began" else "-"
            shown.add_row(text(day(one.at)), text(sign), text(f"{one.fact.text}{after}"))
        console().print(shown)
    note(f"{count(len(found), 'change')} of what is known of {entity!r}.")
