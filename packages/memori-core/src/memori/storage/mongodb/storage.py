"""The MongoDB backend: each operation of the contract as one unit of work on one entity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...embedding.base import Space
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
    ItemWrite,
    Job,
    Mention,
    StorageOptions,
    Turn,
    Unembedded,
)
from ..values import entity_key
from . import conversations, facts, items, outbox, provenance, spaces, transcripts
from .database import MongoDatabase
from .rows import Rows, Unit

T = TypeVar("T")
_SUPERSEDED: tuple[FactStatus, ...] = ("superseded",)


class MongoStorage(Storage):
    """A MongoDB database through pymongo.

    `options.extra`: "transactions" (True or False) overrides what is found out about the deployment, and "database"
    names the database where neither the URL nor the client does; else it is "memori".
    """

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        super().__init__(connection, options)
        self._database = MongoDatabase(connection, options)
        self._codec: Codec = options.codec or PlainCodec()
        self._built = False
        self._building = threading.Lock()

    @property
    def display(self) -> str:
        """Hosts and database, with *** for the password."""
        return self._database.display

    @property
    def transactions(self) -> bool:
        """Whether units of work are transactions of the server; asks it."""
        with self._read():
            return self._database.transactions

    def build(self) -> None:
        """Create the collections and indexes."""
        with self._building:
            self._database.build()
            self._built = True

    def close(self) -> None:
        """Close the client, if it was made here."""
        self._database.close()

    def after_fork(self) -> None:
        """Forget the parent's client."""
        self._building = threading.Lock()
        self._database.after_fork()

    @contextmanager
    def _read(self) -> Iterator[Rows]:
        if not self._built:
            self.build()
        with self._database.rows() as rows:
            yield rows

    def _write(self, attribution: Attribution, operation: Callable[[Unit], T]) -> T:
        if not self._built:
            self.build()
        return self._database.run(entity_key(attribution), operation)

    def append(self, attribution: Attribution, turn: Turn) -> Receipt:
        """Store the new messages of a turn and their job."""
        return self._write(
            attribution, lambda unit: conversations.append(unit, attribution, turn, self.options, self._codec)
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
        with self._read() as rows:
            return conversations.messages(
                rows, attribution, self._codec, conversation_id=conversation_id, limit=limit, before=before
            )

    def payloads(self, attribution: Attribution, *, limit: int | None = None) -> Sequence[Mapping[str, Any] | None]:
        """Read native messages, oldest first."""
        with self._read() as rows:
            return conversations.payloads(rows, attribution, self._codec, limit=limit)

    def conversations(self, attribution: Attribution, *, limit: int = 100, offset: int = 0) -> list[Conversation]:
        """Read conversations, newest first."""
        with self._read() as rows:
            return conversations.conversations(rows, attribution, self._codec, limit=limit, offset=offset)

    def lease(self, *, limit: int, seconds: float, now: datetime) -> list[Job]:
        """Take due jobs, those of turns included that a writer committed and died."""
        if not self._built:
            self.build()
        self._database.recover()
        return outbox.lease(self._database, self._codec, limit=limit, seconds=seconds, now=now)

    def extend(self, job: Job, *, seconds: float, now: datetime) -> bool:
        """Prolong a lease."""
        with self._read() as rows:
            return outbox.extend(rows, job, seconds=seconds, now=now)

    def release(self, job: Job) -> bool:
        """Give a job back as if it had not been taken."""
        with self._read() as rows:
            return outbox.release(rows, job)

    def complete(
        self, job: Job, changes: FactChanges, *, expected: EntityState, now: datetime, problem: str | None = None
    ) -> tuple[Fact, ...]:
        """Apply the changes and mark the job done."""

        def finish(unit: Unit) -> tuple[Fact, ...]:
            if not outbox.finish(unit, job, problem=problem, now=now):
                return ()
            return facts.apply(unit, job.attribution, changes, self._codec, expected=expected, now=now)[1]

        return self._write(job.attribution, finish)

    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Give a job back, or bury it."""
        with self._read() as rows:
            return outbox.fail(rows, job, error, retry_at=retry_at, now=now)

    def open_jobs(self, attribution: Attribution | None) -> list[str]:
        """Ids of jobs not yet final."""
        with self._read() as rows:
            return outbox.open_jobs(rows, attribution)

    def job_states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """The state of each known job."""
        with self._read() as rows:
            return outbox.job_states(rows, job_ids)

    def queue_status(self, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
        """Count jobs."""
        with self._read() as rows:
            return outbox.queue_status(rows, attribution, now=now)

    def jobs(
        self,
        attribution: Attribution | None,
        *,
        ids: Collection[str] | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
    ) -> list[QueuedJob]:
        """Jobs as they stand, newest first."""
        with self._read() as rows:
            return outbox.jobs(rows, attribution, ids=ids, states=states, limit=limit)

    def retry(self, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None = None) -> int:
        """Make dead jobs pending again."""
        with self._read() as rows:
            return outbox.retry(rows, attribution, now=now, ids=ids)

    def state(self, attribution: Attribution) -> EntityState:
        """The entity's revision and generation."""
        with self._read() as rows:
            return facts.state(rows, attribution)

    def changes_since(self, attribution: Attribution, space: Space, revision: int) -> Delta:
        """Facts changed after a revision."""
        with self._read() as rows:
            return facts.changes_since(rows, attribution, space, revision, self._codec)

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
        with self._read() as rows:
            found = facts.select_facts(
                rows, attribution, self._codec, ids=ids, kinds=kinds, statuses=statuses, as_of=as_of, slots=slots,
                process_id=process_id, tier=tier, said_before=said_before, limit=limit, offset=offset,
            )  # fmt: skip
        return [fact for _, fact in found]

    def facts_by_fingerprint(self, attribution: Attribution, fingerprints: Collection[str]) -> dict[str, Fact]:
        """Active facts, not episodes, with those fingerprints."""
        with self._read() as rows:
            found = facts.select_facts(rows, attribution, self._codec, fingerprints=fingerprints)
        return {fingerprint: fact for fingerprint, fact in found if fact.kind != "episode"}

    def search(self, attribution: Attribution, terms: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """Facts that hold any of the terms."""
        with self._read() as rows:
            return facts.search(rows, attribution, terms, self._codec, limit=limit)

    def apply(
        self, attribution: Attribution, changes: FactChanges, *, expected: EntityState | None, now: datetime
    ) -> EntityState:
        """Change facts by hand."""

        def change(unit: Unit) -> EntityState:
            facts.check_known(unit, attribution, changes)
            return facts.apply(unit, attribution, changes, self._codec, expected=expected, now=now)[0]

        return self._write(attribution, change)

    def triples(
        self, attribution: Attribution, *, limit: int = 1000, as_of: datetime | None = None
    ) -> list[tuple[str, Triple]]:
        """Triples of active facts, or of those true at a moment."""
        with self._read() as rows:
            return facts.triples(rows, attribution, self._codec, limit=limit, as_of=as_of)

    def erase(self, attribution: Attribution) -> dict[str, int]:
        """Delete everything about the entity."""
        return self._write(attribution, lambda unit: facts.erase(unit, attribution))

    def entities(self, namespace: str, *, after: str | None = None, limit: int = 100) -> list[str]:
        """A page of the namespace's entities."""
        with self._read() as rows:
            return spaces.entities(rows, namespace, after=after, limit=limit)

    def unembedded(self, attribution: Attribution, space: Space, *, window: int, limit: int) -> list[Unembedded]:
        """Facts without a vector in the space."""
        with self._read() as rows:
            return spaces.unembedded(rows, attribution, space, self._codec, window=window, limit=limit)

    def count_unembedded(self, attribution: Attribution, space: Space) -> int:
        """How many facts have no vector in the space."""
        with self._read() as rows:
            return spaces.count_unembedded(rows, attribution, space)

    def add_vectors(self, attribution: Attribution, vectors: Sequence[FactVectors], space: Space) -> int:
        """Store vectors of facts."""
        return self._write(attribution, lambda unit: spaces.add_vectors(unit, attribution, vectors, space, self._codec))

    def activate(self, attribution: Attribution, space: Space, *, drop_old: bool = False) -> int:
        """Flip the entity's active space when nothing is missing in it."""
        return self._write(attribution, lambda unit: spaces.activate(unit, attribution, space, drop_old=drop_old))

    def sources(self, attribution: Attribution, source: str) -> list[str]:
        """Keys of the messages that a source names."""
        with self._read() as rows:
            return provenance.sources(rows, attribution, source)

    def mentions(
        self, attribution: Attribution, *, facts: Collection[str] | None = None, messages: Collection[str] | None = None
    ) -> list[Mention]:
        """Which messages said which facts."""
        with self._read() as rows:
            return provenance.mentions(rows, attribution, facts=facts, messages=messages)

    def superseded_by(self, attribution: Attribution, ids: Collection[str]) -> list[Fact]:
        """What facts took the place of."""
        with self._read() as rows:
            found = facts.select_facts(rows, attribution, self._codec, successors=ids, statuses=_SUPERSEDED)
        return [fact for _, fact in found]

    def process_attributes(self, attribution: Attribution, *, limit: int = 100) -> list[ProcessAttribute]:
        """What is known of a process."""
        with self._read() as rows:
            return provenance.process_attributes(rows, attribution, self._codec, limit=limit)

    def transcript(self, attribution: Attribution, *, archived: bool | None = False) -> Transcript:
        """Read a session's version and messages."""
        transcripts.check(attribution)
        with self._read() as rows:
            return transcripts.read(rows, attribution, self._codec, archived=archived)

    def replace_messages(
        self, attribution: Attribution, messages: Sequence[Message], *, expected: int | None = None, now: datetime
    ) -> Transcript:
        """Make the session's active messages exactly these."""
        transcripts.check(attribution)
        self._write(
            attribution,
            lambda unit: transcripts.replace(
                unit, attribution, messages, self._codec, self.options, expected=expected, now=now
            ),
        )
        return self.transcript(attribution)

    def delete_messages(self, attribution: Attribution, keys: Collection[str]) -> int:
        """Delete messages of a session."""
        transcripts.check(attribution)
        return self._write(attribution, lambda unit: transcripts.delete(unit, attribution, keys))

    def archive_messages(self, attribution: Attribution, keys: Collection[str], *, archived: bool = True) -> int:
        """Archive messages of a session, or bring them back."""
        transcripts.check(attribution)
        return self._write(attribution, lambda unit: transcripts.archive(unit, attribution, keys, archived=archived))

    def write_items(
        self,
        attribution: Attribution,
        writes: Sequence[ItemWrite],
        *,
        expected: Sequence[Expectation] = (),
        now: datetime,
    ) -> None:
        """Put and delete items."""
        self._write(
            attribution,
            lambda unit: items.write(unit, attribution, writes, self._codec, expected=expected, now=now),
        )

    def read_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, now: datetime
    ) -> list[Item | None]:
        """Read items by key."""
        with self._read() as rows:
            return items.read(rows, attribution, keys, self._codec, now=now)

    def touch_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, ttl: float, now: datetime
    ) -> None:
        """Move the expiry of items."""
        with self._read() as rows:
            items.touch(rows, attribution, keys, ttl=ttl, now=now)

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
        with self._read() as rows:
            return items.search(
                rows, attribution, prefix, self._codec, conditions=conditions, space=space, limit=limit,
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
        with self._read() as rows:
            return items.vectors(rows, attribution, prefix, self._codec, conditions=conditions, space=space, now=now)

    def item_namespaces(
        self, attribution: Attribution, prefix: tuple[str, ...] = (), *, now: datetime
    ) -> list[tuple[str, ...]]:
        """List namespaces in use."""
        with self._read() as rows:
            return items.namespaces(rows, attribution, prefix, self._codec, now=now)

    def sweep_items(self, *, now: datetime) -> int:
        """Delete expired items."""
        with self._read() as rows:
            return items.sweep(rows, now=now)
