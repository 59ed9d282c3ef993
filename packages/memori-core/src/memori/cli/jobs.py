"""`memori jobs`: the outbox, job by job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ..errors import MemoriError
from ..model import JobState, QueuedJob
from .console import console, count, minute, note, print_json, table, text
from .options import AnyEntity, Database, Json, Namespace, opened

if TYPE_CHECKING:
    from ..client import Memori

_STATES: tuple[JobState, ...] = get_args(JobState)
_LONGEST_MESSAGE = 300


def _state(value: str) -> JobState:
    for state in _STATES:
        if value == state:
            return state
    raise typer.BadParameter(f"{value!r} is no state; states are {', '.join(_STATES)}.")


def list_(
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            parser=_state,
            metavar="STATE",
            help=f"Only those {', '.join(_STATES[:-1])} or {_STATES[-1]}; may be repeated.",
            show_default=False,
        ),
    ] = None,
    entity: AnyEntity = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest so many.")] = 20,
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """List jobs, the newest first."""
    with opened(database, namespace) as memori:
        if entity is not None:
            memori.attribution(entity)
        found = memori.augmentation.jobs(states=[_state(one) for one in state or ()], limit=limit)
    if json:
        print_json([_plain(job) for job in found])
        return
    if not found:
        note("No jobs.")
        return
    shown = table("Job", "State", "Tries", "Entity", "Error", numbers=("Tries",), whole=("Job", "State"), wide="Error")
    for job in found:
        error = (job.error or "–").partition("\n")[0]
        shown.add_row(job.id, job.state, str(job.attempts), text(job.attribution.entity_id), text(error[:100]))
    console().print(shown)


def show(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="An id that `memori jobs list` shows.")],
    json: Json = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Show one job: whose it is, how often it was tried, its error, and what was said."""
    with opened(database, namespace) as memori:
        job = _found(memori, job_id)
        said = memori.config.storage.messages(
            job.attribution, before=job.last + 1, limit=max(1, job.last - job.first + 1)
        )
    if json:
        messages = [{"role": one.message.role, "content": one.message.content} for one in said]
        print_json({**_plain(job), "messages": messages})
        return
    out = console()
    for name, value in _plain(job).items():
        if value is not None:
            when = minute(getattr(job, name)) if name.endswith(("_at", "_until")) else value
            out.print(text(f"{name.replace('_', ' '):<13} {when}"), soft_wrap=True)
    for one in said:
        content = one.message.content
        cut = content if len(content) <= _LONGEST_MESSAGE else f"{content[:_LONGEST_MESSAGE]}…"
        out.print(text(f"\n{one.message.role}: {cut}"), soft_wrap=True)


def retry(
    job_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB", help="Ids that `memori jobs list` shows; all when left out.", show_default=False),
    ] = None,
    entity: AnyEntity = None,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Give dead jobs another round of attempts, and leave them to the workers."""
    with opened(database, namespace) as memori:
        if entity is not None:
            memori.attribution(entity)
        for job_id in job_ids or ():
            _found(memori, job_id)
        revived = memori.config.storage.retry(memori.current_attribution(), now=datetime.now(UTC), ids=job_ids or None)
    typer.echo(f"{count(revived, 'dead job')} given another round.")
    if revived:
        note("A worker takes them up by itself. Without one: memori worker --drain")


def build() -> typer.Typer:
    """The command group."""
    app = typer.Typer(help="The outbox, job by job: list, show, retry.", no_args_is_help=True, rich_markup_mode=None)
    app.command("list")(list_)
    app.command("show")(show)
    app.command("retry")(retry)
    return app


def _found(memori: Memori, job_id: str) -> QueuedJob:
    found = memori.config.storage.jobs(None, ids=[job_id])
    if not found:
        raise MemoriError(f"There is no job {job_id!r}. List those there are with: memori jobs list")
    return found[0]


def _plain(job: QueuedJob) -> dict[str, Any]:
    who = job.attribution
    return {
        "id": job.id,
        "state": job.state,
        "attempts": job.attempts,
        "namespace": who.namespace,
        "entity": who.entity_id,
        "process": who.process_id,
        "session": who.session_id,
        "created_at": job.created_at,
        "due_at": job.due_at,
        "leased_until": job.leased_until,
        "finished_at": job.finished_at,
        "error": job.error,
    }
