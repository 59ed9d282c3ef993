"""Triples: who is what to whom, each belonging to a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from ...keys import derived_key, new_key
from ...model import Attribution, Triple
from ..records import Codec, NewFact
from ..values import entity_key
from . import schema as t
from .dialects import insert_missing
from .direct import rows
from .validity import valid_at


def connect(connection: Connection, entity: str, facts: Sequence[NewFact], codec: Codec) -> None:
    """Store the triples of new facts: three statements, however many there are."""
    nodes: dict[str, dict[str, Any]] = {}
    predicates: dict[str, dict[str, Any]] = {}
    edges: list[dict[str, Any]] = []

    def node(name: str, kind: str) -> str:
        key = derived_key("node", entity, name.casefold(), kind)
        nodes.setdefault(key, {"id": key, "entity_id": entity, "name": codec.encode(name), "type": kind[:64]})
        return key

    for new in facts:
        for triple in new.triples:
            predicate = derived_key("predicate", entity, triple.predicate.casefold())
            predicates.setdefault(
                predicate, {"id": predicate, "entity_id": entity, "name": codec.encode(triple.predicate)}
            )
            edges.append(
                {
                    "id": new_key(),
                    "entity_id": entity,
                    "fact_id": new.fact.id,
                    "subject_id": node(triple.subject, triple.subject_type),
                    "predicate_id": predicate,
                    "object_id": node(triple.object, triple.object_type),
                }
            )
    # In one order, so that two writers wait for each other instead of each for the other's row.
    insert_missing(connection, t.node, [nodes[key] for key in sorted(nodes)])
    insert_missing(connection, t.predicate, [predicates[key] for key in sorted(predicates)])
    if edges:
        connection.execute(t.triple.insert(), edges)


def nodes_of(*which: ColumnElement[bool]) -> Select[Any]:
    """Reads the nodes of facts, which conditions on the fact table choose."""
    g, subject, target = t.triple, t.node.alias("subject"), t.node.alias("target")
    return (
        select(g.c.fact_id, subject.c.name.label("subject_name"), target.c.name.label("target_name"))
        .select_from(
            g.join(t.fact, t.fact.c.id == g.c.fact_id)
            .join(subject, subject.c.id == g.c.subject_id)
            .join(target, target.c.id == g.c.object_id)
        )
        .where(*which)
    )


def nodes(connection: Connection, query: Select[Any], given: Mapping[str, Any], codec: Codec) -> dict[str, set[str]]:
    """The names of the nodes of facts, by the fact's id: what `nodes_of` reads."""
    found: dict[str, set[str]] = {}
    for fact_id, *names in rows(connection, query, given):
        found.setdefault(fact_id, set()).update(map(codec.decode, names))
    return found


def triples(
    connection: Connection, attribution: Attribution, codec: Codec, *, limit: int, as_of: datetime | None
) -> list[tuple[str, Triple]]:
    """Triples of active facts, or of those true at a moment."""
    holds = [t.fact.c.status == "active"]
    if as_of is not None:
        holds = [t.fact.c.status.in_(("active", "superseded")), *valid_at(as_of)]
    g, p = t.triple, t.predicate
    subject, target = t.node.alias("subject"), t.node.alias("target")
    query = (
        select(
            g.c.fact_id,
            subject.c.name.label("subject_name"),
            subject.c.type.label("subject_type"),
            p.c.name.label("predicate_name"),
            target.c.name.label("target_name"),
            target.c.type.label("target_type"),
        )
        .select_from(
            g.join(t.fact, t.fact.c.id == g.c.fact_id)
            .join(subject, subject.c.id == g.c.subject_id)
            .join(p, p.c.id == g.c.predicate_id)
            .join(target, target.c.id == g.c.object_id)
        )
        .where(g.c.entity_id == entity_key(attribution), *holds)
        .order_by(g.c.id)
        .limit(limit)
    )
    found: list[tuple[str, Triple]] = []
    for row in connection.execute(query):
        said, predicate, about = map(codec.decode, (row.subject_name, row.predicate_name, row.target_name))
        found.append((row.fact_id, Triple(said, predicate, about, row.subject_type, row.target_type)))
    return found
