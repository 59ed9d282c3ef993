"""Options that commands share, and how a command opens a memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StorageUnavailableError

if TYPE_CHECKING:
    from ..client import Memori


def moment(value: str) -> datetime:
    """The time an option names. A day means its end; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no date; write 2026-05-08 or 2026-05-08T14:30+02:00.") from None
    if len(value.strip()) <= len("2026-05-08"):
        parsed = datetime.combine(parsed, time.max)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where memory lives. Without it: memori.json, MEMORI_DATABASE_URL, else sqlite:///memori.db.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="The application whose memory it is.", show_default=False),
]
Entity = Annotated[str, typer.Option("--entity", metavar="ID", help="Whose memory.", show_default=False)]
AnyEntity = Annotated[
    str | None, typer.Option("--entity", metavar="ID", help="Whose memory; all when left out.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=moment,
        metavar="DATE",
        help="What was true then. A day means its end, in UTC.",
        show_default=False,
    ),
]


@contextmanager
def opened(
    database: str | None,
    namespace: str | None,
    *,
    plugins: Sequence[object] = (),
    embedder: str | None = None,
    extractor: str | None = None,
    create: bool = False,
) -> Iterator[Memori]:
    """Open the memory that a command is about.

    A command that only reads must not make a database where a path was mistyped, so without `create` there must be
    one. Commands that have work done wait for it themselves: closing waits for nothing.
    """
    from ..client import Memori
    from ..settings import load

    settings = load(namespace=namespace).model_copy(update={"drain_timeout": 0.0})
    with Memori(database, settings=settings, embedder=embedder, extractor=extractor, plugins=plugins) as memori:
        if create:
            memori.config.storage.build()
        else:
            _must_exist(settings.database_url if database is None else database)
        yield memori


def place(memori: Memori) -> str:
    """Where a memory lives, for people, without a password."""
    return f"{memori.config.storage.display}, namespace {memori.namespace!r}"


def _must_exist(url: str) -> None:
    if not url.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url

    named = make_url(url)
    if named.database and named.database != ":memory:" and "uri" not in named.query:
        path = Path(named.database)
        if not path.exists():
            raise StorageUnavailableError(
                f"There is no database at {path}. Name another with --database, or make this one with: "
                "memori import FILE --entity ID"
            )
