"""`memori demo`: a conversation over two sessions, through a real client, against a scripted model on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExtractionError, MissingDependencyError
from ..hookspecs import hookimpl
from ..keys import new_key
from ..model import Attribution, Fact, Message, StoredMessage
from . import story
from .console import console, day, minute, table, text
from .options import Database

if TYPE_CHECKING:
    from openai import OpenAI
    from rich.console import Console

    from ..client import Memori
    from .loopback import LoopbackServer


class Calendar:
    """A plugin that dates messages: the first session is played now and dated days ago."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    @hookimpl
    def memori_before_record(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Date what has no date yet."""
        return [replace(message, created_at=message.created_at or self.now) for message in messages]


def demo(database: Database = None) -> None:
    """Show what Memori does: no key, no network, a few seconds."""
    _needs_openai()
    with _play(database) as (out, memori, server, calendar):
        out.print(text("Memori: memory for AI agents, in your own database", "bold"))
        out.print(text(story.PROLOGUE))
        _first_session(out, memori, server, calendar)
        _second_session(out, memori, server, calendar)
        _farewell(out, memori, database)


def _needs_openai() -> None:
    try:
        import openai  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "The demo speaks to its scripted model through OpenAI's client, which is not installed. "
            "Install it with: pip install 'memori-core[openai]'"
        ) from error


@contextmanager
def _play(database: str | None) -> Iterator[tuple[Console, Memori, LoopbackServer, Calendar]]:
    """The stage: a memory, of a new entity, and a scripted server."""
    from ..client import Memori
    from ..settings import load
    from .loopback import LoopbackServer

    out = console()
    calendar = Calendar(datetime.now(UTC) - story.DAYS_APART)
    with tempfile.TemporaryDirectory(prefix="memori-demo-") as folder, LoopbackServer(story.answer) as server:
        url = database or f"sqlite:///{Path(folder) / 'memory.db'}"
        # A machine so slow that a call would go on without memory should wait here: that is what is shown.
        patient = load(recall_timeout=60.0)
        with Memori(url, plugins=[calendar], settings=patient, auto_ingest=True) as memori:
            memori.config.storage.build()
            memori.attribution(f"ada-{new_key()[-6:]}", "demo")
            yield out, memori, server, calendar


def _first_session(out: Console, memori: Memori, server: LoopbackServer, calendar: Calendar) -> None:
    _title(out, f"1 · {day(calendar.now)}: Ada tells an assistant about herself")
    session = memori.new_session()
    history: list[dict[str, str]] = []
    with _client(server) as client:
        memori.llm.register(client)
        for said, answered in story.FIRST_SESSION:
            server.say(answered)
            _say(client, history, said)
            calendar.now += story.SPOKEN_EVERY
    out.print(f"memori.llm.register(client) captured {len(history)} messages:\n", style="dim")
    _show_messages(out, _stored(memori, session))
    if not memori.augmentation.wait(timeout=300):
        raise ExtractionError(f"Nothing was learnt from the conversation: {memori.augmentation.status().last_error}")
    _title(out, "2 · What came of it, in the background")
    _show_facts(out, memori.facts())


def _second_session(out: Console, memori: Memori, server: LoopbackServer, calendar: Calendar) -> None:
    calendar.now = datetime.now(UTC)
    _title(out, f"3 · {day(calendar.now)}: a new session, which begins with nothing")
    session = memori.new_session()
    history: list[dict[str, str]] = []
    forgetful_history: list[dict[str, str]] = []
    with _client(server) as client, _client(server) as forgetful:
        memori.llm.register(client)
        for question in story.SECOND_SESSION:
            without = _say(forgetful, forgetful_history, question)
            answered = _say(client, history, question)
            _show_answers(out, question, without=without, block=story.block_in(server.last), answered=answered)
    out.print("Stored of this session: the words, never the block.\n", style="dim")
    _show_messages(out, _stored(memori, session))


def _client(server: LoopbackServer) -> OpenAI:
    from openai import DefaultHttpxClient, OpenAI

    # Without the environment: a proxy named there would be asked for this machine.
    direct = DefaultHttpxClient(trust_env=False)
    return OpenAI(base_url=server.url, api_key="none", max_retries=0, http_client=direct)


def _say(client: OpenAI, history: list[dict[str, str]], words: str) -> str:
    """Ada says something; the whole history is sent, as applications do."""
    history.append({"role": "user", "name": story.USER, "content": words})
    response = client.chat.completions.create(model="scripted", messages=list(history))  # type: ignore[arg-type]
    answered = response.choices[0].message.content or ""
    history.append({"role": "assistant", "content": answered})
    return answered


def _stored(memori: Memori, session: str) -> list[StoredMessage]:
    return memori.messages(attribution=replace(_ada(memori), session_id=session))


def _ada(memori: Memori) -> Attribution:
    """Who is speaking, since the stage was set."""
    who = memori.current_attribution()
    assert who is not None  # noqa: S101 # nosec B101
    return who


def _title(out: Console, title: str) -> None:
    out.print()
    out.rule(text(title, "bold"), align="left")
    out.print()


def _show_messages(out: Console, messages: Sequence[StoredMessage]) -> None:
    shown = table("Said", "Who", "What", wide="What")
    for stored in messages:
        message = stored.message
        shown.add_row(minute(message.created_at), text(message.name or message.role), text(message.content))
    out.print(shown)


def _show_facts(out: Console, facts: Sequence[Fact]) -> None:
    shown = table("Kind", "Fact", "Valid from", wide="Fact")
    for fact in reversed(facts):
        shown.add_row(fact.kind, text(fact.text), day(fact.valid_from or fact.said_at))
    out.print(shown)


def _show_answers(out: Console, question: str, *, without: str, block: str, answered: str) -> None:
    from rich.padding import Padding
    from rich.panel import Panel

    indent = (0, 0, 0, 2)
    out.print(text(f"Ada asks: {question}", "bold"))
    out.print(Padding(text(f"Without Memori: {without}"), indent))
    out.print(Padding(text(f"With Memori: {answered}", "green"), indent))
    title = "put into the request, as the server received it"
    out.print(Padding(Panel(text(block), title=title, title_align="left", border_style="cyan"), indent))
    out.print()


def _farewell(out: Console, memori: Memori, database: str | None) -> None:
    _title(out, "Next")
    if database is None:
        out.print("That was a temporary database. To keep one: memori demo --database sqlite:///demo.db")
        return
    where = f"--entity {_ada(memori).entity_id} --database {memori.config.storage.display}"
    out.print(text(f'memori recall "Where do I live?" --explain {where}'), soft_wrap=True)
    out.print(text(f"memori facts {where}"), soft_wrap=True)
