"""The contract of a storage over one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memori.embedding.base import Space
from memori.errors import RevisionConflictError, UnknownFactError
from memori.keys import new_key
from memori.model import (
    ACTIVE,
    Attribution,
    Conversation,
    Fact,
    FactStatus,
    JobState,
    Kind,
    Message,
    QueuedJob,
    QueueStatus,
    Receipt,
    StoredMessage,
    Tier,
    Triple,
)
from memori.storage.base import Storage
from memori.storage.records import (
    Delta,
    EntityState,
    FactChanges,
    FactVectors,
    IndexRow,
    Job,
    StorageOptions,
    Turn,
    Unembedded,
)

from .state import Entity, File, Session, SessionKey, State, StoredFact, StoredJob, overlap, owner, same

_AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""Due for every worker, whatever its clock says."""


class OneFileStorage(Storage):
    """Keeps memory in one file. Every write copies everything: for a few thousand messages, not for a million."""

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        super().__init__(connection, options)
        self._path = Path(urlsplit(str(connection)).path)

    @property
    def display(self) -> str:
        """The URL."""
        return str(self.connection)

    @property
    def _file(self) -> File:
        return File.at(self._path)

    def build(self) -> None:
        """Write an empty file if there is none."""
        with self._file.write():
            pass

    def close(self) -> None:
        """There is nothing to release."""

    # conversations

    def append(self, attribution: Attribution, turn: Turn) -> Receipt:
        """Store what is new of a turn, and its job."""
        with self._file.write() as state:
            state.entities.setdefault(owner(attribution), Entity(new_key()))
            key = self._session(state, attribution, turn)
            session = state.sessions[key]
            stored = [one.message for one in session.messages]
            known = set(range(overlap(stored, list(turn.messages[: turn.resent]))))
            ids = {message.id for message in stored if message.id}
            for place, message in enumerate(turn.messages):
                if message.id and (message.id in ids or any(same(message, m) for m in turn.messages[:place] if m.id)):
                    known.add(place)
            fresh = [message for place, message in enumerate(turn.messages) if place not in known]
            if not fresh:
                return Receipt(key[3], None, stored=0, repeated=len(known), job_id=None)
            conversation = self._converse(session, turn, fresh)
            first = session.count
            for message in fresh:
                dated = replace(message, created_at=message.created_at or turn.now, source=message.source_class)
                session.messages.append(StoredMessage(new_key(), dated, key[3], conversation, session.count))
                session.count += 1
            job = None
            if turn.augment:
                job = StoredJob(new_key(), key, first, session.count - 1, due=_AT_ONCE, created_at=turn.now)
                state.jobs[job.id] = job
            return Receipt(key[3], conversation, len(fresh), len(known), job.id if job else None)

    def _session(self, state: State, attribution: Attribution, turn: Turn) -> SessionKey:
        base = (*owner(attribution), attribution.process_id)
        if attribution.session_id is not None:
            key: SessionKey = (*base, attribution.session_id)
            state.sessions.setdefault(key, Session(attribution, implicit=False))
            return key
        mine = [(key, one) for key, one in state.sessions.items() if key[:3] == base and one.messages]
        resent = list(turn.messages[: turn.resent])
        lengths = {key: overlap([m.message for m in one.messages], resent) for key, one in mine}
        best = max(lengths, key=lengths.__getitem__, default=None)
        if best is not None and lengths[best]:
            return best
        gap = timedelta(seconds=self.options.conversation_gap)
        recent = [(key, one) for key, one in mine if one.implicit and turn.now - one.conversations[-1].last_at <= gap]
        if turn.join_recent and recent:
            return max(recent, key=lambda pair: pair[1].conversations[-1].last_at)[0]
        key = (*base, new_key())
        state.sessions[key] = Session(attribution.with_session(key[3]), implicit=True)
        return key

    def _converse(self, session: Session, turn: Turn, fresh: list[Message]) -> str:
        """Find or begin the conversation, count the messages in, and return its id."""
        times = [message.created_at or turn.now for message in fresh]
        gap = timedelta(seconds=self.options.conversation_gap)
        places = [n for n, one in enumerate(session.conversations) if one.id == turn.conversation_id]
        if (
            turn.conversation_id is None
            and session.conversations
            and times[0] - session.conversations[-1].last_at <= gap
        ):
            places = [len(session.conversations) - 1]
        if not places:
            session_id = str(session.attribution.session_id)
            session.conversations.append(
                Conversation(turn.conversation_id or new_key(), session_id, times[0], times[0], 0)
            )
            places = [len(session.conversations) - 1]
        old = session.conversations[places[0]]
        grown = replace(old, last_at=max(times), message_count=old.message_count + len(fresh))
        session.conversations[places[0]] = grown
        return grown.id

    def _sessions(self, attribution: Attribution | None) -> list[Session]:
        return [
            one
            for key, one in self._file.read().sessions.items()
            if attribution is None or (key[:2] == owner(attribution) and _in_scope(attribution, key))
        ]

    def messages(
        self,
        attribution: Attribution,
        *,
        conversation_id: str | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[StoredMessage]:
        """Messages, oldest first."""
        found = [
            message
            for session in self._sessions(attribution)
            for message in session.messages
            if conversation_id in (None, message.conversation_id) and (before is None or message.position < before)
        ]
        found.sort(key=lambda one: (one.message.created_at, one.session_id, one.position))
        if attribution.session_id is not None:
            found.sort(key=lambda one: one.position)
        return found if limit is None else found[-limit:]

    def conversations(self, attribution: Attribution, *, limit: int = 100, offset: int = 0) -> list[Conversation]:
        """Conversations, newest first."""
        found = [one for session in self._sessions(attribution) for one in session.conversations]
        return sorted(found, key=lambda one: one.last_at, reverse=True)[offset : offset + limit]

    # the outbox

    def lease(self, *, limit: int, seconds: float, now: datetime) -> list[Job]:
        """Take due jobs."""
        with self._file.write() as state:
            oldest = sorted(state.jobs.values(), key=lambda one: one.created_at)
            taken = _in_turn([job for job in oldest if _is_due(job, now)])[:limit]
            for job in taken:
                job.state, job.attempts, job.token = "running", job.attempts + 1, new_key()
                job.until = now + timedelta(seconds=seconds)
            return [_leased(state, job) for job in taken]

    def extend(self, job: Job, *, seconds: float, now: datetime) -> bool:
        """Prolong a lease."""
        return self._update(job, lambda held: setattr(held, "until", now + timedelta(seconds=seconds)))

    def release(self, job: Job) -> bool:
        """Give a job back as if it had not been taken."""

        def give_back(held: StoredJob) -> None:
            held.state, held.due, held.attempts = "pending", _AT_ONCE, held.attempts - 1
            held.token, held.until = None, None

        return self._update(job, give_back)

    def complete(
        self, job: Job, changes: FactChanges, *, expected: EntityState, now: datetime, problem: str | None = None
    ) -> tuple[Fact, ...]:
        """Apply the changes and end the job."""
        with self._file.write() as state:
            held = _held(state, job)
            if held is None:
                return ()
            held.state, held.error, held.token, held.until = "done", problem, None, None
            held.finished = now
            return _apply(state, job.attribution, changes, expected, now)

    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Give a job back, or bury it."""

        def give_back(held: StoredJob) -> None:
            held.state, held.due = ("dead", now) if retry_at is None else ("pending", retry_at)
            held.finished = now if retry_at is None else None
            held.error, held.token, held.until = error, None, None

        return self._update(job, give_back)

    def _update(self, job: Job, change: Callable[[StoredJob], None]) -> bool:
        with self._file.write() as state:
            held = _held(state, job)
            if held is not None:
                change(held)
            return held is not None

    def _jobs(self, attribution: Attribution | None) -> Iterator[StoredJob]:
        for job in self._file.read().jobs.values():
            if attribution is None or (job.session[:2] == owner(attribution) and _in_scope(attribution, job.session)):
                yield job

    def open_jobs(self, attribution: Attribution | None) -> list[str]:
        """Jobs not yet final."""
        return [job.id for job in self._jobs(attribution) if job.state in ("pending", "running")]

    def job_states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """The state of each known job."""
        return {job.id: job.state for job in self._jobs(None) if job.id in job_ids}

    def queue_status(self, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
        """Count jobs."""
        jobs = list(self._jobs(attribution))
        count = {state: sum(job.state == state for job in jobs) for state in ("pending", "running", "done", "dead")}
        ages = [(now - job.created_at).total_seconds() for job in jobs if job.state in ("pending", "running")]
        errors = [job.error for job in jobs if job.error]
        return QueueStatus(**count, oldest_age=max(ages, default=None), last_error=errors[-1] if errors else None)

    def jobs(
        self,
        attribution: Attribution | None,
        *,
        ids: Collection[str] | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
    ) -> list[QueuedJob]:
        """Jobs as they stand, newest first."""
        found = [
            job
            for job in self._jobs(attribution)
            if (ids is None or job.id in ids) and (not states or job.state in states)
        ]
        return [_as_it_stands(job) for job in sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]]

    def retry(self, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None = None) -> int:
        """Revive dead jobs."""
        dead = [job.id for job in self._jobs(attribution) if job.state == "dead" and (ids is None or job.id in ids)]
        with self._file.write() as state:
            for job_id in dead:
                job = state.jobs[job_id]
                job.state, job.attempts, job.due, job.finished = "pending", 0, _AT_ONCE, None
        return len(dead)

    # facts

    def state(self, attribution: Attribution) -> EntityState:
        """Revision and generation."""
        entity = self._file.read().entities.get(owner(attribution))
        return EntityState(entity.revision, entity.generation, entity.space) if entity else EntityState()

    def _facts(self, attribution: Attribution) -> list[StoredFact]:
        entity = self._file.read().entities.get(owner(attribution))
        return list(entity.facts.values()) if entity else []

    def changes_since(self, attribution: Attribution, space: Space, revision: int) -> Delta:
        """Facts changed after a revision."""
        state = self.state(attribution)
        rows = [
            IndexRow(
                one.fact.id, one.search_text, one.fact.kind, one.fact.status, one.fact.speaker, one.fact.session_id,
                one.fact.position, one.fact.said_at, one.fact.valid_from, one.fact.valid_to, one.vectors.get(space.key),
                one.fact.importance, one.fact.mentions,
                tuple(sorted({name for triple in one.triples for name in (triple.subject, triple.object)})),
            )
            for one in self._facts(attribution)
            if one.fact.revision > revision and (revision > 0 or one.fact.status in ("active", "superseded"))
        ]  # fmt: skip
        return Delta(state, rows)

    def facts(
        self,
        attribution: Attribution,
        *,
        ids: Collection[str] | None = None,
        kinds: Collection[Kind] | None = None,
        statuses: Collection[FactStatus] = ACTIVE,
        as_of: datetime | None = None,
        slots: Collection[str] | None = None,
        process_id: str | None = None,
        tier: Tier | None = None,
        said_before: datetime | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Fact]:
        """Facts, newest first."""

        def wanted(one: StoredFact) -> bool:
            fact = one.fact
            if as_of is not None:
                status = _was_true(fact, as_of)
            else:
                status = not statuses or fact.status in statuses
            return (
                status
                and (ids is None or fact.id in ids)
                and (kinds is None or fact.kind in kinds)
                and (slots is None or fact.slot in slots)
                and process_id in (None, one.process_id)
                and tier in (None, fact.tier)
                and (said_before is None or (fact.said_at or fact.created_at or said_before) < said_before)
            )

        found = [one.fact for one in self._facts(attribution) if wanted(one)]
        found.sort(key=lambda fact: (fact.created_at, fact.id), reverse=True)
        return found[offset : None if limit is None else offset + limit]

    def facts_by_fingerprint(self, attribution: Attribution, fingerprints: Collection[str]) -> dict[str, Fact]:
        """Active facts with those fingerprints."""
        return {
            one.fingerprint: one.fact
            for one in self._facts(attribution)
            if one.fingerprint in fingerprints and one.fact.status == "active" and one.fact.kind != "episode"
        }

    def search(self, attribution: Attribution, terms: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """Facts that hold any of the terms."""
        found = []
        for one in self._facts(attribution):
            hits = len(set(terms) & set(one.search_text.split()))
            if hits and one.fact.status == "active":
                found.append((hits, one.fact.id, one.search_text))
        return [(fact_id, text) for _, fact_id, text in sorted(found, reverse=True)[:limit]]

    def apply(
        self, attribution: Attribution, changes: FactChanges, *, expected: EntityState | None, now: datetime
    ) -> EntityState:
        """Change facts by hand."""
        with self._file.write() as state:
            _apply(state, attribution, changes, expected, now)
        return self.state(attribution)

    def triples(
        self, attribution: Attribution, *, limit: int = 1000, as_of: datetime | None = None
    ) -> list[tuple[str, Triple]]:
        """Triples of active facts, or of those true at a moment."""
        held = [
            one
            for one in self._facts(attribution)
            if (one.fact.status == "active" if as_of is None else _was_true(one.fact, as_of))
        ]
        return [(one.fact.id, triple) for one in held for triple in one.triples][:limit]

    # embedding spaces

    def entities(self, namespace: str, *, after: str | None = None, limit: int = 100) -> list[str]:
        """Ids in the order of the alphabet."""
        ids = sorted(key[1] for key in self._file.read().entities if key[0] == namespace)
        return [one for one in ids if after is None or one > after][:limit]

    def _missing(self, attribution: Attribution, space: Space) -> list[StoredFact]:
        searched = [one for one in self._facts(attribution) if one.fact.status in ("active", "superseded")]
        return [one for one in searched if space.key not in one.vectors]

    def unembedded(self, attribution: Attribution, space: Space, *, window: int, limit: int) -> list[Unembedded]:
        """Facts without a vector in the space, and what was said before each."""
        missing = sorted(self._missing(attribution, space), key=lambda one: -one.fact.revision)
        return [Unembedded(one.fact, self._before(attribution, one, window)) for one in missing[:limit]]

    def _before(self, attribution: Attribution, one: StoredFact, window: int) -> tuple[Fact, ...]:
        session, position = _place(one)
        if one.fact.kind != "episode" or session is None:
            return ()
        episodes = [other for other in self._facts(attribution) if other.fact.kind == "episode"]
        active = [other for other in episodes if other.fact.status == "active" and _place(other)[0] == session]
        said = sorted((other for other in active if _place(other)[1] < position), key=lambda other: _place(other)[1])
        return tuple(other.fact for other in said[-window:])

    def count_unembedded(self, attribution: Attribution, space: Space) -> int:
        """How many facts have no vector in the space."""
        return len(self._missing(attribution, space))

    def add_vectors(self, attribution: Attribution, vectors: Sequence[FactVectors], space: Space) -> int:
        """Store vectors of facts that have none and are what they were."""
        with self._file.write() as state:
            entity = state.entities.get(owner(attribution))
            if entity is None:
                return 0
            now = {key: one.fact for key, one in entity.facts.items()}
            given = [one for one in vectors if one.of.holds(now)]
            given = [one for one in given if space.key not in entity.facts[one.of.fact.id].vectors]
            entity.revision += bool(given)
            entity.space = entity.space or (space if given else None)
            for one in given:
                stored = entity.facts[one.of.fact.id]
                stored.vectors[space.key] = one.vectors
                stored.windows[space.key] = tuple(fact.id for fact in one.of.before)
                stored.fact = replace(stored.fact, revision=entity.revision)
            return len(given)

    def activate(self, attribution: Attribution, space: Space, *, drop_old: bool = False) -> int:
        """Flip the active space when nothing is missing in it."""
        with self._file.write() as state:
            entity = state.entities.get(owner(attribution))
            if entity is None:
                return 0
            searched = [one for one in entity.facts.values() if one.fact.status in ("active", "superseded")]
            missing = sum(space.key not in one.vectors for one in searched)
            if missing:
                return missing
            entity.revision += entity.space != space
            entity.space = space
            old = [one for one in entity.facts.values() if set(one.vectors) - {space.key}] if drop_old else []
            for one in old:
                one.vectors = {key: kept for key, kept in one.vectors.items() if key == space.key}
            if old:
                entity.generation, entity.revision = new_key(), entity.revision + 1
            return 0

    def erase(self, attribution: Attribution) -> dict[str, int]:
        """Delete everything about the entity."""
        with self._file.write() as state:
            jobs = [key for key, job in state.jobs.items() if job.session[:2] == owner(attribution)]
            sessions = [key for key in state.sessions if key[:2] == owner(attribution)]
            gone = {"jobs": len(jobs), "sessions": len(sessions)}
            for job in jobs:
                del state.jobs[job]
            for session in sessions:
                del state.sessions[session]
            entity = state.entities.pop(owner(attribution), None)
            return {**gone, "facts": len(entity.facts) if entity else 0}


def _place(one: StoredFact) -> tuple[tuple[str | None, str] | None, int]:
    """The session, which belongs to its process, and the position in it."""
    fact = one.fact
    if fact.session_id is None or fact.position is None:
        return None, -1
    return (one.process_id, fact.session_id), fact.position


def _in_scope(attribution: Attribution, key: SessionKey) -> bool:
    """A session belongs to its process; without a session a process narrows, and without both all of them count."""
    if attribution.session_id is not None:
        return key[2:] == (attribution.process_id, attribution.session_id)
    return attribution.process_id in (None, key[2])


def _held(state: State, job: Job) -> StoredJob | None:
    held = state.jobs.get(job.id)
    return held if held is not None and held.state == "running" and held.token == job.token else None


def _leased(state: State, job: StoredJob) -> Job:
    session = state.sessions[job.session]
    return Job(
        id=job.id,
        token=str(job.token),
        attempt=job.attempts,
        attribution=Attribution(job.session[1], job.session[2], job.session[3], job.session[0]),
        messages=tuple(m for m in session.messages if job.first <= m.position <= job.last),
        context=tuple(m for m in session.messages if m.position < job.first)[-10:],
    )


def _apply(
    state: State, attribution: Attribution, changes: FactChanges, expected: EntityState | None, now: datetime
) -> tuple[Fact, ...]:
    entity = state.entities.get(owner(attribution))
    found = EntityState(entity.revision, entity.generation) if entity else EntityState()
    if expected is not None and not expected.generation:
        found = replace(found, generation="")
    if expected is not None and found != expected:
        raise RevisionConflictError(f"The facts of {attribution.entity_id!r} changed meanwhile; read them again.")
    if entity is None:
        entity = state.entities[owner(attribution)] = Entity(new_key())
    if not changes:
        return ()
    entity.revision += 1
    entity.space = entity.space or changes.space
    for gone in changes.retire:
        if gone.fact_id not in entity.facts:
            raise UnknownFactError(f"{attribution.entity_id!r} has no fact {gone.fact_id!r}.")
    added = []
    for new in changes.add:
        retired = None if new.fact.status == "active" else now
        fact = replace(new.fact, created_at=now, retired_at=retired, revision=entity.revision)
        space = changes.space.key if changes.space else ""
        entity.facts[fact.id] = StoredFact(
            fact=fact,
            process_id=attribution.process_id,
            search_text=new.search_text,
            fingerprint=new.fingerprint,
            vectors={} if new.vectors is None else {space: new.vectors},
            windows={} if new.vectors is None else {space: new.window},
            triples=new.triples,
            said_by={fact.message_key} if fact.message_key else set(),
        )
        added.append(fact)
    for gone in changes.retire:
        one = entity.facts[gone.fact_id]
        one.fact = replace(
            one.fact,
            status=gone.status,
            superseded_by=gone.superseded_by,
            valid_to=gone.valid_to or one.fact.valid_to,
            retired_at=now,
            revision=entity.revision,
        )
        for other in entity.facts.values() if gone.status != "superseded" else ():
            if any(gone.fact_id in window for window in other.windows.values()):
                other.vectors, other.windows = {}, {}
                other.fact = replace(other.fact, revision=entity.revision)
    for placed in changes.place:
        if (stored := entity.facts.get(placed.fact_id)) is not None:
            stored.fact = replace(stored.fact, tier=placed.tier, expires_at=placed.expires_at)
    for fact_id, message in changes.mentions:
        one = entity.facts[fact_id]
        one.fact = replace(one.fact, mentions=one.fact.mentions + 1, revision=entity.revision)
        one.said_by |= {message} if message else set()
    return tuple(added)


def _is_due(job: StoredJob, now: datetime) -> bool:
    lapsed = job.state == "running" and job.until is not None and job.until <= now
    return lapsed or (job.state == "pending" and job.due <= now)


def _in_turn(jobs: list[StoredJob]) -> list[StoredJob]:
    """The jobs in such an order that every entity has its turn before one has a second."""
    taken: Counter[tuple[str, str]] = Counter()
    ranked = []
    for place, job in enumerate(jobs):
        entity = job.session[:2]
        ranked.append((taken[entity], place, job))
        taken[entity] += 1
    return [job for _, _, job in sorted(ranked, key=lambda one: one[:2])]


def _as_it_stands(job: StoredJob) -> QueuedJob:
    namespace, entity, process, session = job.session
    return QueuedJob(
        id=job.id,
        state=job.state,
        attempts=job.attempts,
        attribution=Attribution(entity, process, session, namespace),
        first=job.first,
        last=job.last,
        created_at=job.created_at,
        due_at=job.due if job.state == "pending" and job.due != _AT_ONCE else None,
        leased_until=job.until,
        finished_at=job.finished,
        error=job.error,
    )


def _was_true(fact: Fact, moment: datetime) -> bool:
    """Whether a fact held in the world at a moment, as far as is known."""
    began = fact.valid_from or fact.said_at or fact.created_at
    in_time = began is not None and began <= moment and (fact.valid_to is None or fact.valid_to > moment)
    return fact.status in ("active", "superseded") and in_time
