"""The contract of a storage: it speaks of memory, not of rows.

Every method that touches an entity takes an `Attribution` and must confine itself to that (namespace, entity_id).
Methods are synchronous and thread-safe. Failures are raised as the `StorageError` that fits, without secrets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..embedding.base import Space
from ..errors import UnsupportedError
from ..model import (
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from .records import (
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

P = ParamSpec("P")
R = TypeVar("R")


class Storage(ABC):
    """Where memory lives. `__init__` opens nothing; the first operation connects and builds."""

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        self.connection = connection
        self.options = options

    # lifecycle

    @abstractmethod
    def build(self) -> None:
        """Create or migrate what is stored, under a lock, as `options.migrate` says. Raises `SchemaError`."""

    def plan(self) -> str:
        """What `build` would run, as text for people; empty when there is nothing to do. Optional; changes nothing."""
        raise _unsupported(self, "show what it would migrate")

    @abstractmethod
    def close(self) -> None:
        """Release everything it opened itself; a connection the user passed in stays open."""

    def after_fork(self) -> None:  # noqa: B027 - a storage without connections has nothing to drop
        """Drop inherited connections without touching them. Called in the child."""

    @property
    @abstractmethod
    def display(self) -> str:
        """Where memory lives, for people, without a password."""

    # threads and transactions: only a storage that shares those of its host overrides these

    @property
    def pinned(self) -> bool:
        """Whether this thread's work must stay in it: it is inside the host's transaction, or alone has the database.

        Nothing is handed to another thread meanwhile; `Augmentation.wait` does the work itself.
        """
        return False

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call once what this thread has written is committed: now, unless it is inside the host's transaction."""
        callback()

    def awaitable(self, call: Callable[P, R]) -> Callable[P, Awaitable[R]] | None:
        """How an event loop has `call` run where the host keeps its connection; None: in any thread of ours."""
        return None

    def rest(self) -> None:  # noqa: B027 - a storage with a pool has nothing to release
        """This thread, one of ours, has finished a piece of work: release what is held for the thread."""

    # conversations

    @abstractmethod
    def append(self, attribution: Attribution, turn: Turn) -> Receipt:
        """Store the messages that are not there yet, and a job for them, in one transaction.

        A message is there already when its native id is in the session, or when it belongs to the longest suffix of
        the session's messages that is a prefix of the resent ones. With no `attribution.session_id` the session
        of the entity and process that the resent messages continue is found by that rule; else the last unnamed one,
        if `join_recent` and it is not older than the conversation gap; else a new one begins. Positions are allocated
        under the session's lock.
        """

    @abstractmethod
    def messages(
        self,
        attribution: Attribution,
        *,
        conversation_id: str | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[StoredMessage]:
        """Return active messages of the attribution's session, oldest first.

        Without a session, those of all the process's sessions; without a process too, all of the entity's. A session
        belongs to its process: naming one without a process means the process-less one.

        `limit` keeps the newest ones; `before` gives those of a position below it (needs a session).
        """

    def payloads(self, attribution: Attribution, *, limit: int | None = None) -> Sequence[Mapping[str, Any] | None]:
        """Return the payload of each message that `messages` would, in the same order; None where it has none.

        A storage that reads them without the rest of a message makes the loading of long histories cheaper.
        """
        return [one.message.payload for one in self.messages(attribution, limit=limit)]

    @abstractmethod
    def conversations(self, attribution: Attribution, *, limit: int = 100, offset: int = 0) -> list[Conversation]:
        """Return conversations of the entity (of the process and session where given), newest first."""

    # the outbox

    @abstractmethod
    def lease(self, *, limit: int, seconds: float, now: datetime) -> list[Job]:
        """Take up to `limit` jobs that are due, pending ones and those whose lease ran out.

        The oldest come first, but entities take turns: who has much to be learnt keeps nobody waiting. Two callers
        never hold the same job. Callers' clocks may differ: a new job is due at once for all of them, and one whose
        clock is ahead may take a lease over too early, which costs work and repeats nothing.
        """

    @abstractmethod
    def extend(self, job: Job, *, seconds: float, now: datetime) -> bool:
        """Prolong a lease. False when it was lost."""

    @abstractmethod
    def release(self, job: Job) -> bool:
        """Give a job back at once, as if this attempt had not been made. False when the lease was lost."""

    @abstractmethod
    def complete(
        self, job: Job, changes: FactChanges, *, expected: EntityState, now: datetime, problem: str | None = None
    ) -> tuple[Fact, ...]:
        """Apply the changes and mark the job done in one transaction; return the facts added.

        Raises `RevisionConflictError` when the entity moved on from `expected`. A lost lease changes nothing and
        returns (). `problem` stays with the job as its error: what could not be kept.
        """

    @abstractmethod
    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Give a job back until `retry_at`, or bury it as dead when None. False when the lease was lost."""

    @abstractmethod
    def open_jobs(self, attribution: Attribution | None) -> list[str]:
        """Ids of jobs not yet final: of the attribution's entity (and process and session where given), or all."""

    @abstractmethod
    def job_states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """The state of each known job."""

    @abstractmethod
    def queue_status(self, attribution: Attribution | None, *, now: datetime) -> QueueStatus:
        """Count the jobs of the attribution, or all."""

    @abstractmethod
    def jobs(
        self,
        attribution: Attribution | None,
        *,
        ids: Collection[str] | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
    ) -> list[QueuedJob]:
        """Jobs of the attribution, or all, as they stand; newest first. No states are all states."""

    @abstractmethod
    def retry(self, attribution: Attribution | None, *, now: datetime, ids: Collection[str] | None = None) -> int:
        """Make dead jobs pending again, with all their attempts: those of `ids`, or all; return how many."""

    # facts

    @abstractmethod
    def state(self, attribution: Attribution) -> EntityState:
        """The entity's revision and generation; the defaults when nothing is stored."""

    @abstractmethod
    def changes_since(self, attribution: Attribution, space: Space, revision: int) -> Delta:
        """Every fact changed after `revision`, with its vectors in `space`. The state is read before the rows."""

    @abstractmethod
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
        """Return the entity's facts, newest first, narrowed by whatever is given.

        `as_of` is world time: facts valid then, those superseded since included. `said_before`: said, or where that is
        not known stored, before that moment.
        """

    @abstractmethod
    def facts_by_fingerprint(self, attribution: Attribution, fingerprints: Collection[str]) -> dict[str, Fact]:
        """Active facts (no episodes) with those fingerprints."""

    @abstractmethod
    def search(self, attribution: Attribution, terms: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """Ids and normalised texts of active facts that contain any of the normalised terms, most terms first.

        The entity is part of the search, not a filter after it.
        """

    @abstractmethod
    def apply(
        self, attribution: Attribution, changes: FactChanges, *, expected: EntityState | None, now: datetime
    ) -> EntityState:
        """Apply changes made by hand, in one transaction. Raises `RevisionConflictError` as `complete` does."""

    @abstractmethod
    def triples(
        self, attribution: Attribution, *, limit: int = 1000, as_of: datetime | None = None
    ) -> list[tuple[str, Triple]]:
        """The entity's triples of active facts, each with the id of the fact it came from.

        `as_of` is world time: of facts valid then, those superseded since included.
        """

    @abstractmethod
    def erase(self, attribution: Attribution) -> dict[str, int]:
        """Delete everything about the entity for good; return how many rows of each table went."""

    # embedding spaces: only active and superseded facts are searched by vectors

    @abstractmethod
    def entities(self, namespace: str, *, after: str | None = None, limit: int = 100) -> list[str]:
        """Ids of the namespace's entities, in an order of the storage's own. `after` is the last id of the page before.

        An entity that is there all the time is in exactly one page.
        """

    @abstractmethod
    def unembedded(self, attribution: Attribution, space: Space, *, window: int, limit: int) -> list[Unembedded]:
        """Facts without a vector in the space, the latest changed first; an episode with up to `window` before it."""

    @abstractmethod
    def count_unembedded(self, attribution: Attribution, space: Space) -> int:
        """How many facts have no vector in the space."""

    @abstractmethod
    def add_vectors(self, attribution: Attribution, vectors: Sequence[FactVectors], space: Space) -> int:
        """Store vectors of facts in one transaction, moving the revision; return of how many facts.

        A fact is passed over that has a vector there already, or is not there, or has another text by now; so it is
        when one of those before it is no longer active, or has another text: nothing forgotten comes back.
        """

    @abstractmethod
    def activate(self, attribution: Attribution, space: Space, *, drop_old: bool = False) -> int:
        """Make the space the entity's active one if no fact lacks a vector in it; return how many do.

        Counted and changed under the entity's lock. `drop_old`: delete the vectors of its other spaces with it, which
        gives the entity a new generation.
        """

    # candidates: optional; what recall needs where an index shared by all processes answers in place of a local one

    def rows(
        self, attribution: Attribution, space: Space, ids: Collection[str], *, neighbours: bool = False
    ) -> list[IndexRow]:
        """The active and superseded facts of those ids, with their vectors in the space; unknown ids are ignored.

        `neighbours`: with the episodes said just before and just after each episode in its session.
        """
        raise _unsupported(self, "serve a shared vector index")

    def statistics(self, attribution: Attribution, *, known: Statistics | None = None) -> Statistics:
        """What normalised terms weigh among all of the entity's active and superseded facts.

        `known`: what was answered before. It is answered again, with speakers that are new, while little has changed.
        """
        raise _unsupported(self, "serve a shared vector index")

    # provenance: optional; what came from where, to review it and to take it back

    def sources(self, attribution: Attribution, source: str) -> list[str]:
        """Keys of the entity's messages that `source` names: one's key or native id, a conversation, a session.

        The first of these that there is; where several have that name, those of the attribution's process, if any.
        """
        raise _unsupported(self, "know where facts come from")

    def mentions(
        self, attribution: Attribution, *, facts: Collection[str] | None = None, messages: Collection[str] | None = None
    ) -> list[Mention]:
        """Which messages said those facts, or which facts those messages said."""
        raise _unsupported(self, "know where facts come from")

    def superseded_by(self, attribution: Attribution, ids: Collection[str]) -> list[Fact]:
        """The superseded facts that one of those took the place of."""
        raise _unsupported(self, "know where facts come from")

    def process_attributes(self, attribution: Attribution, *, limit: int = 100) -> list[ProcessAttribute]:
        """What is known of the attribution's process from conversations with its entity, newest first."""
        raise _unsupported(self, "know attributes of processes")

    # transcripts: optional; the history of one named session, edited by the application

    def transcript(self, attribution: Attribution, *, archived: bool | None = False) -> Transcript:
        """The session's messages and version. `archived`: only those, only the others (False), or all (None)."""
        raise _unsupported(self, "edit transcripts")

    def replace_messages(
        self, attribution: Attribution, messages: Sequence[Message], *, expected: int | None = None, now: datetime
    ) -> Transcript:
        """Make the session's active messages exactly these; those of the longest common prefix stay as they are.

        No job is made and no fact changes. With `expected`, raises `VersionConflictError` when the session's version
        is another.
        """
        raise _unsupported(self, "edit transcripts")

    def delete_messages(self, attribution: Attribution, keys: Collection[str]) -> int:
        """Delete messages of the session by key for good; return how many. What was learnt from them stays."""
        raise _unsupported(self, "edit transcripts")

    def archive_messages(self, attribution: Attribution, keys: Collection[str], *, archived: bool = True) -> int:
        """Take messages of the session out of, or back into, the active ones; return how many changed."""
        raise _unsupported(self, "edit transcripts")

    # items: optional; documents of an application, by namespace and key, within one entity

    def write_items(
        self,
        attribution: Attribution,
        writes: Sequence[ItemWrite],
        *,
        expected: Sequence[Expectation] = (),
        now: datetime,
    ) -> None:
        """Put and delete in one transaction; the last write of a key wins. Replacing keeps `created_at`.

        Raises `VersionConflictError`, and writes nothing, when an item is not as expected. Of writers that expect the
        same and change it, one succeeds.
        """
        raise _unsupported(self, "keep items")

    def read_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, now: datetime
    ) -> list[Item | None]:
        """The items under (namespace, key) pairs, in order; None where there is none or it has expired."""
        raise _unsupported(self, "keep items")

    def touch_items(
        self, attribution: Attribution, keys: Sequence[tuple[tuple[str, ...], str]], *, ttl: float, now: datetime
    ) -> None:
        """Let those items that expire do so `ttl` seconds from now."""
        raise _unsupported(self, "keep items")

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
        """Items whose namespace begins with whole segments of `prefix`, latest update first.

        Paths and operands of conditions are data, never part of a query's text.
        """
        raise _unsupported(self, "keep items")

    def item_vectors(
        self,
        attribution: Attribution,
        prefix: tuple[str, ...],
        *,
        conditions: Sequence[Condition] = (),
        space: Space,
        now: datetime,
    ) -> list[tuple[tuple[tuple[str, ...], str], NDArray[np.float32] | None]]:
        """The (namespace, key) of each item that `search_items` finds, with its vectors in the space, in that order.

        A storage that reads them without the rest of an item makes searches by meaning cheaper.
        """
        found = self.search_items(attribution, prefix, conditions=conditions, space=space, now=now)
        return [((one.item.namespace, one.item.key), one.vectors) for one in found]

    def item_namespaces(
        self, attribution: Attribution, prefix: tuple[str, ...] = (), *, now: datetime
    ) -> list[tuple[str, ...]]:
        """The namespaces that hold an unexpired item and begin with whole segments of `prefix`, sorted."""
        raise _unsupported(self, "keep items")

    def sweep_items(self, *, now: datetime) -> int:
        """Delete expired items of every entity; return how many."""
        raise _unsupported(self, "keep items")


def _unsupported(storage: Storage, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{type(storage).__name__} ({storage.display}) does not {what}; use another storage for that."
    )
