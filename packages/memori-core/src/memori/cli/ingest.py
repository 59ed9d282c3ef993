"""Commands that have work done: import transcripts, retry what failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MemoriError, TranscriptError
from ..hookspecs import hookimpl
from ..model import Attribution, Fact
from .console import console, count, progress, seconds, table, text
from .options import AnyEntity, Database, Namespace, opened

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..client import Memori


class Learnt:
    """A plugin that counts the facts that jobs add, by kind."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    @hookimpl
    def memori_augmented(self, facts: Sequence[Fact]) -> None:
        """Count them."""
        self.kinds.update(fact.kind for fact in facts)

    def __str__(self) -> str:
        """What there is now that was not there before."""
        episodes = self.kinds["episode"]
        return f"{count(self.kinds.total() - episodes, 'fact')} and {count(episodes, 'message')} kept verbatim"


@dataclass
class Imported:
    """What became of one file. `jobs` maps each job to the number of messages in it."""

    file: Path
    entity: str
    sessions: set[str] = field(default_factory=set)
    stored: int = 0
    repeated: int = 0
    jobs: dict[str, int] = field(default_factory=dict)


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="OpenAI-style messages (.json, .jsonl) or LoCoMo.", show_default=False),
    ],
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Whose memory they become.", show_default=False)
    ] = None,
    entity_per_file: Annotated[
        bool, typer.Option("--entity-per-file", help="Each file is about somebody else, and named after them.")
    ] = False,
    process: Annotated[
        str | None, typer.Option("--process", metavar="ID", help="The agent that spoke.", show_default=False)
    ] = None,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Read transcripts into memory. What was imported before is skipped, so it can be repeated."""
    whose = _whose(files, entity, per_file=entity_per_file)
    learnt = Learnt()
    began = time.perf_counter()
    with opened(database, namespace, plugins=[learnt], create=True) as memori, progress() as bars:
        imported: list[Imported] = []
        problem = _record(memori, whose, process, imported, bars)
        recorded = time.perf_counter() - began
        jobs = {job: size for one in imported for job, size in one.jobs.items()}
        failed = learn(memori, jobs, bars)
        where = repr(memori)
    _report(imported, learnt, recorded=recorded, elapsed=time.perf_counter() - began, where=where)
    _raise(problem, failed)


def retry(entity: AnyEntity = None, database: Database = None, namespace: Namespace = None) -> None:
    """Work off what is left in the outbox, and give dead jobs another round."""
    learnt = Learnt()
    with opened(database, namespace, plugins=[learnt]) as memori, progress() as bars:
        if entity is not None:
            memori.attribution(entity)
        revived = memori.augmentation.retry()
        left = memori.augmentation.storage.open_jobs(memori.current_attribution())
        failed = learn(memori, dict.fromkeys(left, 1), bars, unit="jobs")
    typer.echo(f"{count(len(left), 'job')} worked off ({revived:,} dead before): {learnt}.")
    _raise(None, failed)


def learn(memori: Memori, jobs: Mapping[str, int], bars: Progress, *, unit: str = "messages") -> str | None:
    """Wait until each of the jobs is done or dead, for as long as it takes. Return what went wrong, if anything."""
    bar = bars.add_task("Learning ", total=sum(jobs.values()), unit=unit)
    while True:
        states = memori.augmentation.storage.job_states(jobs)
        final = {job for job, state in states.items() if state in ("done", "dead")}
        bars.update(bar, completed=sum(jobs[job] for job in final))
        if len(final) == len(states):
            break
        memori.augmentation.wait(timeout=0.2)
    dead = sum(state == "dead" for state in states.values())
    if not dead:
        return None
    return f"{dead:,} of {count(len(jobs), 'job')} failed: {memori.augmentation.status().last_error}"


def _whose(files: Sequence[Path], entity: str | None, *, per_file: bool) -> list[Imported]:
    """Whom each file is about. Never guessed: a wrong guess mixes two people's memories."""
    if (entity is None) != per_file:
        raise typer.BadParameter(
            "say whose memory this is: --entity ID, or --entity-per-file when each file is named after somebody else."
        )
    if entity is not None:
        Attribution(entity)
        return [Imported(file, entity) for file in files]
    shared = [name for name, times in Counter(file.stem for file in files).items() if times > 1]
    if shared:
        raise typer.BadParameter(f"two files are named {shared[0]!r}; import them one by one with --entity.")
    return [Imported(file, file.stem) for file in files]


def _record(
    memori: Memori, files: Iterable[Imported], process: str | None, imported: list[Imported], bars: Progress
) -> TranscriptError | None:
    """Record every file, a batch of a session at a time. Stops at what cannot be read and returns it."""
    from ..transcripts import read

    bar = bars.add_task("Recording", total=0, unit="messages")
    total = 0
    for one in files:
        imported.append(one)
        who = Attribution(one.entity, process)
        try:
            for part in read(one.file):
                receipt = memori.record(part.messages, attribution=who.with_session(part.session_id))
                one.sessions.add(part.session_id)
                one.stored += receipt.stored
                one.repeated += receipt.repeated
                if receipt.job_id:
                    one.jobs[receipt.job_id] = receipt.stored
                total += len(part.messages)
                bars.update(bar, total=total, completed=total)
        except TranscriptError as error:
            return error
    return None


def _report(imported: Sequence[Imported], learnt: Learnt, *, recorded: float, elapsed: float, where: str) -> None:
    shown = table("File", "Entity", "Sessions", "New", "Known", numbers=("Sessions", "New", "Known"), wide="File")
    for one in imported:
        shown.add_row(
            text(one.file.name), text(one.entity), f"{len(one.sessions):,}", f"{one.stored:,}", f"{one.repeated:,}"
        )
    stored = sum(one.stored for one in imported)
    read = stored + sum(one.repeated for one in imported)
    out = console()
    out.print(shown)
    out.print(f"\nRecorded {count(read, 'message')} in {seconds(recorded)} ({read / recorded:,.0f} a second).")
    if stored:
        out.print(f"Learnt {learnt} in {seconds(elapsed)} ({stored / elapsed:,.0f} messages a second).")
    out.print(text(where), soft_wrap=True)


def _raise(problem: TranscriptError | None, failed: str | None) -> None:
    if problem is not None:
        raise problem
    if failed is not None:
        raise MemoriError(f"{failed}. The messages are stored; try again with: memori retry")
