"""The SQL backend: each operation of the contract as one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from ...embedding.base import Space
from ...errors import UnknownFactError
from ...model import (
    ACTIVE,
    Attribution,
    Conversation,
    Fact,
    FactStatus,
    Item,
    JobState,
    Kind,
    Message,
    ProcessAttribute,
    QueuedJob,
    QueueStatus,
    Receipt,
    StoredMessage,
    Tier,
    Transcript,
    Triple,
)
from ...privacy.codec import PlainCodec
from ..base import Storage
from ..records import (
    Codec,
    Condition,
    Delta,
    EntityState,
    Expectation,
    FactChanges,
    FactVectors,
    FoundItem,
    IndexRow,
    ItemWrite,
    Job,
    Mention,
    Statistics,
    StorageOptions,
    Turn,
    Unembedded,
)
from ..values import entity_key, to_micros
from . import (
    candidates,
    conversations,
    facts,
    fulltext,
    graph,
    items,
    migrations,
    outbox,
    provenance,
    selection,
    spaces,
    transcripts,
)
from .engine import Database
from .sessions import ensure_entity

T = TypeVar("T")
_SUPERSEDED: tuple[FactStatus, ...] = ("superseded",)


class SQLStorage(Storage):
    """Any database SQLAlchemy can open; tested on SQLite, PostgreSQL and MariaDB."""

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        super().__init__(connection, options)
        self._database = self._open(connection, options)
        self._codec: Codec = options.codec or PlainCodec()
        self._built = False
        self._building = threading.Lock()
        self._built_with: list[Callable[[Connection], None]] = []

    def _open(self, connection: Any, options: StorageOptions) -> Database:
        """What runs the transactions. A storage over connections of another kind supplies its own."""
        return Database(connection, options)

    @property
    def display(self) -> str:
        """The URL, with *** for the password."""
        return self._database.display

    def build(self) -> None:
        """Create or migrate the tables."""
        with self._building:
            migrations.build(self._database, self.options.migrate)
            for part in self._built_with:
                self._database.run(part)
            self._built = True

    def build_with(self, part: Callable[[Connection], None]) -> None:
        """Have `build` run this too, in a transaction of its own. What it raises is raised by every operation."""
        self._built_with.append(part)

    def plan(self) -> str:
        """What `build` would run, as SQL; an empty text when there is nothing to do."""
        return migrations.plan(self._database)

    def close(self) -> None:
        """Close the pool, if it was opened here."""
        self._database.close()

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._building = threading.Lock()
        self._database.after_fork()

    def _read(self) -> AbstractContextManager[Connection]:
        if not self._built:
            self.build()
        return self._database.read()

    def together(self) -> AbstractContextManager[None]:
        """Let this thread's reads in the block share a connection. What fails there leaves the others be."""
        if not self._built:
            self.build()
        return self._database.together()

    def _write(self, operation: Callable[[Connection], T]) -> T:
        """Run a transaction. It is run again as a whole where the database asks for it, so it only writes to that."""
        if not self._built:
            self.build()
        return self._database.run(operation)

    def append(self, attribution: Attribution, turn: Turn) -> Receipt:
        """Store the new messages of a turn and their job."""
        return self._write(
            lambda connection: conversations.append(connection, attribution, turn, self.options, self._codec)
        )

    def messages(
        self,
        attribution: Attribution,
        *,
        conversation_id: str | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[StoredMessage]:
        """Read messages, oldest first."""
        with self._read() as connection:
            return conversations.messages(
                connection, attribution, self._codec, conversation_id=conversation_id, limit=limit, before=before
            )

    def payloads(self, attribution: Attribution, *, limit: int | None = None) -> Sequence[Mapping[str, Any] | None]:
        """Read native messages, oldest first."""
        with self._read() as connection:
            return conversations.payloads(connection, attribution, self._codec, limit=limit)

    def conversations(self, attribution: Attribution, *, limit: int = 100, offset: int = 0) -> list[Conversation]:
        """Read conversations, newest first."""
        with self._read() as connection:
            return conversations.conversations(connection, attribution, self._codec, limit=limit, offset=offset)

    def lease(self, *, limit: int, seconds: float, now: datetime) -> list[Job]:
        """Take due jobs. Nothing is locked when there are none."""
        with self._read() as connection:
            if not outbox.any_due(connection, now=now):
                return []
        return self._write(
            lambda connection: outbox.lease(connection, self._codec, limit=limit, seconds=seconds, now=now)
        )

    def extend(self, job: Job, *, seconds: float, now: datetime) -> bool:
        """Prolong a lease."""
        return self._write(lambda connection: outbox.extend(connection, job, seconds=seconds, now=now))

    def release(self, job: Job) -> bool:
        """Give a job back as if it had not been taken."""
        return self._write(lambda connection: outbox.release(connection, job))

    def complete(
        self, job: Job, changes: FactChanges, *, expected: EntityState, now: datetime, problem: str | None = None
    ) -> tuple[Fact, ...]:
        """Apply the changes and mark the job done."""

        def finish(connection: Connection) -> tuple[Fact, ...]:
            if not outbox.finish(connection, job, problem=problem, now=now):
                return ()
            return facts.apply(connection, job.attribution, changes, self._codec, expected=expected, now=now)

        return self._write(finish)

    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Give a job back, or bury it."""
        return self._write(lambda connection: outbox.fail(connection, job, error, retry_at=retry_at, now=now))

    def open_jobs(self, attribution: Attribution | None) -> list[str]:
        """Ids of jobs not yet final."""
        with self._read() as connection:
            return outbox.open_jobs(connection, attribution)

    def job_states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """The state of each known job."""
        with self._read() as connection:
            return outbox.job_states(connection, job_ids)

    def queue_status(self, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
        """Count jobs."""
        with self._read() as connection:
            return outbox.queue_status(connection, attribution, now=now)

    def jobs(
        self,
        attribution: Attribution | None,
        *,
        ids: Collection[str] | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
    ) -> list[QueuedJob]:
        """Jobs as they stand, newest first."""
        with self._read() as connection:
            return outbox.jobs(connection, attribution, ids=ids, states=states, limit=limit)

    def retry(self, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None = None) -> int:
        """Make dead jobs pending again."""
        return self._write(lambda connection: outbox.retry(connection, attribution, now=now, ids=ids))

    def state(self, attribution: Attribution) -> EntityState:
        """The entity's revision and generation."""
        with self._read() as connection:
            return selection.state(connection, attribution)

    def changes_since(self, attribution: Attribution, space: Space, revision: int) -> Delta:
        """Facts changed after a revision."""
        with self._read() as connection:
            return selection.changes_since(connection, attribution, space, revision, self._codec)

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
        """Read facts, newest first."""
        narrowed = (kinds, as_of, slots, process_id, tier, said_before, limit)
        with self._read() as connection:
            if ids is not None and not statuses and not offset and all(one is None for one in narrowed):
                return selection.facts_of_ids(connection, attribution, self._codec, ids)
            found = selection.select_facts(
                connection, attribution, self._codec, ids=ids, kinds=kinds, statuses=statuses, as_of=as_of,
                slots=slots, process_id=process_id, tier=tier, said_before=said_before, limit=limit, offset=offset,
            )  # fmt: skip
        return [fact for _, fact in found]

    def facts_by_fingerprint(self, attribution: Attribution, fingerprints: Collection[str]) -> dict[str, Fact]:
        """Active facts, not episodes, with those fingerprints."""
        with self._read() as connection:
            found = selection.select_facts(connection, attribution, self._codec, fingerprints=fingerprints)
        return {fingerprint: fact for fingerprint, fact in found if fact.kind != "episode"}

    def search(self, attribution: Attribution, terms: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """Facts that hold any of the terms."""
        with self._read() as connection:
            return fulltext.search(connection, entity_key(attribution), terms, self._codec, limit=limit)

    def apply(
        self, attribution: Attribution, changes: FactChanges, *, expected: EntityState | None, now: datetime
    ) -> EntityState:
        """Change facts by hand."""

        def change(connection: Connection) -> EntityState:
            wanted = {retirement.fact_id for retirement in changes.retire}
            known = (
                selection.select_facts(connection, attribution, self._codec, ids=wanted, statuses=()) if wanted else []
            )
            if missing := wanted - {fact.id for _, fact in known}:
                raise UnknownFactError(f"{attribution.entity_id!r} has no fact {sorted(missing)[0]!r}.")
            ensure_entity(connection, attribution, now=to_micros(now))
            facts.apply(connection, attribution, changes, self._codec, expected=expected, now=now)
            return selection.state(connection, attribution)

        return self._write(change)

    def triples(
        self, attribution: Attribution, *, limit: int = 1000, as_of: datetime | None = None
    ) -> list[tuple[str, Triple]]:
        """Triples of active facts, or of those true at a moment."""
        with self._read() as connection:
            return graph.triples(connection, attribution, self._codec, limit=limit, as_of=as_of)

    def erase(self, attribution: Attribution) -> dict[str, int]:
        """Delete everything about the entity."""
        return self._write(lambda connection: facts.erase(connection, attribution))

    def entities(self, namespace: str, *, after: str | None = None, limit: int = 100) -> list[str]:
        """A page of the namespace's entities."""
        with self._read() as connection:
            return spaces.entities(connection, namespace, after=after, limit=limit)

    def unembedded(self, attribution: Attribution, space: Space, *, window: int, limit: int) -> list[Unembedded]:
        """Facts without a vector in the space."""
        with self._read() as connection:
            return spaces.unembedded(connection, attribution, space, self._codec, window=window, limit=limit)

    def count_unembedded(self, attribution: Attribution, space: Space) -> int:
        """How many facts have no vector in the space."""
        with self._read() as connection:
            return spaces.count_unembedded(connection, attribution, space)

    def add_vectors(self, attribution: Attribution, vectors: Sequence[FactVectors], space: Space) -> int:
        """Store vectors of facts."""
        return self._write(lambda connection: spaces.add_vectors(connection, attribution, vectors, space, self._codec))

    def activate(self, attribution: Attribution, space: Space, *, drop_old: bool = False) -> int:
        """Flip the entity's active space when nothing is missing in it."""
        return self._write(lambda connection: spaces.activate(connection, attribution, space, drop_old=drop_old))

    def rows(
        self, attribution: Attribution, space: Space, ids: Collection[str], *, neighbours: bool = False
    ) -> list[IndexRow]:
        """Facts by id as an index needs them."""
        with self._read() as connection:
            return candidates.rows(connection, attribution, space, ids, self._codec, neighbours=neighbours)

    def statistics(self, attribution: Attribution, *, known: Statistics | None = None) -> Statistics:
        """What terms weigh among the entity's facts."""
        with self._read() as connection:
            return candidates.statistics(connection, attribution, self._codec, known=known)

    def sources(self, attribution: Attribution, source: str) -> list[str]:
        """Keys of the messages that a source names."""
        with self._read() as connection:
            return provenance.sources(connection, attribution, source)

    def mentions(
        self, attribution: Attribution, *, facts: Collection[str] | None = None, messages: Collection[str] | None = None
    ) -> list[Mention]:
        """Which messages said which facts."""
        with self._read() as connection:
            return provenance.mentions(connection, attribution, facts=facts, messages=messages)

    def superseded_by(self, attribution: Attribution, ids: Collection[str]) -> list[Fact]:
        """What facts took the place of."""
        with self._read() as connection:
            found = selection.select_facts(connection, attribution, self._codec, successors=ids, statuses=_SUPERSEDED)
        return [fact for _, fact in found]

    def process_attributes(self, attribution: Attribution, *, limit: int = 100) -> list[ProcessAttribute]:
        """What is known of a process."""
        with self._read() as connection:
            return provenance.process_attributes(connection, attribution, self._codec, limit=limit)

    def transcript(self, attribution: Attribution, *, archived: bool | None = False) -> Transcript:
        """Read a session's version and messages."""
        with self._read() as connection:
            return transcripts.read(connection, attribution, self._codec, archived=archived)

    def replace_messages(
        self, attribution: Attribution, messages: Sequence[Message], *, expected: int | None = None, now: datetime
    ) -> Transcript:
        """Make the session's active messages exactly these."""

        def replace(connection: Connection) -> Transcript:
            transcripts.replace(
                connection, attribution, messages, self._codec, self.options, expected=expected, now=now
            )
            return transcripts.read(connection, attribution, self._codec, archived=False)

        return self._write(replace)

    def delete_messages(self, attribution: Attribution, keys: Collection[str]) -> int:
        """Delete messages of a session."""
        return self._write(lambda connection: transcripts.delete(connection, attribution, keys, now=datetime.now(UTC)))

    def archive_messages(self, attribution: Attribution, keys: Collection[str], *, archived: bool = True) -> int:
        """Archive messages of a session, or bring them back."""
        return self._write(
            lambda connection: transcripts.archive(
                connection, attribution, keys, archived=archived, now=datetime.now(UTC)
            )
        )

    def write_items(
        self,
        attribution: Attribution,
        writes: Sequence[ItemWrite],
        *,
        expected: Sequence[Expectation] = (),
        now: datetime,
    ) -> None:
        """Put and delete items."""

        def write(connection: Connection) -> None:
            ensure_entity(connection, attribution, now=to_micros(now))
            if expected:
                items.check(connection, attribution, expected, self._codec, now=now)
            items.write(connection, attribution, writes, self._codec, now=now)

        self._write(write)

    def read_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, now: datetime
    ) -> list[Item | None]:
        """Read items by key."""
        with self._read() as connection:
            return items.read(connection, attribution, keys, self._codec, now=now)

    def touch_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, ttl: float, now: datetime
    ) -> None:
        """Move the expiry of items."""
        self._write(lambda connection: items.touch(connection, attribution, keys, ttl=ttl, now=now))

    def search_items(
        self,
        attribution: Attribution,
        prefix: tuple[str, ...],
        *,
        conditions: Sequence[Condition] = (),
        space: Space | None = None,
        limit: int | None = None,
        offset: int = 0,
        now: datetime,
    ) -> list[FoundItem]:
        """Find items under a prefix."""
        with self._read() as connection:
            return items.search(
                connection, attribution, prefix, self._codec, conditions=conditions, space=space, limit=limit,
                offset=offset, now=now,
            )  # fmt: skip

    def item_vectors(
        self,
        attribution: Attribution,
        prefix: tuple[str, ...],
        *,
        conditions: Sequence[Condition] = (),
        space: Space,
        now: datetime,
    ) -> list[tuple[tuple[tuple[str, ...], str], NDArray[np.float32] | None]]:
        """Read the vectors of items under a prefix."""
        with self._read() as connection:
            return items.vectors(
                connection, attribution, prefix, self._codec, conditions=conditions, space=space, now=now
            )

    def item_namespaces(
        self, attribution: Attribution, prefix: tuple[str, ...] = (), *, now: datetime
    ) -> list[tuple[str, ...]]:
        """List namespaces in use."""
        with self._read() as connection:
            return items.namespaces(connection, attribution, prefix, self._codec, now=now)

    def sweep_items(self, *, now: datetime) -> int:
        """Delete expired items."""
        return self._write(lambda connection: items.sweep(connection, now=now))
