"""The jobs: leased by workers, completed once, retried when they fail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pymongo.errors import PyMongoError

from ...errors import StorageError, StorageLockedError
from ...keys import new_key
from ...model import Attribution, JobState, QueuedJob, QueueStatus
from ..records import Codec, Job
from ..turns import SPARE, in_turn
from ..values import entity_key, leased, optional_micros, to_micros, to_queued_job
from .conversations import in_scope, stored_messages
from .database import MongoDatabase
from .layout import JOB, MESSAGE, Document
from .lease import LeaseLostError
from .rows import Rows, Unit

_ROUNDS = 3
_OPEN = ("pending", "running")
_OLDEST = [("created_at", 1), ("_id", 1)]
CONTEXT_MESSAGES = 10


def lease(database: MongoDatabase, codec: Codec, *, limit: int, seconds: float, now: datetime) -> list[Job]:
    """Take due jobs. Those a rival takes first are passed over."""
    moment = to_micros(now)
    until = moment + int(seconds * 1e6)
    jobs: list[Job] = []
    with database.rows() as rows:
        for _ in range(_ROUNDS):
            due = _candidates(rows, moment, limit - len(jobs))
            for row in due:
                try:
                    if taken := _take(database, rows, row, until=until, now=moment):
                        jobs.append(_leased(rows, taken, codec))
                except (PyMongoError, StorageError):
                    # What was taken is worked off, whatever happened since.
                    if jobs:
                        return jobs
                    raise
            if not due or len(jobs) >= limit:
                break
    return jobs


def _candidates(rows: Rows, moment: int, limit: int) -> list[Document]:
    """Due jobs, one of each entity in turn."""
    found = list(rows.find(JOB, _due(moment), sort=_OLDEST, limit=limit * SPARE))
    entities = sorted({row["entity_id"] for row in found})
    if len(found) == limit * SPARE and len(entities) < limit:
        # Few are waiting with a lot: those who came after them are looked for.
        others = {**_due(moment), "entity_id": {"$nin": entities}}
        found += rows.find(JOB, others, sort=_OLDEST, limit=limit)
    row_of = {row["_id"]: row for row in found}
    return [row_of[key] for key in in_turn(((row["_id"], row["entity_id"]) for row in found), limit)]


def _due(moment: int) -> Document:
    pending = {"state": "pending", "next_attempt_at": {"$lte": moment}}
    return {"$or": [pending, {"state": "running", "lease_until": {"$lte": moment}}]}


def _take(database: MongoDatabase, rows: Rows, row: Document, *, until: int, now: int) -> Document | None:
    took = {"state": "running", "attempts": row["attempts"] + 1, "lease_token": new_key(), "lease_until": until}
    where = {"_id": row["_id"], "state": row["state"], "attempts": row["attempts"]}
    if row["state"] == "pending":
        return {**row, **took} if _change(rows, where, took) else None
    # Its holder may be completing it at this moment: only one of the two gets the entity's lease first.
    try:
        with database.exclusive(row["entity_id"]) as alone:
            return {**row, **took} if _change(alone, {**where, "lease_until": {"$lte": now}}, took) else None
    except (LeaseLostError, StorageLockedError):
        return None


def _leased(rows: Rows, row: Document, codec: Codec) -> Job:
    where = {
        "session_id": row["session_id"],
        "entity_id": row["entity_id"],
        "position": {"$lte": row["last_position"]},
    }
    most = row["last_position"] - row["first_position"] + 1 + CONTEXT_MESSAGES
    found = list(rows.find(MESSAGE, where, sort=[("position", -1)], limit=most))
    return leased(row, row["_id"], lambda: stored_messages(reversed(found), codec))


def extend(rows: Rows, job: Job, *, seconds: float, now: datetime) -> bool:
    """Prolong a lease that is still held."""
    return _change(rows, _held(job), {"lease_until": to_micros(now) + int(seconds * 1e6)})


def release(rows: Rows, job: Job) -> bool:
    """Give a job back as if it had not been taken; due at once, also for a worker whose clock is behind."""
    released = {"state": "pending", "attempts": job.attempt - 1, "next_attempt_at": 0}
    return _change(rows, _held(job), {**released, "lease_token": None, "lease_until": None})  # nosec B105 - no lease


def finish(unit: Unit, job: Job, *, problem: str | None, now: datetime) -> bool:
    """Mark a job done if its lease is still held."""
    if unit.first(JOB, {**_held(job), "entity_id": entity_key(job.attribution)}) is None:
        return False
    error = None if problem is None else problem[:4000]
    done = {"state": "done", "finished_at": to_micros(now), "last_error": error}
    unit.set(JOB, job.id, {**done, "lease_token": None, "lease_until": None})  # nosec B105 - no lease
    return True


def fail(rows: Rows, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
    """Give a job back, or bury it."""
    failed = {
        "state": "dead" if retry_at is None else "pending",
        "next_attempt_at": optional_micros(retry_at) or to_micros(now),
        "finished_at": to_micros(now) if retry_at is None else None,
        "last_error": error[:4000],
        "lease_token": None,  # nosec B105 - no lease
        "lease_until": None,
    }
    return _change(rows, _held(job), failed)


def open_jobs(rows: Rows, attribution: Attribution | None) -> list[str]:
    """Ids of jobs not yet final, oldest first."""
    where = {"state": {"$in": _OPEN}, **_scope(attribution)}
    return [row["_id"] for row in rows.find(JOB, where, sort=_OLDEST, fields=("_id",))]


def job_states(rows: Rows, job_ids: Collection[str]) -> dict[str, JobState]:
    """The state of each known job."""
    where = {"_id": {"$in": sorted(job_ids)}, "state": {"$exists": True}}
    return {row["_id"]: row["state"] for row in rows.find(JOB, where, fields=("state",))}


def queue_status(rows: Rows, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
    """Count jobs by state."""
    scope = _scope(attribution)
    counted = rows.aggregate(
        JOB,
        {"$match": {"state": {"$exists": True}, **scope}},
        {"$group": {"_id": "$state", "jobs": {"$sum": 1}, "oldest": {"$min": "$created_at"}}},
    )
    found = {row["_id"]: row for row in counted}
    oldest = min((found[state]["oldest"] for state in _OPEN if state in found), default=None)
    failed = rows.first(JOB, {"last_error": {"$type": "string"}, **scope}, sort=[("_id", -1)])
    return QueueStatus(
        **{state: row["jobs"] for state, row in found.items()},
        oldest_age=None if oldest is None else max(0.0, (to_micros(now) - oldest) / 1e6),
        last_error=failed["last_error"] if failed else None,
    )


def jobs(
    rows: Rows,
    attribution: Attribution | None,
    *,
    ids: Collection[str] | None,
    states: Collection[JobState],
    limit: int,
) -> list[QueuedJob]:
    """Jobs as they stand, newest first."""
    where = {"state": {"$in": sorted(states)} if states else {"$exists": True}, **_scope(attribution)}
    if ids is not None:
        where["_id"] = {"$in": sorted(ids)}
    newest = [("created_at", -1), ("_id", -1)]
    return [to_queued_job({**row, "id": row["_id"]}) for row in rows.find(JOB, where, sort=newest, limit=limit)]


def retry(rows: Rows, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None) -> int:
    """Make dead jobs pending again, with all their attempts."""
    revived = {"state": "pending", "attempts": 0, "next_attempt_at": 0, "finished_at": None}
    where: dict[str, Any] = {"state": "dead", **_scope(attribution)}
    if ids is not None:
        where["_id"] = {"$in": sorted(ids)}
    return rows.database[JOB].update_many(where, {"$set": revived}).modified_count


def _held(job: Job) -> Document:
    return {"_id": job.id, "state": "running", "lease_token": job.token}


def _change(rows: Rows, where: Document, fields: Document) -> bool:
    return rows.database[JOB].update_one(where, {"$set": fields}).matched_count > 0


def _scope(attribution: Attribution | None) -> dict[str, Any]:
    return {} if attribution is None else {"entity_id": entity_key(attribution), **in_scope(attribution)}
