"""Commands that have work done: import transcripts, retry what failed."""

from __future__ import annotations

import threading
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
from .console import console, count, note, progress, seconds, table, text
from .options import AnyEntity, Database, Namespace, opened, place

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..client import Memori


class Learnt:
    """A plugin that counts the facts that jobs add, by kind."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self._lock = threading.Lock()

    @hookimpl
    def memori_augmented(self, facts: Sequence[Fact]) -> None:
        """Count them."""
        with self._lock:
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
        list[Path] | None,
        typer.Argument(metavar="FILE", help="OpenAI-style messages (.json, .jsonl) or LoCoMo.", show_default=False),
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Whose memory they become.", show_default=False)
    ] = None,
    entity_per_file: Annotated[
        bool, typer.Option("--entity-per-file", help="Each file is about somebody else, and named after them.")
    ] = False,
    process: Annotated[
        str | None, typer.Option("--process", metavar="ID", help="The agent that spoke.", show_default=False)
    ] = None,
    from_memori: Annotated[
        str | None,
        typer.Option(
            "--from-memori", metavar="URL", help="A database of Memori 3, instead of files.", show_default=False
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="With --from-memori: copy it, not only show it.")] = False,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Read transcripts into memory. What was imported before is skipped, so it can be repeated."""
    if from_memori is not None:
        from .bringing import bring_over

        if files or entity is not None or entity_per_file or process is not None:
            raise typer.BadParameter("--from-memori brings every entity over; leave out FILE, --entity and --process.")
        bring_over(from_memori, apply=apply, database=database, namespace=namespace)
        return
    if not files or apply:
        raise typer.BadParameter("name a FILE to read." if not apply else "--apply goes with --from-memori.")
    whose = _whose(files, entity, per_file=entity_per_file)
    learnt = Learnt()
    with opened(database, namespace, plugins=[learnt], create=True) as memori, progress() as bars:
        began = time.perf_counter()
        problem = _record(memori, whose, process, bars)
        recorded = time.perf_counter()
        try:
            failed = learn(memori, {job: size for one in whose for job, size in one.jobs.items()}, bars)
        except KeyboardInterrupt:
            note("Interrupted. All is recorded; what is not yet learnt from waits for: memori retry")
            raise
        finished = time.perf_counter()
        where = place(memori)
    _report(whose, learnt, recording=recorded - began, all_of_it=finished - began, where=where)
    if problem is not None:
        _say_what_is_left(whose, problem)
    _raise(problem, failed)


def retry(entity: AnyEntity = None, database: Database = None, namespace: Namespace = None) -> None:
    """Work off what is left, and give dead jobs another round."""
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
        return [Imported(file, Attribution(entity).entity_id) for file in files]
    shared = [name for name, times in Counter(file.stem for file in files).items() if times > 1]
    if shared:
        raise typer.BadParameter(f"two files are named {shared[0]!r}; import them one by one with --entity.")
    return [Imported(file, Attribution(file.stem).entity_id) for file in files]


def _record(memori: Memori, files: Iterable[Imported], process: str | None, bars: Progress) -> TranscriptError | None:
    """Record every file, a batch of a session at a time. Stops at what cannot be read and returns it."""
    from ..transcripts import read

    bar = bars.add_task("Recording", total=0, unit="messages")
    for one in files:
        who = Attribution(one.entity, process)
        try:
            for part in read(one.file):
                receipt = memori.record(part.messages, attribution=who.with_session(part.session_id))
                one.sessions.add(part.session_id)
                one.stored += receipt.stored
                one.repeated += receipt.repeated
                if receipt.job_id:
                    one.jobs[receipt.job_id] = receipt.stored
                done = bars.tasks[bar].completed + len(part.messages)
                bars.update(bar, total=done, completed=done)
        except TranscriptError as error:
            return error
    return None


def _report(files: Sequence[Imported], learnt: Learnt, *, recording: float, all_of_it: float, where: str) -> None:
    stored = sum(one.stored for one in files)
    read = stored + sum(one.repeated for one in files)
    if not read:
        return
    shown = table("File", "Entity", "Sessions", "New", "Known", numbers=("Sessions", "New", "Known"))
    for one in files:
        sizes = (len(one.sessions), one.stored, one.repeated)
        shown.add_row(text(one.file.name), text(one.entity), *(f"{size:,}" for size in sizes))
    out = console()
    out.print(shown)
    out.print(f"\nRecorded {count(read, 'message')} in {seconds(recording)}: {read / recording:,.0f} a second.")
    if stored:
        out.print(f"Learnt from {stored:,} in {seconds(all_of_it)}: {stored / all_of_it:,.0f} a second.")
    out.print(f"New in memory: {learnt}.")
    out.print(text(where), soft_wrap=True)


def _say_what_is_left(files: Sequence[Imported], problem: TranscriptError) -> None:
    if any(one.stored for one in files):
        note("What came before the error is stored; once it is repaired, import the file again.")
    paths = [one.file for one in files]
    unread = ", ".join(str(path) for path in paths[paths.index(problem.path) + 1 :])
    if unread:
        note(f"Not read: {unread}")


def _raise(problem: TranscriptError | None, failed: str | None) -> None:
    if problem is not None:
        raise problem
    if failed is not None:
        raise MemoriError(f"{failed}. The messages are stored; try again with: memori retry")
