"""One writer per entity at a time: a lease in a document, with a fence that grows each time it changes hands."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ...errors import StorageLockedError
from ...keys import new_key
from ..values import to_micros
from .layout import LEASE, Document

SECONDS = 10.0
"""How long a writer that died keeps the others waiting."""


class LeaseLostError(Exception):
    """The lease ran out and somebody else took it; what was not committed is void."""


class Clock:
    """The server's time in microseconds, so that clients whose clocks differ agree on when a lease ends."""

    def __init__(self, server_time: datetime | None) -> None:
        self._origin = to_micros(server_time or datetime.now(UTC)) - time.monotonic_ns() // 1000

    def now(self) -> int:
        """Microseconds since 1970."""
        return self._origin + time.monotonic_ns() // 1000


@dataclass(slots=True)
class Held:
    """A lease that was taken. `token` proves it; `pending` is what its last holder left unfinished."""

    entity: str
    token: str
    fence: int
    until: int
    pending: Document | None


class Leases:
    """The leases of one database."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.rows: Collection[Document] = database[LEASE]

    def acquire(self, entity: str, *, deadline: float, display: str) -> Held:
        """Take the lease, waiting for its holder until `deadline` (of the monotonic clock)."""
        delay = 0.005
        while True:
            now = self.clock.now()
            token, until = new_key(), now + int(SECONDS * 1e6)
            row = self.rows.find_one_and_update(
                self.free(entity, now),
                {"$set": {"token": token, "until": until}, "$inc": {"fence": 1}},
                return_document=ReturnDocument.AFTER,
            )
            if row is not None:
                return Held(entity, token, row["fence"], until, row.get("pending"))
            if self.create(entity):
                continue
            if time.monotonic() > deadline:
                raise StorageLockedError(
                    f"{display}: another process has been writing to this entity for too long. "
                    f"If it died, its lease ends within {SECONDS:g} seconds; try again."
                )
            time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 # nosec B311 - waiters need not be unpredictable
            delay = min(delay * 1.5, 0.2)

    def free(self, entity: str, now: int) -> Document:
        """What finds the lease when nobody holds it."""
        return {"_id": entity, "until": {"$lte": now}}

    def create(self, entity: str) -> bool:
        """Make the lease, free, if it is missing. False when it is there.

        The first fence is the time, above any fence of an entity that was erased under this id.
        """
        if self.rows.find_one({"_id": entity}, ["_id"]) is not None:
            return False
        try:
            self.rows.insert_one({"_id": entity, "token": None, "until": 0, "fence": self.clock.now()})  # nosec B105 - no holder
        except DuplicateKeyError:
            return False
        return True

    def keep(self, held: Held) -> None:
        """Prolong a lease that is half over. Raises `LeaseLostError`."""
        now = self.clock.now()
        if held.until - now < SECONDS * 5e5:
            until = now + int(SECONDS * 1e6)
            self.update(held, {"$set": {"until": until}})
            held.until = until

    def update(self, held: Held, change: Mapping[str, Any]) -> None:
        """Change the lease's document while it is held. Raises `LeaseLostError`."""
        if self.rows.update_one({"_id": held.entity, "token": held.token}, change).matched_count == 0:
            raise LeaseLostError

    def release(self, held: Held, *, erased: bool) -> None:
        """Give the lease back, with what is still pending; an erased entity's goes altogether."""
        mine = {"_id": held.entity, "token": held.token}
        change: Document = {"$set": {"token": None, "until": 0}}  # nosec B105 - no holder
        if held.pending is None:
            change["$unset"] = {"pending": ""}
        if erased and held.pending is None:
            self.rows.delete_one(mine)
        else:
            self.rows.update_one(mine, change)

    def names(self, unit: str) -> bool:
        """Whether some lease names a unit of work as pending."""
        return self.rows.find_one({"pending.unit": unit}, ["_id"]) is not None

    def abandoned(self, *, limit: int) -> list[str]:
        """Entities whose last writer left something unfinished."""
        where = {"pending.unit": {"$exists": True}, "until": {"$lte": self.clock.now()}}
        return [row["_id"] for row in self.rows.find(where, ["_id"], limit=limit)]
