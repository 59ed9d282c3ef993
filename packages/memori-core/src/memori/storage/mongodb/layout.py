"""The collections and their indexes, and which version of them this code knows.

A document's `_id` is chosen by Memori and is the only unique key, so a sharded deployment needs nothing special. Times
are integers, microseconds since 1970 in UTC, since BSON dates lose the microseconds. A fact carries its vectors,
triples and mentions. `fence` says which unit of work wrote a document; what was removed without a transaction leaves
its `_id`, `fence` and `gone_at` behind for a day, see `journal`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import CollectionInvalid

from ...errors import SchemaError
from ..records import Migrate
from ..values import to_micros

Document = dict[str, Any]

ENTITY = "memori_entity"
SESSION = "memori_session"
CONVERSATION = "memori_conversation"
MESSAGE = "memori_conversation_message"
FACT = "memori_entity_fact"
ATTRIBUTE = "memori_process_attribute"
JOB = "memori_augmentation_job"
ITEM = "memori_item"
LEASE = "memori_lease"
JOURNAL = "memori_journal"
VERSION = "memori_schema_version"

OWNED = (SESSION, CONVERSATION, MESSAGE, FACT, ATTRIBUTE, ITEM, JOB, ENTITY)
"""What belongs to an entity, in the order it is written: what others refer to comes before them, the revision last."""

NEWEST = 3
_REMOVED_FOR = 24 * 3600

_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    ENTITY: (),
    SESSION: (("entity_id", "process_id", "last_at"), ("entity_id", "last_digest")),
    CONVERSATION: (("entity_id", "last_at"), ("session_id", "last_at")),
    MESSAGE: (
        ("session_id", "position"),
        ("session_id", "native_id"),
        ("entity_id", "said_at"),
        ("conversation_id", "position"),
    ),
    FACT: (
        ("entity_id", "revision"),
        ("entity_id", "status", "created_at"),
        ("entity_id", "fingerprint"),
        ("entity_id", "slot"),
        ("entity_id", "tier"),
        ("entity_id", "terms"),
        ("entity_id", "said_by"),
        ("entity_id", "superseded_by"),
    ),
    ATTRIBUTE: (("entity_id", "process_id"), ("entity_id", "message_id")),
    ITEM: (("entity_id", "updated_at"), ("entity_id", "scopes", "updated_at"), ("expires_at",)),
    JOB: (("state", "next_attempt_at"), ("state", "lease_until"), ("entity_id", "state")),
    LEASE: (),
    JOURNAL: (("unit",),),
}


def build(database: Database[Document], migrate: Migrate, display: str) -> None:
    """Create the collections and indexes. Every step may be repeated, so any number of processes may do it at once."""
    if migrate == "off":
        return
    version = _version(database, display)
    if version == NEWEST:
        return
    if migrate == "check":
        raise SchemaError(
            f"{display}: the collections are at version {version} and this Memori needs {NEWEST}. "
            "Run memori.config.storage.build() with migrate='auto' once."
        )
    present = set(database.list_collection_names())
    _refuse_foreign(database, present, display)
    for name, indexes in _INDEXES.items():
        if name not in present:
            _create(database, name)
        models = [IndexModel([(field, ASCENDING) for field in fields]) for fields in indexes]
        if name in OWNED:
            models.append(IndexModel("gone_at", expireAfterSeconds=_REMOVED_FOR, sparse=True))
        if name == LEASE:
            models.append(IndexModel("pending.unit", sparse=True))
        if models:
            database[name].create_indexes(models)
    applied = {"$setOnInsert": {"applied_at": to_micros(datetime.now(UTC))}}
    database[VERSION].update_one({"_id": NEWEST}, applied, upsert=True)


def _version(database: Database[Document], display: str) -> int:
    found = database[VERSION].find_one(sort=[("_id", -1)])
    version = int(found["_id"]) if found else 0
    if version > NEWEST:
        raise SchemaError(
            f"{display}: the collections are at version {version}, made by a newer Memori; this one knows {NEWEST}. "
            "Upgrade with: pip install --upgrade memori-core"
        )
    return version


def _refuse_foreign(database: Database[Document], present: set[str], display: str) -> None:
    """A collection of ours that holds something without a version beside it was made by something else."""
    foreign = [name for name in sorted(present & set(_INDEXES)) if database[name].find_one({}, {"_id": 1})]
    # Another process may have built and written since the version was read.
    if foreign and not _version(database, display):
        raise SchemaError(
            f"{display}: collections named like Memori's exist but were not made by this Memori: {', '.join(foreign)}. "
            "Use another database, or rename them."
        )


def _create(database: Database[Document], name: str, *, attempts: int = 5) -> None:
    """Create a collection beforehand: some servers cannot do it inside a transaction."""
    for attempt in range(attempts):
        try:
            database.create_collection(name)
        except CollectionInvalid:
            return
        except Exception as error:
            if getattr(error, "code", None) == 48 or name in database.list_collection_names():
                return
            if attempt == attempts - 1:
                raise
            time.sleep(0.05)
        else:
            return
