"""Which tables and columns a Memori 3 database has: found by name, since its versions differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_CREATED = ("date_created", "created_at", "date_added", "created", "timestamp", "date")
_COUNT = ("num_times", "mention_count", "mentions", "times", "count")
_NAME = ("content", "name", "value", "text")

ENTITY, PROCESS, SESSION = "memori_entity", "memori_process", "memori_session"
CONVERSATION, MESSAGE = "memori_conversation", "memori_conversation_message"
FACT, MENTION = "memori_entity_fact", "memori_entity_fact_mention"
SUBJECT, PREDICATE, OBJECT, GRAPH = "memori_subject", "memori_predicate", "memori_object", "memori_knowledge_graph"
ATTRIBUTE = "memori_process_attribute"


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of a table: what each is for, and the names it may have, likeliest first."""

    needed: Mapping[str, tuple[str, ...]]
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_NODE = _Table({"id": ("id",), "name": (*_NAME, "subject", "predicate", "object")}, {"type": ("type", "node_type")})
_TABLES = {
    ENTITY: _Table({"id": ("id",), "external id": ("external_id", "name", "uuid")}),
    PROCESS: _Table({"id": ("id",), "external id": ("external_id", "name", "uuid")}),
    SESSION: _Table(
        {"id": ("id",), "entity": ("entity_id",)},
        {"external id": ("uuid", "external_id", "session_id"), "process": ("process_id",)},
    ),
    CONVERSATION: _Table(
        {"id": ("id",), "session": ("session_id",)},
        {"external id": ("uuid", "external_id"), "created": _CREATED, "summary": ("summary",)},
    ),
    MESSAGE: _Table(
        {
            "id": ("id",),
            "conversation": ("conversation_id",),
            "role": ("role",),
            "text": ("content", "text", "message"),
        },
        {"external id": ("uuid", "external_id"), "created": _CREATED},
    ),
    FACT: _Table(
        {"id": ("id",), "entity": ("entity_id",), "text": ("content", "fact", "text")},
        {"external id": ("uuid", "external_id"), "count": _COUNT, "created": _CREATED},
    ),
    MENTION: _Table(
        {"fact": ("fact_id", "entity_fact_id")},
        {"message": ("message_id", "conversation_message_id"), "conversation": ("conversation_id",)},
    ),
    SUBJECT: _NODE,
    PREDICATE: _NODE,
    OBJECT: _NODE,
    GRAPH: _Table(
        {
            "entity": ("entity_id",),
            "subject": ("subject_id",),
            "predicate": ("predicate_id",),
            "object": ("object_id",),
        },
        {"fact": ("fact_id", "entity_fact_id"), "count": _COUNT, "created": _CREATED},
    ),
    ATTRIBUTE: _Table({}),
}
_QUIET = {"type"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables that can be read, each with the real names of its columns by what they are for.

    `missing` says, for people, which tables and columns were not found and what follows.
    """

    tables: Mapping[str, Mapping[str, str]]
    missing: tuple[str, ...]

    def has(self, *tables: str) -> bool:
        """Whether all of the tables can be read."""
        return all(table in self.tables for table in tables)


def recognise(present: Mapping[str, tuple[str, ...]]) -> Layout:
    """Match the columns of the tables that are there, by name, against those that are needed or wanted."""
    tables: dict[str, dict[str, str]] = {}
    missing: list[str] = []
    for name, table in _TABLES.items():
        if name not in present:
            missing.append(f"There is no table {name}.")
            continue
        columns = {column.casefold(): column for column in present[name]}
        found = {
            use: columns[candidate]
            for use, candidates in {**table.needed, **table.wanted}.items()
            if (candidate := next((one for one in candidates if one in columns), None)) is not None
        }
        absent = [use for use in table.needed if use not in found]
        if absent:
            wanted = "; ".join(f"{use} ({', '.join(table.needed[use])})" for use in absent)
            missing.append(f"{name} has no column for its {wanted}: the table is not read.")
            continue
        tables[name] = found
        missing.extend(
            f"{name} has no column for its {use} ({', '.join(candidates)})."
            for use, candidates in table.wanted.items()
            if use not in found and use not in _QUIET
        )
    return Layout(tables, tuple(missing))
