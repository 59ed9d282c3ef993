"""The tables, as one SQLAlchemy MetaData. Migrations lead here.

Ids are 32 hexadecimal digits chosen by Memori, never by the database: no dialect needs RETURNING, and a row's id is
never mistaken for a user's. They are derived from the ids an application uses, so no unique constraint over those is
needed, which some databases would fold (case, accents, a space at the end) or find too long. Times are integers,
microseconds since 1970 in UTC. JSON is kept as text. Names have at most 30 characters, for Oracle's sake.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

metadata = MetaData()

KEY = String(32)
EXTERNAL_ID = String(255)
LONG_TEXT = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
BLOB = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
TOKENS = LONG_TEXT.with_variant(postgresql.TSVECTOR(), "postgresql")

# Ids that differ in case or accents are different tenants.
_MYSQL = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
_OPTIONS: dict[str, Any] = {f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _MYSQL.items()}


class MaybeEmpty(TypeDecorator[str]):
    """Text that may be empty but is never missing. Oracle stores an empty text as NULL, so the column admits NULL."""

    impl = Text
    cache_ok = True

    def __init__(self, stored_as: TypeEngine[str]) -> None:
        super().__init__()
        self.stored_as = stored_as

    def load_dialect_impl(self, dialect: Any) -> Any:
        """The type it is stored as."""
        return dialect.type_descriptor(self.stored_as.dialect_impl(dialect))

    def process_result_value(self, value: str | None, dialect: Any) -> str:
        """Read NULL as the empty text it was."""
        return value or ""


EMPTY_TEXT = MaybeEmpty(LONG_TEXT)
EMPTY_ID = MaybeEmpty(EXTERNAL_ID)


def _table(name: str, *columns: Any) -> Table:
    return Table(name, metadata, *columns, **_OPTIONS)


def _key(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, KEY, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=nullable, primary_key=primary_key)


schema_version = _table(
    "memori_schema_version",
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", BigInteger, nullable=False),
)

entity = _table(
    "memori_entity",
    Column("id", KEY, primary_key=True),
    Column("namespace", EMPTY_ID),
    Column("external_id", EXTERNAL_ID, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("generation", KEY, nullable=False),
    Column("active_space", KEY),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_memori_entity_external", "external_id"),
)

process = _table(
    "memori_process",
    Column("id", KEY, primary_key=True),
    Column("namespace", EMPTY_ID),
    Column("external_id", EXTERNAL_ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_memori_process_external", "external_id"),
)

session = _table(
    "memori_session",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("process_id", "memori_process", nullable=True),
    Column("external_id", EXTERNAL_ID, nullable=False),
    Column("implicit", SmallInteger, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("last_digest", String(64)),
    Index("ix_memori_session_recent", "entity_id", "process_id", "last_at"),
    Index("ix_memori_session_digest", "entity_id", "last_digest"),
)

conversation = _table(
    "memori_conversation",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("session_id", "memori_session"),
    Column("external_id", EXTERNAL_ID),
    Column("summary", LONG_TEXT),
    Column("started_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index("ix_memori_conversation_recent", "entity_id", "last_at"),
    Index("ix_memori_conversation_latest", "session_id", "last_at"),
)

message = _table(
    "memori_conversation_message",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("session_id", "memori_session"),
    _key("conversation_id", "memori_conversation"),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("name", LONG_TEXT),
    Column("content", EMPTY_TEXT),
    Column("native_id", EXTERNAL_ID),
    Column("digest", String(64), nullable=False),
    Column("tools", LONG_TEXT),
    Column("payload", LONG_TEXT),
    Column("source", String(16), nullable=False),
    Column("partial", SmallInteger, nullable=False),
    Column("archived", SmallInteger, nullable=False),
    Column("said_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("session_id", "position", name="uq_memori_message_position"),
    Index("ix_memori_message_native", "session_id", "native_id"),
    Index("ix_memori_message_entity", "entity_id", "said_at"),
    Index("ix_memori_message_conversation", "conversation_id", "position"),
)

fact = _table(
    "memori_entity_fact",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("process_id", "memori_process", nullable=True),
    Column("session_id", KEY),
    Column("position", Integer),
    Column("message_id", KEY),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("content", EMPTY_TEXT),
    Column("search_text", LONG_TEXT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("slot", String(255)),
    Column("speaker", LONG_TEXT),
    Column("source", String(16), nullable=False),
    Column("importance", Float, nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("tier", String(8), nullable=False),
    Column("extractor", MaybeEmpty(String(64))),
    Column("said_at", BigInteger),
    Column("valid_from", BigInteger),
    Column("valid_to", BigInteger),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
    Column("superseded_by", KEY),
    Column("revision", BigInteger, nullable=False),
    Index("ix_memori_fact_revision", "entity_id", "revision"),
    Index("ix_memori_fact_newest", "entity_id", "status", "kind", "created_at", "position", "id"),
    Index("ix_memori_fact_fingerprint", "entity_id", "fingerprint"),
    Index("ix_memori_fact_slot", "entity_id", "slot"),
    Index("ix_memori_fact_successor", "entity_id", "superseded_by"),
    Index("ix_memori_fact_tier", "entity_id", "tier"),
)

mention = _table(
    "memori_entity_fact_mention",
    _key("fact_id", "memori_entity_fact", primary_key=True),
    Column("message_id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Index("ix_memori_mention_message", "entity_id", "message_id"),
)

search = _table(
    "memori_fact_search",
    # Newer facts have greater numbers; SQLite's full text knows its rows by them.
    Column("ordinal", BigInteger().with_variant(Integer(), "sqlite"), Identity(), primary_key=True),
    _key("fact_id", "memori_entity_fact"),
    _key("entity_id", "memori_entity"),
    Column("tokens", TOKENS, nullable=False),
    UniqueConstraint("fact_id", name="uq_memori_search_fact"),
    Index("ix_memori_search_entity", "entity_id"),
)

space = _table(
    "memori_embedding_space",
    Column("id", KEY, primary_key=True),
    Column("embedder", EXTERNAL_ID, nullable=False),
    Column("model", EMPTY_ID),
    Column("dimension", Integer, nullable=False),
)

embedding = _table(
    "memori_fact_embedding",
    _key("fact_id", "memori_entity_fact", primary_key=True),
    Column("space_id", KEY, ForeignKey("memori_embedding_space.id"), primary_key=True),
    Column("passage", Integer, primary_key=True, autoincrement=False),
    _key("entity_id", "memori_entity"),
    Column("vector", BLOB, nullable=False),
    Column("window_ids", LONG_TEXT),
    Index("ix_memori_embedding_entity", "entity_id", "space_id"),
)

process_attribute = _table(
    "memori_process_attribute",
    Column("id", KEY, primary_key=True),
    _key("process_id", "memori_process"),
    _key("entity_id", "memori_entity", nullable=True),
    Column("content", EMPTY_TEXT),
    Column("fingerprint", String(64), nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("message_id", KEY),
    Column("source", String(16)),
    Column("extractor", String(64)),
    Index("ix_memori_process_attribute", "process_id", "fingerprint"),
    Index("ix_memori_attribute_entity", "entity_id", "process_id"),
)

node = _table(
    "memori_node",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("name", EMPTY_TEXT),
    Column("type", MaybeEmpty(String(64))),
    Index("ix_memori_node_entity", "entity_id"),
)

predicate = _table(
    "memori_predicate",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("name", EMPTY_TEXT),
    Index("ix_memori_predicate_entity", "entity_id"),
)

triple = _table(
    "memori_knowledge_graph",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("fact_id", "memori_entity_fact"),
    _key("subject_id", "memori_node"),
    _key("predicate_id", "memori_predicate"),
    _key("object_id", "memori_node"),
    Index("ix_memori_graph_entity", "entity_id"),
    Index("ix_memori_graph_fact", "fact_id"),
)

job = _table(
    "memori_augmentation_job",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("session_id", "memori_session"),
    Column("first_position", Integer, nullable=False),
    Column("last_position", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_token", KEY),
    Column("lease_until", BigInteger),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("last_error", LONG_TEXT),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index("ix_memori_job_due", "state", "next_attempt_at"),
    Index("ix_memori_job_entity", "entity_id", "state"),
)

ITEM_SCOPES = ("scope_1", "scope_2", "scope_3")

item = _table(
    "memori_item",
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("namespace", LONG_TEXT, nullable=False),
    Column("item_key", EMPTY_TEXT),
    Column("content", EMPTY_TEXT),
    Column("space_id", KEY),
    Column("vectors", BLOB),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # Fingerprints of the namespace's first label, first two and first three; none in what older versions wrote.
    *(Column(name, String(64)) for name in ITEM_SCOPES),
    Index("ix_memori_item_newest", "entity_id", "updated_at", "id"),
    *(Index(f"ix_memori_item_{name}", "entity_id", name, "updated_at", "id") for name in ITEM_SCOPES),
    Index("ix_memori_item_expiry", "expires_at"),
)
