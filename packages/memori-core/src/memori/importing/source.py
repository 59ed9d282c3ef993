"""Read a Memori 3 database, and nothing but read it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, TableClause, column, func, select, table

from .database import Database, layout_of
from .layout import (
    ATTRIBUTE,
    CONVERSATION,
    ENTITY,
    FACT,
    GRAPH,
    MENTION,
    MESSAGE,
    OBJECT,
    PREDICATE,
    PROCESS,
    SESSION,
    SUBJECT,
)
from .values import to_count, to_moment, to_text


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody remembered: the row's id, and the id the application knows them by."""

    row: Any
    id: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message, of a conversation of a session with a process."""

    key: str
    process_id: str | None
    session_id: str
    conversation_id: str
    role: str
    text: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a fact was said: in which session and, where that is known, in which message."""

    process_id: str | None
    session_id: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """A fact, how often it was said, and where."""

    key: str
    row: Any
    text: str
    count: int
    created_at: datetime | None
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A triple, and the row of the fact it came from, where that is known."""

    subject: str
    predicate: str
    object: str
    subject_type: str
    object_type: str
    count: int
    created_at: datetime | None
    fact: Any


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is: rows of each kind by entity, and what cannot be copied, for people."""

    entities: tuple[Entity, ...]
    facts: Counter[Any]
    mentions: Counter[Any]
    conversations: Counter[Any]
    messages: Counter[Any]
    triples: Counter[Any]
    left_behind: tuple[str, ...]


class Source:
    """A Memori 3 database. Nothing is opened before the first read; every read is a transaction that may not write.

    Raises `SchemaError` when it is not one, and the errors of an unreachable database.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.display = self._database.display
        with self._database.read() as connection:
            self.layout = layout_of(connection, self.display)
            self._processes = self._names(connection, PROCESS)
            self._nodes = {name: self._node_names(connection, name) for name in (SUBJECT, OBJECT)}
            self._predicates = {row: name for row, (name, _) in self._node_names(connection, PREDICATE).items()}

    def inventory(self) -> Inventory:
        """Count what there is, by entity."""
        with self._database.read() as connection:
            entities = tuple(self._entities(connection))
            facts = self._count(connection, (FACT,))
            mentions = self._count(connection, (FACT, MENTION))
            conversations = self._count(connection, (SESSION, CONVERSATION))
            messages = self._count(connection, (SESSION, CONVERSATION, MESSAGE))
            triples = self._count(connection, (GRAPH,))
            known = {entity.row for entity in entities}
            counted = ("facts", facts), ("conversations", conversations), ("messages", messages), ("triples", triples)
            left = [
                f"{lost:,} {what} belong to no entity."
                for what, counts in counted
                if (lost := sum(number for row, number in counts.items() if row not in known))
            ]
            left.extend(self._without_a_place(connection))
        return Inventory(entities, facts, mentions, conversations, messages, triples, tuple(left))

    def messages(self, entity: Entity) -> Iterator[Said]:
        """What was said, session by session and conversation by conversation, in order."""
        if not self.layout.has(SESSION, CONVERSATION, MESSAGE):
            return
        with self._database.read() as connection:
            sessions = list(self._rows(connection, SESSION, ("entity", entity.row)))
        for session in sessions:
            process = self._processes.get(session.get("process"))
            with self._database.read() as connection:
                conversations = list(self._rows(connection, CONVERSATION, ("session", session["id"])))
                rows = [
                    (conversation, row)
                    for conversation in conversations
                    for row in self._rows(connection, MESSAGE, ("conversation", conversation["id"]))
                ]
            for conversation, row in rows:
                yield Said(
                    key=_external(row),
                    process_id=process,
                    session_id=_external(session),
                    conversation_id=_external(conversation),
                    role=to_text(row["role"]).strip().casefold(),
                    text=to_text(row["text"]),
                    created_at=to_moment(row.get("created")) or to_moment(conversation.get("created")),
                )

    def facts(self, entity: Entity) -> list[Known]:
        """The entity's facts, oldest first, with what mentions them."""
        if not self.layout.has(FACT):
            return []
        with self._database.read() as connection:
            rows = list(self._rows(connection, FACT, ("entity", entity.row)))
            mentioned = self._mentions(connection, entity)
        return [
            Known(
                key=_external(row),
                row=row["id"],
                text=to_text(row["text"]).strip(),
                count=to_count(row.get("count")),
                created_at=to_moment(row.get("created")),
                mentions=tuple(mentioned.get(row["id"], ())),
            )
            for row in rows
        ]

    def triples(self, entity: Entity) -> list[Edge]:
        """The entity's triples whose three parts are there."""
        if not self.layout.has(GRAPH, SUBJECT, PREDICATE, OBJECT):
            return []
        with self._database.read() as connection:
            rows = list(self._rows(connection, GRAPH, ("entity", entity.row)))
        found = []
        for row in rows:
            subject = self._nodes[SUBJECT].get(row["subject"])
            target = self._nodes[OBJECT].get(row["object"])
            predicate = self._predicates.get(row["predicate"])
            if subject and target and predicate:
                found.append(
                    Edge(
                        subject=subject[0],
                        predicate=predicate,
                        object=target[0],
                        subject_type=subject[1],
                        object_type=target[1],
                        count=to_count(row.get("count")),
                        created_at=to_moment(row.get("created")),
                        fact=row.get("fact"),
                    )
                )
        return found

    def _entities(self, connection: Connection) -> Iterator[Entity]:
        for row in self._rows(connection, ENTITY):
            yield Entity(row["id"], to_text(row["external id"]))

    def _names(self, connection: Connection, name: str) -> dict[Any, str]:
        return {row["id"]: to_text(row["external id"]) for row in self._rows(connection, name)}

    def _node_names(self, connection: Connection, name: str) -> dict[Any, tuple[str, str]]:
        return {
            row["id"]: (to_text(row["name"]).strip(), to_text(row.get("type")).strip())
            for row in self._rows(connection, name)
        }

    def _rows(
        self, connection: Connection, name: str, where: tuple[str, Any] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of a table by what its columns are for, in the order they were written; none without the table."""
        if not self.layout.has(name):
            return
        columns = self.layout.tables[name]
        source = _table(name, columns.values())
        query: Select[Any] = select(*(source.c[real].label(f"c{n}") for n, real in enumerate(columns.values())))
        if where is not None:
            query = query.where(source.c[columns[where[0]]] == where[1])
        order = [source.c[columns[use]] for use in ("created", "id") if use in columns]
        for row in connection.execute(query.order_by(*order)):
            yield dict(zip(columns, row, strict=True))

    def _mentions(self, connection: Connection, entity: Entity) -> dict[Any, list[Mention]]:
        """Where each fact of the entity was said, by the fact's row."""
        if not self.layout.has(MENTION, SESSION, CONVERSATION):
            return {}
        uses, facts_uses = self.layout.tables[MENTION], self.layout.tables[FACT]
        facts, mentions = _table(FACT, facts_uses.values()), _table(MENTION, uses.values())
        query = (
            select(*(mentions.c[real].label(f"c{n}") for n, real in enumerate(uses.values())))
            .join_from(mentions, facts, mentions.c[uses["fact"]] == facts.c[facts_uses["id"]])
            .where(facts.c[facts_uses["entity"]] == entity.row)
        )
        rows = [dict(zip(uses, row, strict=True)) for row in connection.execute(query)]
        found: dict[Any, list[Mention]] = defaultdict(list)
        if rows:
            conversations, messages = self._places(connection, entity)
            for row in rows:
                place = messages.get(row.get("message")) or conversations.get(row.get("conversation"))
                if place is not None:
                    found[row["fact"]].append(place)
        return found

    def _places(self, connection: Connection, entity: Entity) -> tuple[dict[Any, Mention], dict[Any, Mention]]:
        """Each conversation and each message of the entity, by its row, as a place where something was said."""
        conversations: dict[Any, Mention] = {}
        messages: dict[Any, Mention] = {}
        with_messages = "message" in self.layout.tables[MENTION]
        for session in self._rows(connection, SESSION, ("entity", entity.row)):
            place = Mention(self._processes.get(session.get("process")), _external(session), None)
            for conversation in self._rows(connection, CONVERSATION, ("session", session["id"])):
                conversations[conversation["id"]] = place
                if with_messages:
                    for row in self._rows(connection, MESSAGE, ("conversation", conversation["id"])):
                        messages[row["id"]] = replace(place, message=_external(row))
        return conversations, messages

    def _count(self, connection: Connection, path: Sequence[str]) -> Counter[Any]:
        """Rows of the last table of a path by entity; the first has the entity, each next one points to the one before.

        The use that points back is named after the table pointed to.
        """
        if not self.layout.has(*path):
            return Counter()
        tables = [_table(name, self.layout.tables[name].values()) for name in path]
        entity = tables[0].c[self.layout.tables[path[0]]["entity"]]
        joined: Any = tables[0]
        for above, below, name, parent in zip(tables, tables[1:], path[1:], path, strict=False):
            back = self.layout.tables[name][_USE[parent]]
            joined = joined.join(below, below.c[back] == above.c[self.layout.tables[parent]["id"]])
        counted = select(entity, func.count()).select_from(joined).group_by(entity)
        return Counter({row[0]: row[1] for row in connection.execute(counted)})

    def _without_a_place(self, connection: Connection) -> Iterator[str]:
        """What there is in the database and no place for here, for people."""
        if "summary" in self.layout.tables.get(CONVERSATION, {}):
            conversations = _table(CONVERSATION, self.layout.tables[CONVERSATION].values())
            summary = conversations.c[self.layout.tables[CONVERSATION]["summary"]]
            number = connection.execute(select(func.count()).where(summary.is_not(None), summary != "")).scalar()
            if number:
                yield f"{number:,} summaries of conversations: the messages they sum up are copied."
        if self.layout.has(ATTRIBUTE):
            number = connection.execute(select(func.count()).select_from(table(ATTRIBUTE))).scalar()
            if number:
                yield f"{number:,} attributes of processes."


_USE = {SESSION: "session", CONVERSATION: "conversation", FACT: "fact"}


def _table(name: str, columns: Any) -> TableClause:
    """A table without types: values come as the driver gives them, and are read with tolerance."""
    return table(name, *(column(one) for one in dict.fromkeys(columns)))


def _external(row: Mapping[str, Any]) -> str:
    """What a row is known by outside its table: its own external id, else its number."""
    return to_text(row.get("external id")) or to_text(row["id"])
