"""Commands that look into one entity's memory: recall, facts, forget."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ..errors import IdentityError
from ..model import KINDS, Fact, FactStatus, Kind, Recalled
from .console import console, count, day, note, print_json, table, text
from .options import AsOf, Database, Entity, Json, Namespace, opened, place

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ..client import Memori


def recall(
    question: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    entity: Entity,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many memories.")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")] = False,
    as_of: AsOf = None,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Show the memories that answer a question, best first."""
    if not question.strip():
        raise typer.BadParameter("the question is blank; write what to look for in quotes.")
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        found = memori.recall(question, limit=limit, as_of=as_of, explain=explain)
        waiting = memori.augmentation.status().pending
        if not found:
            must_be_known(memori, entity)
    if json:
        print_json([_as_json(one, explain=explain) for one in found])
    elif not found:
        note(f"Nothing that {entity!r} said answers this.")
    else:
        _show(found, explain=explain)
    if waiting:
        note(f"{count(waiting, 'job')} of {entity!r} not yet learnt from. Work them off with: memori retry")


def facts(
    entity: Entity,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help=f"Only these: {', '.join(KINDS)}.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Superseded, quarantined and forgotten ones too.")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="Show the ids that `memori forget` takes.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the newest.")] = 100,
    as_of: AsOf = None,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """List what is known of an entity, newest first."""
    kinds = _kinds(kind or [])
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        statuses: tuple[FactStatus, ...] = get_args(FactStatus) if every else ("active",)
        found = memori.facts(kinds=kinds or None, statuses=statuses, as_of=as_of, limit=limit)
        if not found:
            must_be_known(memori, entity)
    if json:
        print_json([asdict(fact) for fact in found])
        return
    columns = ["Kind", "Fact", "Valid from", *(["Status"] if every else []), *(["Id"] if ids else [])]
    shown = table(*columns, whole=("Id",), wide="Fact")
    for fact in found:
        cells = [text(fact.kind), text(fact.text), text(day(fact.valid_from or fact.said_at))]
        shown.add_row(*cells, *([text(fact.status)] if every else []), *([text(fact.id)] if ids else []))
    if found:
        console().print(shown)
    note(f"{count(len(found), 'fact')} of {entity!r}." + (" More with --limit." if len(found) == limit else ""))


def forget(
    fact_id: Annotated[str, typer.Argument(metavar="ID", help="From `memori facts --ids`.", show_default=False)],
    entity: Entity,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Never return a fact again. It stays in the database as history."""
    with opened(database, namespace) as memori:
        memori.attribution(entity)
        memori.forget(fact_id)
    note(f"Forgotten: {fact_id}")


def _kinds(named: list[str]) -> list[Kind]:
    found: list[Kind] = [kind for kind in KINDS if kind in named]
    unknown = sorted(set(named) - set(found))
    if unknown:
        raise typer.BadParameter(f"unknown kind {unknown[0]!r}; kinds are {', '.join(KINDS)}.")
    return found


def must_be_known(memori: Memori, entity: str) -> None:
    """Nothing found of somebody unknown is more likely a mistyped id than an answer."""
    known = memori.conversations(limit=1) or memori.facts(kinds=KINDS, statuses=get_args(FactStatus), limit=1)
    if not known:
        raise IdentityError(
            f"Nothing is stored about an entity {entity!r} in {place(memori)}. Ids are exact, case included; "
            "--namespace and --database say where to look."
        )


def _show(found: list[Recalled], *, explain: bool) -> None:
    shown = table("Score", "Said", "Kind", "Memory", numbers=("Score",), wide="Memory")
    for one in found:
        fact = one.fact
        shown.add_row(f"{one.score:.3f}", day(fact.said_at or fact.created_at), fact.kind, _memory(fact))
    console().print(shown)
    if explain:
        console().print()
        console().print(_parts(found))


def _parts(found: list[Recalled]) -> Table:
    """What each score is made of, a line for each memory in the order shown; parts that none has are left out."""
    names = [name for name in found[0].parts if any(one.parts.get(name) for one in found)]
    shown = table("Score", *names, numbers=("Score", *names))
    for one in found:
        shown.add_row(f"{one.score:.3f}", *(f"{one.parts.get(name, 0.0):.2f}" for name in names))
    return shown


def _memory(fact: Fact) -> Text:
    if fact.kind != "episode":
        return text(fact.text)
    speaker = fact.speaker or ("assistant" if fact.source == "assistant" else "user")
    return text(f"{speaker}: {fact.text}")


def _as_json(one: Recalled, *, explain: bool) -> dict[str, object]:
    parts: dict[str, object] = {"parts": dict(one.parts)} if explain else {}
    return {"score": one.score, **parts, **asdict(one.fact)}
