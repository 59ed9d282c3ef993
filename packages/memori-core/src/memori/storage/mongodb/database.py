"""One MongoDB database, and how a unit of work becomes true on it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pymongo import ReadPreference, ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from ... import telemetry
from ...errors import StorageError, StorageLockedError, StorageUnavailableError
from ..records import StorageOptions
from . import journal, layout
from .failures import NO_TRANSACTIONS, translated
from .lease import Clock, LeaseLostError, Leases
from .opening import Opened, check, describe, open_database
from .rows import Rows, Unit

T = TypeVar("T")
logger = logging.getLogger("memori.storage")

_inherited: list[Opened] = []
"""Clients of a parent process: neither used nor freed in the child."""


_MOST = 5000
"""Documents that one transaction touches; a server ends those that take a minute."""


class _TooMuchError(Exception):
    """The unit of work is too much for one transaction."""


class _TakenError(Exception):
    """The entity's lease is held, missing, or has something pending."""


class Deployment:
    """A database that answers: what it can do, and the leases in it."""

    def __init__(self, opened: Opened, options: StorageOptions) -> None:
        greeting = opened.client.admin.command("hello")
        many = "setName" in greeting or greeting.get("msg") == "isdbgrid"
        found = many and greeting.get("logicalSessionTimeoutMinutes") is not None
        forced = options.extra.get("transactions")
        self.transactions: bool = found if forced is None else bool(forced)
        self.forced = forced is not None
        self.opened = opened
        self.leases = Leases(opened.database, Clock(greeting.get("localTime")))


class MongoDatabase:
    """Opened at the first operation. Every method raises the `StorageError` that fits."""

    def __init__(self, connection: Any, options: StorageOptions) -> None:
        check(connection)
        self._connection = connection
        self._options = options
        self._opening = threading.Lock()
        self._opened: Opened | None = None
        self._deployment: Deployment | None = None
        self._turns: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.display = describe(connection)

    @property
    def transactions(self) -> bool:
        """Whether units of work are transactions of the server."""
        return self._ready().transactions

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read, or change single documents."""
        with translated(self.display):
            yield Rows(self._ready().opened.database)

    def build(self) -> None:
        """Create the collections and indexes."""
        with translated(self.display):
            layout.build(self._ready().opened.database, self._options.migrate, self.display)

    def run(self, entity: str, operation: Callable[[Unit], T]) -> T:
        """Do a unit of work alone with the entity. It may be done again from the start, so it changes only the unit."""
        with translated(self.display):
            deployment = self._ready()
            deadline = time.monotonic() + self._options.busy_timeout
            by_lease = not deployment.transactions
            with self._turn(entity, deadline):
                while True:
                    try:
                        if by_lease:
                            return self._under_lease(deployment, entity, operation, deadline)
                        return self._in_transaction(deployment, entity, operation)
                    except _TooMuchError:
                        by_lease = True
                    except _TakenError:
                        # Wait for the holder and finish what it left; then the transaction finds the lease free.
                        with suppress(LeaseLostError):
                            if not deployment.leases.create(entity):
                                self._under_lease(deployment, entity, _nothing, deadline)
                    except LeaseLostError:
                        pass
                    except OperationFailure as error:
                        if by_lease or deployment.forced or error.code not in NO_TRANSACTIONS:
                            raise
                        deployment.transactions, by_lease = False, True
                    if time.monotonic() > deadline:
                        raise StorageLockedError(f"{self.display}: others kept taking the entity's lease; try again.")

    @contextmanager
    def exclusive(self, entity: str) -> Iterator[Rows]:
        """Hold the entity's lease, with nothing pending, around changes of single documents."""
        with translated(self.display):
            deployment = self._ready()
            deadline = time.monotonic() + self._options.busy_timeout
            with self._turn(entity, deadline):
                held = deployment.leases.acquire(entity, deadline=deadline, display=self.display)
                erased = bool(held.pending and held.pending["erased"])
                try:
                    journal.finish(deployment.leases, held, patience=self._options.busy_timeout)
                    yield Rows(deployment.opened.database)
                finally:
                    with suppress(PyMongoError):
                        deployment.leases.release(held, erased=erased)

    def recover(self) -> None:
        """Finish what writers that died had committed, and remove what they had not."""
        with translated(self.display):
            leases = self._ready().leases
            for entity in leases.abandoned(limit=100):
                try:
                    with suppress(LeaseLostError), self.exclusive(entity):
                        pass
                except StorageUnavailableError:
                    raise
                except StorageError as error:
                    # One entity whose writes are refused keeps nobody else waiting.
                    telemetry.failure(logger, "finishing a write that was cut short", error)
            journal.sweep(leases)

    def close(self) -> None:
        """Close the client, if it was made here."""
        with self._opening:
            opened, self._opened, self._deployment = self._opened, None, None
        if opened is not None and opened.owned:
            opened.client.close()

    def after_fork(self) -> None:
        """Open anew at the next operation. A client of the user's is used on; pymongo has reset its locks."""
        if self._opened is not None:
            _inherited.append(self._opened)
        self._opening = threading.Lock()
        self._opened = self._deployment = None
        self._turns = WeakValueDictionary()

    def _ready(self) -> Deployment:
        if (ready := self._deployment) is not None:
            return ready
        with self._opening:
            if self._opened is None:
                self._opened = open_database(self._connection, self._options)
                if not isinstance(self._connection, str):
                    self.display = describe(self._opened.database)
            opened = self._opened
        # Threads that find no server wait for one side by side, not one after the other.
        found = Deployment(opened, self._options)
        with self._opening:
            if self._opened is opened:
                self._deployment = found
        return found

    @contextmanager
    def _turn(self, entity: str, deadline: float) -> Iterator[None]:
        """Threads of this process wait for each other here rather than by asking the server."""
        with self._opening:
            turn = self._turns.setdefault(entity, threading.Lock())
        if not turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StorageLockedError(f"{self.display}: other threads kept writing to this entity; try again.")
        try:
            yield
        finally:
            turn.release()

    def _in_transaction(self, deployment: Deployment, entity: str, operation: Callable[[Unit], T]) -> T:
        database, leases = deployment.opened.database, deployment.leases

        def work(session: ClientSession) -> T:
            unit = Unit(database, entity, session)
            result = operation(unit)
            if not unit.writes:
                return result
            if unit.size > _MOST:
                raise _TooMuchError
            # Whoever else writes to the entity changes this document too: the server lets only one of them through,
            # and the others begin again. It comes last, since a process that dies leaves it locked for a while.
            row = leases.rows.find_one_and_update(
                {**leases.free(entity, leases.clock.now()), "pending": {"$exists": False}},
                {"$inc": {"fence": 1}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if row is None:
                raise _TakenError
            journal.perform(database, unit.writes, fence=row["fence"], session=session)
            if unit.erased:
                leases.rows.delete_one({"_id": entity}, session=session)
            return result

        with deployment.opened.client.start_session() as session:
            return session.with_transaction(
                work,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority", j=True),
                read_preference=ReadPreference.PRIMARY,
            )

    def _under_lease(self, deployment: Deployment, entity: str, operation: Callable[[Unit], T], deadline: float) -> T:
        leases, patience = deployment.leases, self._options.busy_timeout
        held = leases.acquire(entity, deadline=deadline, display=self.display)
        erased = bool(held.pending and held.pending["erased"])
        try:
            journal.finish(leases, held, patience=patience)
            unit = Unit(deployment.opened.database, entity)
            result = operation(unit)
            if unit.writes:
                journal.commit(leases, held, unit)
                erased = unit.erased
                # Who takes the lease from here on finishes it before anything else.
                with suppress(LeaseLostError):
                    journal.finish(leases, held, patience=patience)
            return result
        finally:
            # A lease that cannot be given back ends by itself.
            with suppress(PyMongoError):
                leases.release(held, erased=erased)


def _nothing(_: Unit) -> None:
    """The operation of a unit that only waits and recovers."""
