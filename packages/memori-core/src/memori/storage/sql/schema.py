"""The tables, as one SQLAlchemy MetaData. Migrations lead here; `build` checks that they did.

Ids are 32 hexadecimal digits chosen by Memori, never by the database: no dialect needs RETURNING, and a row's id is
never mistaken for a user's. Times are integers, microseconds since 1970 in UTC. JSON is kept as text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

metadata = MetaData()

KEY = String(32)
EXTERNAL_ID = String(255)
LONG_TEXT = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
BLOB = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def _key(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, KEY, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=nullable, primary_key=primary_key)


schema_version = Table(
    "memori_schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", BigInteger, nullable=False),
)

entity = Table(
    "memori_entity",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("namespace", EXTERNAL_ID, nullable=False),
    Column("external_id", EXTERNAL_ID, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("generation", KEY, nullable=False),
    Column("active_space", KEY),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("namespace", "external_id", name="uq_memori_entity"),
)

process = Table(
    "memori_process",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("namespace", EXTERNAL_ID, nullable=False),
    Column("external_id", EXTERNAL_ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("namespace", "external_id", name="uq_memori_process"),
)

session = Table(
    "memori_session",
    metadata,
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

conversation = Table(
    "memori_conversation",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("session_id", "memori_session"),
    Column("external_id", EXTERNAL_ID),
    Column("summary", LONG_TEXT),
    Column("started_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index("ix_memori_conversation_recent", "entity_id", "last_at"),
    Index("ix_memori_conversation_session", "session_id", "last_at"),
)

message = Table(
    "memori_conversation_message",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("session_id", "memori_session"),
    _key("conversation_id", "memori_conversation"),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("name", LONG_TEXT),
    Column("content", LONG_TEXT, nullable=False),
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

fact = Table(
    "memori_entity_fact",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("process_id", "memori_process", nullable=True),
    Column("session_id", KEY),
    Column("position", Integer),
    Column("message_id", KEY),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("content", LONG_TEXT, nullable=False),
    Column("search_text", LONG_TEXT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("slot", String(255)),
    Column("speaker", LONG_TEXT),
    Column("source", String(16), nullable=False),
    Column("importance", Float, nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("tier", String(8), nullable=False),
    Column("extractor", String(64), nullable=False),
    Column("said_at", BigInteger),
    Column("valid_from", BigInteger),
    Column("valid_to", BigInteger),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
    Column("superseded_by", KEY),
    Column("revision", BigInteger, nullable=False),
    Index("ix_memori_fact_revision", "entity_id", "revision"),
    Index("ix_memori_fact_status", "entity_id", "status", "kind"),
    Index("ix_memori_fact_fingerprint", "entity_id", "fingerprint"),
    Index("ix_memori_fact_slot", "entity_id", "slot"),
)

mention = Table(
    "memori_entity_fact_mention",
    metadata,
    _key("fact_id", "memori_entity_fact", primary_key=True),
    Column("message_id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Index("ix_memori_mention_entity", "entity_id"),
)

space = Table(
    "memori_embedding_space",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("embedder", EXTERNAL_ID, nullable=False),
    Column("model", EXTERNAL_ID, nullable=False),
    Column("dimension", Integer, nullable=False),
)

embedding = Table(
    "memori_fact_embedding",
    metadata,
    _key("fact_id", "memori_entity_fact", primary_key=True),
    Column("space_id", KEY, ForeignKey("memori_embedding_space.id"), primary_key=True),
    Column("passage", Integer, primary_key=True, autoincrement=False),
    _key("entity_id", "memori_entity"),
    Column("vector", BLOB, nullable=False),
    Column("window_ids", LONG_TEXT),
    Index("ix_memori_embedding_entity", "entity_id", "space_id"),
)

process_attribute = Table(
    "memori_process_attribute",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("process_id", "memori_process"),
    _key("entity_id", "memori_entity", nullable=True),
    Column("content", LONG_TEXT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_memori_process_attribute", "process_id", "fingerprint"),
)

node = Table(
    "memori_node",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("name", LONG_TEXT, nullable=False),
    Column("type", String(64), nullable=False),
    Index("ix_memori_node_entity", "entity_id"),
)

predicate = Table(
    "memori_predicate",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("name", LONG_TEXT, nullable=False),
    Index("ix_memori_predicate_entity", "entity_id"),
)

triple = Table(
    "memori_knowledge_graph",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    _key("fact_id", "memori_entity_fact"),
    _key("subject_id", "memori_node"),
    _key("predicate_id", "memori_predicate"),
    _key("object_id", "memori_node"),
    Index("ix_memori_graph_entity", "entity_id"),
    Index("ix_memori_graph_fact", "fact_id"),
)

job = Table(
    "memori_augmentation_job",
    metadata,
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

item = Table(
    "memori_item",
    metadata,
    Column("id", KEY, primary_key=True),
    _key("entity_id", "memori_entity"),
    Column("namespace", LONG_TEXT, nullable=False),
    Column("item_key", LONG_TEXT, nullable=False),
    Column("content", LONG_TEXT, nullable=False),
    Column("space_id", KEY),
    Column("vectors", BLOB),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("ix_memori_item_entity", "entity_id", "updated_at"),
    Index("ix_memori_item_expiry", "expires_at"),
)
