"""What recall needs of a few facts, where no process holds all of an entity's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Subquery, case, func, or_, select

from ...embedding.base import Space
from ...model import Attribution
from ...privacy.codec import PlainCodec
from ..base import Codec, IndexRow, Statistics
from ..values import entity_key
from . import schema as t
from .facts import index_rows
from .planning import without_index

SAMPLE = 5000
"""What words weigh is counted in so many facts at most, however many an entity has: a recall's time is bounded."""
_BATCH = 200
_RECALLED = ("active", "superseded")


def rows(
    connection: Connection,
    attribution: Attribution,
    space: Space,
    ids: Collection[str],
    codec: Codec,
    *,
    neighbours: bool,
) -> list[IndexRow]:
    """Facts by id, with the episodes next to them where wanted."""
    f = t.fact.c
    owner = without_index(f.entity_id) == entity_key(attribution)
    recalled = without_index(f.status).in_(_RECALLED)
    found: dict[str, IndexRow] = {}

    def read(wanted: Sequence[str]) -> None:
        for start in range(0, len(wanted), _BATCH):
            which = [f.id.in_(wanted[start : start + _BATCH]), owner, recalled]
            found.update((row.fact_id, row) for row in index_rows(connection, which, space, codec))

    read(sorted(set(ids)))
    if neighbours:
        read([one for one in _next_to(connection, attribution, list(found.values())) if one not in found])
    return list(found.values())


def _next_to(connection: Connection, attribution: Attribution, rows: Sequence[IndexRow]) -> list[str]:
    f, places = t.fact.c, dict[str, set[int]]()
    for row in rows:
        if row.kind == "episode" and row.session_id is not None and row.position is not None:
            places.setdefault(row.session_id, set()).update((row.position - 1, row.position + 1))
    pairs = [
        (session, sorted(positions)[start : start + _BATCH])
        for session, positions in sorted(places.items())
        for start in range(0, len(positions), _BATCH)
    ]
    ids: list[str] = []
    for start in range(0, len(pairs), _BATCH // 10):
        beside: list[ColumnElement[bool]] = [
            (f.session_id == session) & f.position.in_(positions)
            for session, positions in pairs[start : start + _BATCH // 10]
        ]
        query = select(f.id).where(
            f.entity_id == entity_key(attribution), f.kind == "episode", f.status.in_(_RECALLED), or_(*beside)
        )
        ids += connection.execute(query).scalars()
    return ids


def statistics(connection: Connection, attribution: Attribution, terms: Collection[str], codec: Codec) -> Statistics:
    """How many facts there are, how long they are, and how many hold each term.

    Counted over all up to `SAMPLE` of them; of more, over those that changed last, and projected.
    """
    f = t.fact.c
    which = (f.entity_id == entity_key(attribution), without_index(f.status).in_(_RECALLED))
    newest = select(f.search_text, f.speaker).where(*which).order_by(f.revision.desc()).limit(SAMPLE).subquery()
    speakers = connection.execute(select(newest.c.speaker).where(newest.c.speaker.is_not(None)).distinct()).scalars()
    said = frozenset(codec.decode(speaker).casefold() for speaker in speakers if speaker)
    wanted = sorted(set(terms))
    # What a codec other than ours wrote the database cannot look into.
    counted = _counted if type(codec) is PlainCodec else _read
    looked_at, length, held = counted(connection, newest, wanted, codec)
    documents = looked_at
    if looked_at == SAMPLE:
        documents = connection.execute(
            select(func.count()).where(f.entity_id == entity_key(attribution), f.status.in_(_RECALLED))
        ).scalar_one()
        # A term that none of them holds stands in fewer than one of so many.
        held = {term: max(1, round((held[term] or 0.5) * documents / SAMPLE)) for term in wanted}
    return Statistics(documents, length / max(looked_at, 1), held, said)


def _counted(
    connection: Connection, newest: Subquery, wanted: Sequence[str], codec: Codec
) -> tuple[int, int, dict[str, int]]:
    """How many texts there are, how many words in all, and how many texts hold each term: counted by the database."""
    text = newest.c.search_text
    # A text is stored with a space around each of its words.
    spaces = func.length(text) - func.length(func.replace(text, " ", ""))
    holding = [
        func.coalesce(func.sum(case((text.contains(f" {term} ", autoescape=True), 1), else_=0)), 0) for term in wanted
    ]
    words = func.coalesce(func.sum(case((spaces > 1, spaces - 1), else_=0)), 0)
    row = connection.execute(select(func.count(), words, *holding).select_from(newest)).one()
    return int(row[0]), int(row[1]), {term: int(count) for term, count in zip(wanted, row[2:], strict=True)}


def _read(
    connection: Connection, newest: Subquery, wanted: Sequence[str], codec: Codec
) -> tuple[int, int, dict[str, int]]:
    """The same, counted here."""
    lengths, held = list[int](), Counter[str]()
    for text in connection.execute(select(newest.c.search_text)).scalars():
        present = codec.decode(text).split()
        lengths.append(len(present))
        held.update(set(present).intersection(wanted))
    return len(lengths), sum(lengths), {term: held[term] for term in wanted}
