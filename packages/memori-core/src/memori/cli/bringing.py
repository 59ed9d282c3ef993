"""`memori import --from-memori`: show what a Memori 3 database holds, and copy it when told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import MemoriError
from .console import console, count, note, progress, table, text
from .ingest import learn
from .options import opened, place

if TYPE_CHECKING:
    from ..client import Memori
    from ..importing.source import Inventory, Source
    from ..importing.transfer import Copied

_SHOWN = 20
_KINDS = ("Facts", "Mentions", "Conversations", "Messages", "Triples")


def bring_over(url: str, *, apply: bool, database: str | None, namespace: str | None) -> None:
    """Print what would be copied, or copy it. Their database is only read; nothing of theirs is imported as code."""
    from ..importing.source import Source

    source = Source(url)
    inventory = source.inventory()
    if not apply:
        _show(source, inventory)
        return
    # Their facts were extracted from these very messages: extracting again would say everything twice.
    with opened(database, namespace, extractor="none", create=True) as memori:
        copied, failed = _copy(source, inventory, memori)
        where = place(memori)
    _report(copied, where)
    if failed is not None:
        raise MemoriError(f"{failed}. What was copied is stored; go on with the same command.")


def _copy(source: Source, inventory: Inventory, memori: Memori) -> tuple[list[Copied], str | None]:
    from ..importing.transfer import copy_facts, copy_messages

    entities = inventory.entities
    try:
        with progress() as bars:
            bar = bars.add_task("Recording", total=inventory.messages.total(), unit="messages")
            copied = [copy_messages(source, memori, one, lambda n: bars.advance(bar, n)) for one in entities]
            failed = learn(memori, {job: size for one in copied for job, size in one.jobs.items()}, bars)
            bar = bars.add_task("Embedding", total=inventory.facts.total(), unit="facts")
            for entity, done in zip(entities, copied, strict=True):
                copy_facts(source, memori, entity, done, lambda n: bars.advance(bar, n))
    except KeyboardInterrupt:
        note("Interrupted. What was copied is stored; go on with the same command.")
        raise
    return copied, failed


def _show(source: Source, inventory: Inventory) -> None:
    counters = (inventory.facts, inventory.mentions, inventory.conversations, inventory.messages, inventory.triples)
    rows = [(one.id, [counter[one.row] for counter in counters]) for one in inventory.entities]
    _print(("Entity", *_KINDS), rows)
    out = console()
    out.print()
    for line in source.layout.missing:
        out.print(text(f"Not found: {line}"), soft_wrap=True)
    for line in inventory.left_behind:
        out.print(text(f"Not copied: {line}"), soft_wrap=True)
    out.print("Not copied: embeddings. Facts and messages are embedded anew.", soft_wrap=True)
    out.print("\nThis was a dry run: nothing was written. Copy it with --apply.", soft_wrap=True)


def _report(copied: Sequence[Copied], where: str) -> None:
    rows = [(one.entity, [one.messages, one.known_messages, one.facts, one.known_facts, one.triples]) for one in copied]
    _print(("Entity", "Messages", "Known", "Facts", "Known ", "Triples"), rows)
    out = console()
    skipped: Counter[str] = sum((one.skipped for one in copied), Counter())
    for reason, number in skipped.most_common():
        out.print(text(f"Not copied: {number:,} {reason}."), soft_wrap=True)
    out.print(text(where), soft_wrap=True)


def _print(columns: Sequence[str], rows: Sequence[tuple[str, list[int]]]) -> None:
    """The entities with the most first; those that do not fit on a screen as one row; the sum of all."""
    shown = table(*columns, numbers=columns[1:], wide=columns[0])
    ordered = sorted(rows, key=lambda row: -sum(row[1]))
    lines = ordered[:_SHOWN]
    if rest := ordered[_SHOWN:]:
        lines.append((f"and {len(rest):,} more", _sums(rest, columns)))
    for name, numbers in lines:
        shown.add_row(text(name), *(f"{number:,}" for number in numbers))
    shown.add_section()
    totals = _sums(rows, columns)
    shown.add_row(count(len(rows), "entity", "entities"), *(f"{number:,}" for number in totals))
    console().print(shown)


def _sums(rows: Sequence[tuple[str, list[int]]], columns: Sequence[str]) -> list[int]:
    return [sum(numbers[place] for _, numbers in rows) for place in range(len(columns) - 1)]
