"""What the terminal shows: two consoles, tables, times, and errors on stderr."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Where to print: coloured on a terminal, plain text when piped."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def text(value: object, style: str = "") -> Text:
    """Stored text for display: never read as markup, and without the control characters that steer a terminal."""
    from rich.text import Text

    return Text(_CONTROL.sub("\ufffd", str(value)), style)


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = (), wide: str = "") -> Table:
    """An empty table without frame.

    `numbers` are set flush right, `whole` columns are never broken, `wide` gets the room that is left.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        right = name in numbers
        made.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=right or name in whole,
            overflow="fold",
            ratio=1 if name == wide else None,
        )
    return made


def day(moment: datetime | None) -> str:
    """A date to show, or a dash."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}" if moment else "–"


def minute(moment: datetime | None) -> str:
    """A date and time to show, or a dash."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else "–"


def seconds(duration: float) -> str:
    """A duration to show."""
    return f"{duration:.1f} s" if duration < 120 else f"{duration / 60:.1f} min"


def count(number: int, thing: str, things: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def print_json(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print data for another program."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def progress() -> AbstractContextManager[Progress]:
    """Bars on stderr while something runs; nothing where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    err = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )


def note(message: str) -> None:
    """Say something beside the output."""
    console(stderr=True).print(text(message), soft_wrap=True)


def fail(error: Exception, *, debug: bool = False) -> None:
    """Show an error on stderr, with its traceback if asked for."""
    from rich.text import Text

    if debug:
        typer.echo("".join(traceback.format_exception(error)), err=True)
    console(stderr=True).print(Text.assemble(("Error: ", "bold red"), text(error)), soft_wrap=True)
