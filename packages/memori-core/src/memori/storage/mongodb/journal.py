"""Units of work without transactions: one document is the commit point, and what it holds can be performed twice.

The document of the entity's lease takes the writes of a unit, under the condition that the lease is still held. From
then on they are true: who takes the lease next performs what is pending before anything else. Every document carries
the fence of the unit that wrote it last, and a write counts only over a lower one, so a holder that slept through the
end of its lease can neither commit nor undo what came after. For the same reason what is removed leaves its id and
fence for a day. Units too large for one document are spread over several, which are written before the commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

from bson import encode
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import AutoReconnect, BulkWriteError, PyMongoError

from ...keys import new_key
from .layout import ENTITY, JOURNAL, Document
from .lease import Held, LeaseLostError, Leases
from .rows import Unit, Write

_INLINE = 500_000
_PART = 8_000_000
_BATCH = 500
_DUPLICATE = 11000


def commit(leases: Leases, held: Held, unit: Unit) -> None:
    """Make the writes of a unit true. When it raises they are void."""
    try:
        held.pending = _record(leases, held, unit)
    except PyMongoError:
        # Nothing was performed yet, so a commit whose answer was lost can still be taken back.
        with suppress(PyMongoError, LeaseLostError):
            leases.update(held, {"$unset": {"pending": ""}})
        raise


def finish(leases: Leases, held: Held, *, patience: float) -> None:
    """Perform what is pending. The network may fail for `patience` seconds meanwhile."""
    pending = held.pending
    if pending is None:
        return
    deadline = time.monotonic() + patience
    while pending["committed"]:
        try:
            writes = _recorded(leases.database, pending)
            perform(leases.database, writes, fence=pending["fence"], keep=lambda: leases.keep(held))
            break
        except AutoReconnect:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    if "writes" not in pending:
        leases.database[JOURNAL].delete_many({"unit": pending["unit"]})
    held.pending = None


def sweep(leases: Leases) -> None:
    """Remove parts that no lease names: their writer was overtaken before it committed."""
    for unit in leases.database[JOURNAL].distinct("unit"):
        if not leases.names(unit):
            leases.database[JOURNAL].delete_many({"unit": unit})


def perform(
    database: Database[Document],
    writes: Iterable[Write],
    *,
    fence: int,
    session: ClientSession | None = None,
    keep: Callable[[], None] | None = None,
) -> None:
    """Write documents. In a transaction what is removed is deleted; without, it leaves its fence."""
    for collection, group in groupby(writes, key=attrgetter("collection")):
        while batch := list(islice(group, _BATCH)):
            if keep is not None:
                keep()
            requests = [_request(write, fence, session) for write in batch if write.kind != "clear"]
            _bulk(database, collection, requests, session)
            for write in batch:
                if write.kind == "clear":
                    _clear(database, write, fence, session, keep)


def _record(leases: Leases, held: Held, unit: Unit) -> Document:
    name = new_key()
    writes = [write._asdict() for write in unit.writes]
    sizes = [len(encode(write)) for write in writes]
    pending: Document = {"unit": name, "committed": True, "fence": held.fence, "erased": unit.erased}
    if sum(sizes) <= _INLINE:
        pending["writes"] = writes
    else:
        # Named before they are written, parts that are never committed are found and removed.
        leases.update(held, {"$set": {"pending": {"unit": name, "committed": False, "erased": False}}})
        for number, part in enumerate(_parts(writes, sizes)):
            leases.keep(held)
            row = {"_id": f"{name}.{number:06}", "unit": name, "entity_id": held.entity, "writes": part}
            leases.database[JOURNAL].insert_one(row)
    leases.update(held, {"$set": {"pending": pending}})
    return pending


def _parts(writes: Sequence[Document], sizes: Sequence[int]) -> Iterator[list[Document]]:
    part: list[Document] = []
    total = 0
    for write, size in zip(writes, sizes, strict=True):
        if part and total + size > _PART:
            yield part
            part, total = [], 0
        part.append(write)
        total += size
    yield part


def _recorded(database: Database[Document], pending: Document) -> Iterator[Write]:
    if "writes" in pending:
        yield from (Write(**write) for write in pending["writes"])
        return
    for part in database[JOURNAL].find({"unit": pending["unit"]}, sort=[("_id", 1)]):
        yield from (Write(**write) for write in part["writes"])


def _request(write: Write, fence: int, session: ClientSession | None) -> ReplaceOne[Document] | UpdateOne | DeleteOne:
    older: dict[str, Any] = {"_id": write.key, "fence": {"$lt": fence}}
    if write.kind == "put":
        return ReplaceOne(older, {**write.fields, "fence": fence}, upsert=True)
    if write.kind == "set":
        return UpdateOne(older, {"$set": {**write.fields, "fence": fence}})
    return DeleteOne(older) if session else ReplaceOne(older, _removed(write.key, fence))


def _removed(key: str, fence: int) -> Document:
    return {"_id": key, "fence": fence, "gone_at": datetime.now(UTC)}


def _clear(
    database: Database[Document],
    write: Write,
    fence: int,
    session: ClientSession | None,
    keep: Callable[[], None] | None,
) -> None:
    rows = database[write.collection]
    owned: dict[str, Any] = {"_id": write.key} if write.collection == ENTITY else {"entity_id": write.key}
    older = {**owned, "fence": {"$lt": fence}, "gone_at": {"$exists": False}}
    if session is not None:
        rows.delete_many(older, session=session)
        return
    while keys := [row["_id"] for row in rows.find(older, ["_id"], limit=_BATCH)]:
        if keep is not None:
            keep()
        _bulk(database, write.collection, [_request(Write("", key, "remove", {}), fence, None) for key in keys], None)


def _bulk(
    database: Database[Document],
    collection: str,
    requests: list[ReplaceOne[Document] | UpdateOne | DeleteOne],
    session: ClientSession | None,
) -> None:
    if not requests:
        return
    try:
        database[collection].bulk_write(requests, ordered=False, session=session)
    except BulkWriteError as error:
        # To put a document over one with as high a fence is to insert its id again: it was written before.
        written = not session and all(one["code"] == _DUPLICATE for one in error.details["writeErrors"])
        if not written or error.details["writeConcernErrors"]:
            raise
