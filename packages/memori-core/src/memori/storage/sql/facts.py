"""Facts as they are changed: in one transaction, under the lock of their entity."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    func,
    select,
    update,
)

from ...embedding.base import Space
from ...errors import RevisionConflictError
from ...keys import derived_key
from ...model import Attribution, Fact
from ..records import Codec, EntityState, FactChanges, Placement, Retirement
from ..values import (
    entity_key,
    fact_values,
    optional_micros,
    optional_time,
    process_key,
    session_key,
    to_micros,
)
from . import fulltext, graph, provenance
from . import schema as t
from .dialects import insert_missing
from .failures import RowVanishedError
from .planning import without_index

_BATCH = 500


def apply(
    connection: Connection,
    attribution: Attribution,
    changes: FactChanges,
    codec: Codec,
    *,
    expected: EntityState | None,
    now: datetime,
) -> tuple[Fact, ...]:
    """Change the entity's facts under its lock and return those added. Runs inside the caller's write transaction."""
    key = entity_key(attribution)
    row = locked(connection, key)
    if row is None:
        raise RowVanishedError(f"{attribution.entity_id!r} was erased meanwhile; read its facts again.")
    # An entity that was not there yet (generation "") has just been made by this very call, or by a rival.
    found = EntityState(row.revision, row.generation if expected is None or expected.generation else "")
    if expected is not None and found != expected:
        raise RevisionConflictError(f"The facts of {attribution.entity_id!r} changed meanwhile; read them again.")
    if not changes:
        return ()
    revision, moment = row.revision + 1, to_micros(now)
    values: dict[str, Any] = {"revision": revision}
    if changes.space is not None:
        space = ensure_space(connection, changes.space)
        values["active_space"] = row.active_space or space
    connection.execute(update(t.entity).where(t.entity.c.id == key).values(**values))
    added = _add(connection, attribution, changes, codec, revision=revision, moment=moment)
    _retire(connection, key, changes.retire, revision=revision, moment=moment)
    _count_mentions(connection, key, changes.mentions, revision=revision)
    provenance.change(connection, attribution, changes, codec, revision=revision, moment=moment)
    _place(connection, key, changes.place)
    return added


class Locked(NamedTuple):
    """What a change needs of the entity's row."""

    revision: int
    generation: str
    active_space: str | None


def locked(connection: Connection, entity: str) -> Locked | None:
    """The entity's row, locked until the transaction ends; None when there is no such entity."""
    e = t.entity.c
    query = select(e.revision, e.generation, e.active_space).where(e.id == entity)
    row = connection.execute(query.with_for_update(key_share=True)).first()
    return None if row is None else Locked(*row)


def _retire(
    connection: Connection, entity: str, retirements: Sequence[Retirement], *, revision: int, moment: int
) -> None:
    if not retirements:
        return
    f = t.fact
    statement = (
        update(f)
        .where(f.c.entity_id == entity, f.c.id == bindparam("retired_id"))
        .values(
            status=bindparam("new_status"),
            superseded_by=bindparam("successor"),
            valid_to=func.coalesce(bindparam("until", type_=BigInteger), f.c.valid_to),
            retired_at=func.coalesce(f.c.retired_at, moment),
            revision=revision,
        )
    )
    rows = [
        {
            "retired_id": one.fact_id,
            "new_status": one.status,
            "successor": one.superseded_by,
            "until": optional_micros(one.valid_to),
        }
        for one in retirements
    ]
    connection.execute(statement, rows)
    fulltext.remove(connection, entity, [one.fact_id for one in retirements])
    _withdraw(connection, entity, [one.fact_id for one in retirements if one.status != "superseded"], revision=revision)


def _withdraw(connection: Connection, entity: str, unsaid: Sequence[str], *, revision: int) -> None:
    """Delete the vectors that the texts of episodes went into as part of a window."""
    f, e = t.fact, t.embedding
    if not unsaid:
        return
    for start in range(0, len(unsaid), _BATCH):
        ids = unsaid[start : start + _BATCH]
        query = select(f.c.id).where(without_index(f.c.entity_id) == entity, f.c.id.in_(ids), f.c.kind == "episode")
        for episode in connection.execute(query).scalars().all():
            named = e.c.window_ids.contains(json.dumps(episode))
            holders = connection.execute(select(e.c.fact_id).where(e.c.entity_id == entity, named).distinct())
            touched = list(holders.scalars())
            for at in range(0, len(touched), _BATCH):
                some = touched[at : at + _BATCH]
                connection.execute(e.delete().where(e.c.entity_id == entity, e.c.fact_id.in_(some)))
                connection.execute(update(f).where(f.c.entity_id == entity, f.c.id.in_(some)).values(revision=revision))


def _place(connection: Connection, entity: str, placements: Sequence[Placement]) -> None:
    # Nothing that an index holds changes, so the facts keep their revision.
    f = t.fact
    statement = (
        update(f)
        .where(f.c.entity_id == entity, f.c.id == bindparam("placed_id"))
        .values(tier=bindparam("new_tier"), expires_at=bindparam("until", type_=BigInteger))
    )
    rows = [
        {"placed_id": one.fact_id, "new_tier": one.tier, "until": optional_micros(one.expires_at)} for one in placements
    ]
    if rows:
        connection.execute(statement, rows)


def _count_mentions(
    connection: Connection, entity: str, mentions: Sequence[tuple[str, str | None]], *, revision: int
) -> None:
    f = t.fact
    by_count: dict[int, list[str]] = {}
    for fact_id, times in Counter(fact_id for fact_id, _ in mentions).items():
        by_count.setdefault(times, []).append(fact_id)
    for times, ids in by_count.items():
        for start in range(0, len(ids), _BATCH):
            connection.execute(
                update(f)
                .where(f.c.entity_id == entity, f.c.id.in_(ids[start : start + _BATCH]))
                .values(mentions=f.c.mentions + times, revision=revision)
            )
    _mention(connection, entity, mentions)


def _add(
    connection: Connection, attribution: Attribution, changes: FactChanges, codec: Codec, *, revision: int, moment: int
) -> tuple[Fact, ...]:
    if not changes.add:
        return ()
    key, process = entity_key(attribution), process_key(attribution)
    rows = []
    for new in changes.add:
        session = new.fact.session_id
        rows.append(
            {
                **fact_values(new.fact, codec),
                "entity_id": key,
                "process_id": process,
                "session_id": None if session is None else session_key(attribution, session),
                "search_text": codec.encode(f" {new.search_text} "),
                "fingerprint": new.fingerprint,
                "created_at": moment,
                "retired_at": None if new.fact.status == "active" else moment,
                "revision": revision,
            }
        )
    connection.execute(t.fact.insert(), rows)
    _mention(connection, key, [(new.fact.id, new.fact.message_key) for new in changes.add])
    if changes.space is not None:
        embedded = [(new.fact.id, new.window, new.vectors) for new in changes.add if new.vectors is not None]
        insert_vectors(connection, key, changes.space, embedded)
    graph.connect(connection, key, changes.add, codec)
    fulltext.add(connection, key, changes.add, codec)
    created = optional_time(moment)
    return tuple(replace(new.fact, created_at=created, revision=revision) for new in changes.add)


def _mention(connection: Connection, entity: str, mentions: Sequence[tuple[str, str | None]]) -> None:
    rows = {
        (fact, message): {"fact_id": fact, "message_id": message, "entity_id": entity}
        for fact, message in mentions
        if message
    }
    insert_missing(connection, t.mention, list(rows.values()))


def ensure_space(connection: Connection, space: Space) -> str:
    """The key of the space's row, which is made if it is missing."""
    key = derived_key("space", space.key)
    row = {"id": key, "embedder": space.embedder, "model": space.model, "dimension": space.dimension}
    insert_missing(connection, t.space, [row])
    return key


def insert_vectors(
    connection: Connection,
    entity: str,
    space: Space,
    embedded: Sequence[tuple[str, tuple[str, ...], NDArray[np.float32]]],
) -> None:
    """Write the vectors of facts (id, ids of the window, passages) that have none in the space."""
    rows = [
        {
            "fact_id": fact_id,
            "space_id": derived_key("space", space.key),
            "passage": passage,
            "entity_id": entity,
            "vector": np.ascontiguousarray(vector, dtype="<f4").tobytes(),
            "window_ids": json.dumps(window) if window else None,
        }
        for fact_id, window, vectors in embedded
        for passage, vector in enumerate(vectors)
    ]
    if rows:
        connection.execute(t.embedding.insert(), rows)


def erase(connection: Connection, attribution: Attribution) -> dict[str, int]:
    """Delete every row about the entity, children first. The process stays: it belongs to other entities too."""
    key = entity_key(attribution)
    connection.execute(select(t.entity.c.id).where(t.entity.c.id == key).with_for_update(key_share=True))
    gone = {}
    owned = (
        t.triple, t.predicate, t.node, t.search, t.embedding, t.mention, t.process_attribute, t.item, t.job, t.fact,
        t.message, t.conversation, t.session,
    )  # fmt: skip
    for table in owned:
        gone[table.name] = connection.execute(table.delete().where(table.c.entity_id == key)).rowcount
    gone[t.entity.name] = connection.execute(t.entity.delete().where(t.entity.c.id == key)).rowcount
    return gone
