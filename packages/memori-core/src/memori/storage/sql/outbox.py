"""The jobs: leased by workers, completed once, retried when they fail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, null, or_, select, update
from sqlalchemy.engine import RowMapping

from ...keys import new_key
from ...model import Attribution, JobState, QueuedJob, QueueStatus
from ..records import Codec, Job
from ..turns import SPARE, in_turn
from ..values import entity_key, leased, optional_micros, to_micros, to_queued_job, to_stored_messages
from . import schema as t
from .conversations import stored_columns
from .dialects import traits_of
from .sessions import in_scope

_OPEN = ("pending", "running")
CONTEXT_MESSAGES = 10


def _due(now: datetime) -> ColumnElement[bool]:
    moment = to_micros(now)
    return or_(
        and_(t.job.c.state == "pending", t.job.c.next_attempt_at <= moment),
        and_(t.job.c.state == "running", t.job.c.lease_until <= moment),
    )


def any_due(connection: Connection, *, now: datetime) -> bool:
    """Whether there is anything to lease."""
    return connection.execute(select(t.job.c.id).where(_due(now)).limit(1)).first() is not None


def lease(connection: Connection, codec: Codec, *, limit: int, seconds: float, now: datetime) -> list[Job]:
    """Take due jobs. Locked rows are skipped where the database can, and the update checks again where it cannot.

    What is due is read first and locked by key: no database then locks more than it returns, or refuses to lock what
    it sorts.
    """
    j = t.job
    due = select(j.c.id, j.c.entity_id).where(_due(now)).order_by(j.c.created_at, j.c.id).limit(limit * SPARE)
    candidates = [(row.id, row.entity_id) for row in connection.execute(due)]
    if not candidates:
        return []
    entities = sorted({entity for _, entity in candidates})
    if len(candidates) == limit * SPARE and len(entities) < limit:
        # Few are waiting with a lot: those who came after them are looked for.
        others = due.where(j.c.entity_id.not_in(entities)).limit(limit)
        candidates += [(row.id, row.entity_id) for row in connection.execute(others)]
    lock = (
        select(j.c.id)
        .where(j.c.id.in_([key for key, _ in candidates]), _due(now))
        .with_for_update(skip_locked=traits_of(connection).skip_locked)
    )
    free = set(connection.execute(lock).scalars())
    taken = in_turn([one for one in candidates if one[0] in free], limit)
    token = new_key()
    connection.execute(
        update(j)
        .where(j.c.id.in_(taken), _due(now))
        .values(
            state="running",
            attempts=j.c.attempts + 1,
            lease_token=token,
            lease_until=to_micros(now) + int(seconds * 1e6),
        )
    )
    mine = _with_owner(j).where(j.c.id.in_(taken), j.c.lease_token == token).order_by(j.c.created_at, j.c.id)
    return [_job(connection, row, codec) for row in connection.execute(mine).mappings().all()]


def _job(connection: Connection, row: RowMapping, codec: Codec) -> Job:
    m = t.message
    found = connection.execute(
        select(*stored_columns(literal(row["session"]), null()))
        .where(m.c.session_id == row["session_id"], m.c.entity_id == row["entity_id"])
        .where(m.c.position <= row["last_position"])
        .order_by(m.c.position.desc())
        .limit(row["last_position"] - row["first_position"] + 1 + CONTEXT_MESSAGES)
    )
    rows = found.all()
    return leased(row, row["id"], lambda: to_stored_messages(reversed(rows), codec))


def extend(connection: Connection, job: Job, *, seconds: float, now: datetime) -> bool:
    """Prolong a lease that is still held."""
    return _update_held(connection, job, lease_until=to_micros(now) + int(seconds * 1e6))


def finish(connection: Connection, job: Job, *, problem: str | None, now: datetime) -> bool:
    """Mark a job done if its lease is still held."""
    return _update_held(
        connection,
        job,
        state="done",
        lease_token=None,
        lease_until=None,
        last_error=None if problem is None else problem[:4000],
        finished_at=to_micros(now),
    )


def release(connection: Connection, job: Job) -> bool:
    """Give a job back as if it had not been taken; due at once, also for a worker whose clock is behind."""
    given_back = {"state": "pending", "attempts": job.attempt - 1, "next_attempt_at": 0}
    return _update_held(connection, job, **given_back, lease_token=None, lease_until=None)


def fail(connection: Connection, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
    """Give a job back, or bury it."""
    return _update_held(
        connection,
        job,
        state="dead" if retry_at is None else "pending",
        next_attempt_at=optional_micros(retry_at) or to_micros(now),
        finished_at=to_micros(now) if retry_at is None else None,
        last_error=error[:4000],
        lease_token=None,
        lease_until=None,
    )


def _update_held(connection: Connection, job: Job, **values: object) -> bool:
    held = (t.job.c.id == job.id, t.job.c.state == "running", t.job.c.lease_token == job.token)
    return connection.execute(update(t.job).where(*held).values(**values)).rowcount > 0


def open_jobs(connection: Connection, attribution: Attribution | None) -> list[str]:
    """Ids of jobs not yet final, oldest first."""
    query = select(t.job.c.id).where(t.job.c.state.in_(_OPEN)).order_by(t.job.c.created_at)
    return list(connection.execute(_scoped(query, attribution)).scalars())


def job_states(connection: Connection, job_ids: Collection[str]) -> dict[str, JobState]:
    """The state of each known job."""
    ids = sorted(job_ids)
    found: dict[str, JobState] = {}
    for start in range(0, len(ids), 500):
        query = select(t.job.c.id, t.job.c.state).where(t.job.c.id.in_(ids[start : start + 500]))
        found.update((row.id, row.state) for row in connection.execute(query))
    return found


def queue_status(connection: Connection, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
    """Count jobs by state."""
    query = select(t.job.c.state, func.count().label("jobs"), func.min(t.job.c.created_at).label("oldest"))
    rows = {row.state: row for row in connection.execute(_scoped(query, attribution).group_by(t.job.c.state))}
    oldest = min((rows[state].oldest for state in _OPEN if state in rows), default=None)
    last_error = connection.execute(
        _scoped(select(t.job.c.last_error), attribution)
        .where(t.job.c.last_error.is_not(None))
        .order_by(t.job.c.id.desc())
        .limit(1)
    ).scalar()
    return QueueStatus(
        **{state: rows[state].jobs for state in ("pending", "running", "done", "dead") if state in rows},
        oldest_age=None if oldest is None else max(0.0, (to_micros(now) - oldest) / 1e6),
        last_error=last_error,
    )


def jobs(
    connection: Connection,
    attribution: Attribution | None,
    *,
    ids: Collection[str] | None,
    states: Collection[JobState],
    limit: int,
) -> list[QueuedJob]:
    """Jobs as they stand, newest first."""
    query = _scoped(_with_owner(t.job), attribution).order_by(t.job.c.created_at.desc(), t.job.c.id.desc())
    if ids is not None:
        query = query.where(t.job.c.id.in_(sorted(ids)))
    if states:
        query = query.where(t.job.c.state.in_(sorted(states)))
    return [to_queued_job(row) for row in connection.execute(query.limit(limit)).mappings()]


def retry(
    connection: Connection, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None
) -> int:
    """Make dead jobs pending again, with all their attempts."""
    query = _scoped(select(t.job.c.id).where(t.job.c.state == "dead"), attribution)
    dead = [key for key in connection.execute(query).scalars() if ids is None or key in ids]
    for start in range(0, len(dead), 500):
        connection.execute(
            update(t.job)
            .where(t.job.c.id.in_(dead[start : start + 500]), t.job.c.state == "dead")
            .values(state="pending", attempts=0, next_attempt_at=0, finished_at=None)
        )
    return len(dead)


def _with_owner(*columns: Any) -> Select[Any]:
    e, p, s = t.entity, t.process, t.session
    return select(
        *columns,
        e.c.namespace,
        e.c.external_id.label("entity"),
        p.c.external_id.label("process"),
        s.c.external_id.label("session"),
    ).select_from(
        t.job.join(s, s.c.id == t.job.c.session_id)
        .join(e, e.c.id == s.c.entity_id)
        .outerjoin(p, p.c.id == s.c.process_id)
    )


def _scoped(query: Select[Any], attribution: Attribution | None) -> Select[Any]:
    if attribution is None:
        return query
    query = query.where(t.job.c.entity_id == entity_key(attribution))
    if attribution.process_id is not None or attribution.session_id is not None:
        sessions = select(t.session.c.id).where(t.session.c.id == t.job.c.session_id, *in_scope(attribution))
        query = query.where(sessions.correlate(t.job).exists())
    return query
