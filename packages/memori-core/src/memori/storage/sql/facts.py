"""Facts: changed in one transaction, read by revision, by filter, and by their words."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, case, func, or_, select, update

from ...embedding.base import Space
from ...errors import RevisionConflictError
from ...keys import derived_key, new_key
from ...model import ACTIVE, Attribution, Fact, FactStatus, Kind, Triple
from ..base import Codec, Delta, EntityState, FactChanges, IndexRow, NewFact
from . import schema as t
from .dialects import insert_ignore
from .values import (
    entity_key,
    fact_values,
    optional_micros,
    optional_time,
    process_key,
    session_key,
    to_fact,
    to_micros,
)

_BATCH = 500


def state(connection: Connection, attribution: Attribution) -> EntityState:
    """The entity's revision and generation."""
    row = connection.execute(
        select(t.entity.c.revision, t.entity.c.generation).where(t.entity.c.id == entity_key(attribution))
    ).first()
    return EntityState(row.revision, row.generation) if row else EntityState()


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
    row = connection.execute(
        select(t.entity.c.revision, t.entity.c.generation).where(t.entity.c.id == key).with_for_update()
    ).one()
    # An entity that was not there yet (generation "") has just been made by this very call, or by a rival.
    found = EntityState(row.revision, row.generation if expected is None or expected.generation else "")
    if expected is not None and found != expected:
        raise RevisionConflictError(f"The facts of {attribution.entity_id!r} changed meanwhile; read them again.")
    if not changes:
        return ()
    revision, moment = row.revision + 1, to_micros(now)
    values: dict[str, Any] = {"revision": revision}
    if changes.space is not None:
        values["active_space"] = _ensure_space(connection, changes.space)
    connection.execute(update(t.entity).where(t.entity.c.id == key).values(**values))
    added = _add(connection, attribution, changes, codec, revision=revision, moment=moment)
    for retirement in changes.retire:
        connection.execute(
            update(t.fact)
            .where(t.fact.c.entity_id == key, t.fact.c.id == retirement.fact_id)
            .values(
                status=retirement.status,
                superseded_by=retirement.superseded_by,
                valid_to=func.coalesce(optional_micros(retirement.valid_to), t.fact.c.valid_to),
                retired_at=moment,
                revision=revision,
            )
        )
    for fact_id, message_key in changes.mentions:
        connection.execute(
            update(t.fact)
            .where(t.fact.c.entity_id == key, t.fact.c.id == fact_id)
            .values(mentions=t.fact.c.mentions + 1, revision=revision)
        )
        _mention(connection, key, [(fact_id, message_key)])
    return added


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
    _embed(connection, key, changes)
    for new in changes.add:
        _connect(connection, key, new, codec)
    created = optional_time(moment)
    return tuple(replace(new.fact, created_at=created, revision=revision) for new in changes.add)


def _mention(connection: Connection, entity: str, mentions: Sequence[tuple[str, str | None]]) -> None:
    insert_ignore(
        connection,
        t.mention,
        [{"fact_id": fact, "message_id": message, "entity_id": entity} for fact, message in mentions if message],
    )


def _ensure_space(connection: Connection, space: Space) -> str:
    key = derived_key("space", space.key)
    row = {"id": key, "embedder": space.embedder, "model": space.model, "dimension": space.dimension}
    insert_ignore(connection, t.space, [row])
    return key


def _embed(connection: Connection, entity: str, changes: FactChanges) -> None:
    if changes.space is None:
        return
    space = derived_key("space", changes.space.key)
    rows = [
        {
            "fact_id": new.fact.id,
            "space_id": space,
            "passage": passage,
            "entity_id": entity,
            "vector": np.ascontiguousarray(vector, dtype="<f4").tobytes(),
            "window_ids": json.dumps(new.window) if new.window else None,
        }
        for new in changes.add
        if new.vectors is not None
        for passage, vector in enumerate(new.vectors)
    ]
    if rows:
        connection.execute(t.embedding.insert(), rows)


def _connect(connection: Connection, entity: str, new: NewFact, codec: Codec) -> None:
    for triple in new.triples:
        subject = _node(connection, entity, triple.subject, triple.subject_type, codec)
        target = _node(connection, entity, triple.object, triple.object_type, codec)
        predicate = derived_key("predicate", entity, triple.predicate.casefold())
        insert_ignore(
            connection,
            t.predicate,
            [{"id": predicate, "entity_id": entity, "name": codec.encode(triple.predicate)}],
        )
        edge = {"id": new_key(), "entity_id": entity, "fact_id": new.fact.id}
        connection.execute(
            t.triple.insert(), {**edge, "subject_id": subject, "predicate_id": predicate, "object_id": target}
        )


def _node(connection: Connection, entity: str, name: str, kind: str, codec: Codec) -> str:
    key = derived_key("node", entity, name.casefold(), kind)
    insert_ignore(connection, t.node, [{"id": key, "entity_id": entity, "name": codec.encode(name), "type": kind[:64]}])
    return key


def changes_since(connection: Connection, attribution: Attribution, space: Space, revision: int, codec: Codec) -> Delta:
    """Facts changed after a revision, with their vectors. From the beginning, only what recall may return."""
    now = state(connection, attribution)
    f, e = t.fact, t.embedding
    changed = [f.c.entity_id == entity_key(attribution), f.c.revision > revision, f.c.revision <= now.revision]
    if revision <= 0:
        changed.append(f.c.status.in_(("active", "superseded")))
    vectors: dict[str, list[bytes]] = {}
    embedded = (
        select(e.c.fact_id, e.c.vector)
        .join(f, f.c.id == e.c.fact_id)
        .where(*changed, e.c.space_id == derived_key("space", space.key))
        .order_by(e.c.fact_id, e.c.passage)
    )
    for fact_id, vector in connection.execute(embedded):
        vectors.setdefault(fact_id, []).append(vector)
    columns = (
        f.c.id, f.c.search_text, f.c.kind, f.c.status, f.c.speaker, f.c.session_id, f.c.position, f.c.said_at,
        f.c.valid_from, f.c.valid_to,
    )  # fmt: skip
    rows = [
        IndexRow(
            fact_id=row.id,
            text=codec.decode(row.search_text).strip(),
            kind=row.kind,
            status=row.status,
            speaker=codec.decode(row.speaker) if row.speaker else None,
            session_id=row.session_id,
            position=row.position,
            said_at=optional_time(row.said_at),
            valid_from=optional_time(row.valid_from),
            valid_to=optional_time(row.valid_to),
            vectors=_stack(vectors.get(row.id), space.dimension),
        )
        for row in connection.execute(select(*columns).where(*changed).order_by(f.c.revision, f.c.id))
    ]
    return Delta(now, rows)


def _stack(found: list[bytes] | None, dimension: int) -> NDArray[np.float32] | None:
    """Passages as one array; None when there are none or one was damaged, so that words alone find the fact."""
    if not found or any(len(vector) != 4 * dimension for vector in found):
        return None
    passages = np.frombuffer(b"".join(found), dtype="<f4").reshape(len(found), dimension)
    return passages if np.isfinite(passages).all() else None


def select_facts(
    connection: Connection,
    attribution: Attribution,
    codec: Codec,
    *,
    ids: Collection[str] | None = None,
    kinds: Collection[Kind] | None = None,
    statuses: Collection[FactStatus] = ACTIVE,
    as_of: datetime | None = None,
    slots: Collection[str] | None = None,
    process_id: str | None = None,
    fingerprints: Collection[str] | None = None,
    now: datetime | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[tuple[str, Fact]]:
    """Facts with their fingerprints, newest first. Ids, slots and fingerprints may be many; they go in batches."""
    f, s = t.fact, t.session
    query = (
        select(f, s.c.external_id.label("session"))
        .outerjoin(s, s.c.id == f.c.session_id)
        .where(f.c.entity_id == entity_key(attribution))
        .order_by(f.c.created_at.desc(), f.c.position.desc(), f.c.id.desc())
    )
    if as_of is not None:
        moment = to_micros(as_of)
        query = query.where(
            f.c.status.in_(("active", "superseded")),
            or_(
                f.c.valid_from <= moment,
                f.c.valid_from.is_(None) & (func.coalesce(f.c.said_at, f.c.created_at) <= moment),
            ),
            or_(f.c.valid_to.is_(None), f.c.valid_to > moment),
        )
    elif statuses:
        query = query.where(f.c.status.in_(tuple(statuses)))
    if kinds is not None:
        query = query.where(f.c.kind.in_(tuple(kinds)))
    if process_id is not None:
        query = query.where(f.c.process_id == process_key(replace(attribution, process_id=process_id)))
    if now is not None:
        query = query.where(or_(f.c.expires_at.is_(None), f.c.expires_at > to_micros(now)))
    if limit is not None:
        query = query.limit(limit)
    if offset:
        query = query.offset(offset)
    found: list[tuple[str, Fact]] = []
    for one in _batched(query, (f.c.id, ids), (f.c.slot, slots), (f.c.fingerprint, fingerprints)):
        found.extend((row["fingerprint"], to_fact(row, codec)) for row in connection.execute(one).mappings())
    return found


def _batched(query: Any, *filters: tuple[Any, Collection[str] | None]) -> Iterator[Any]:
    """Databases bound the number of parameters: split the one filter that may be long."""
    for column, values in filters:
        if values is not None:
            ordered = list(dict.fromkeys(values))
            for start in range(0, len(ordered), _BATCH):
                yield query.where(column.in_(ordered[start : start + _BATCH]))
            return
    yield query


def search(
    connection: Connection, attribution: Attribution, terms: Sequence[str], *, limit: int
) -> list[tuple[str, str]]:
    """Portable search: facts that hold any term, those with most terms first."""
    wanted = list(dict.fromkeys(term for term in terms if term))[:32]
    if not wanted:
        return []
    f = t.fact
    holds = [f.c.search_text.like(f"% {_escape(term)} %", escape="\\") for term in wanted]
    matched = sum((case((one, 1), else_=0) for one in holds[1:]), case((holds[0], 1), else_=0))
    query = (
        select(f.c.id, f.c.search_text)
        .where(f.c.entity_id == entity_key(attribution), f.c.status == "active", or_(*holds))
        .order_by(matched.desc(), f.c.created_at.desc())
        .limit(limit)
    )
    return [(row.id, row.search_text.strip()) for row in connection.execute(query)]


def _escape(term: str) -> str:
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def triples(connection: Connection, attribution: Attribution, codec: Codec, *, limit: int) -> list[tuple[str, Triple]]:
    """Triples of active facts."""
    g, p = t.triple, t.predicate
    subject, target = t.node.alias("subject"), t.node.alias("target")
    query = (
        select(g.c.fact_id, subject.c.name, subject.c.type, p.c.name, target.c.name, target.c.type)
        .select_from(
            g.join(t.fact, t.fact.c.id == g.c.fact_id)
            .join(subject, subject.c.id == g.c.subject_id)
            .join(p, p.c.id == g.c.predicate_id)
            .join(target, target.c.id == g.c.object_id)
        )
        .where(g.c.entity_id == entity_key(attribution), t.fact.c.status == "active")
        .order_by(g.c.id)
        .limit(limit)
    )
    return [
        (
            fact_id,
            Triple(
                codec.decode(subject_name), codec.decode(name), codec.decode(target_name), subject_type, target_type
            ),
        )
        for fact_id, subject_name, subject_type, name, target_name, target_type in connection.execute(query)
    ]


def erase(connection: Connection, attribution: Attribution) -> dict[str, int]:
    """Delete every row about the entity, children first. The process stays: it belongs to other entities too."""
    key = entity_key(attribution)
    connection.execute(select(t.entity.c.id).where(t.entity.c.id == key).with_for_update())
    gone = {}
    owned = (
        t.triple, t.predicate, t.node, t.embedding, t.mention, t.process_attribute, t.item, t.job, t.fact, t.message,
        t.conversation, t.session,
    )  # fmt: skip
    for table in owned:
        gone[table.name] = connection.execute(table.delete().where(table.c.entity_id == key)).rowcount
    gone[t.entity.name] = connection.execute(t.entity.delete().where(t.entity.c.id == key)).rowcount
    return gone
