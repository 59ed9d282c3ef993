"""Storage in the database of a Django project, on the connection and in the transaction of the thread that calls."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import django.db
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from ...embedding.base import Space
from ...errors import ConfigurationError, UnknownConnectionError
from ...keys import new_key
from ...model import Attribution, Fact
from ..records import Delta, EntityState, FactChanges, FactVectors, Job, StorageOptions
from ..sql import migrations
from ..sql.engine import Database
from ..sql.storage import SQLStorage
from .database import DjangoDatabase

P = ParamSpec("P")
R = TypeVar("R")


class DjangoStorage(SQLStorage):
    """`django.db.connection`, or one of `django.db.connections`: memory is written where the models are.

    With the app "memori.storage.django" installed, `manage.py migrate` makes the tables and they are only checked
    here; without it they are made on first use.
    """

    _database: DjangoDatabase

    def _open(self, connection: Any, options: StorageOptions) -> Database:
        try:
            self._alias = _alias(connection)
            return DjangoDatabase(lambda: connections[self._alias], options)
        except ImproperlyConfigured as error:
            raise ConfigurationError(
                f"Django is not set up: {error} Outside of manage.py and the server, call django.setup() first."
            ) from error

    def build(self) -> None:
        """Check the tables, or make them where the app is not installed."""
        installed = apps.apps_ready and apps.is_installed("memori.storage.django")
        with self._building:
            migrate = self.options.migrate
            migrations.build(self._database, "check" if installed and migrate == "auto" else migrate)
        if installed:
            self._built = True
        else:
            # Tables made inside the project's transaction are gone when it is rolled back.
            self.after_commit(self._remember_built)

    def _remember_built(self) -> None:
        self._built = True

    # threads and transactions

    @property
    def pinned(self) -> bool:
        """Inside a transaction of the project's, and with SQLite in memory, which has one thread to itself."""
        return self._database.joined or self._database.in_memory

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call when Django has committed; never, when it rolls back."""
        if connections[self._alias].in_atomic_block:
            transaction.on_commit(callback, using=self._alias, robust=True)
        else:
            callback()

    def awaitable(self, call: Callable[P, R]) -> Callable[P, Awaitable[R]] | None:
        """Where Django's own asynchronous queries run: the one thread of the request, or the one around the loop."""
        return sync_to_async(call, thread_sensitive=True)

    def rest(self) -> None:
        """Close what Django opened for this thread: no request that ends will do it."""
        with contextlib.suppress(django.db.Error):
            connections.close_all()

    # caches: facts of a transaction that may yet be rolled back have a generation of their own

    def state(self, attribution: Attribution) -> EntityState:
        """The entity's state, as this thread's transaction sees it."""
        return self._marked(super().state(attribution))

    def changes_since(self, attribution: Attribution, space: Space, revision: int) -> Delta:
        """The entity's changes, as this thread's transaction sees them."""
        delta = super().changes_since(attribution, space, revision)
        return Delta(self._marked(delta.state), delta.rows)

    def apply(
        self, attribution: Attribution, changes: FactChanges, *, expected: EntityState | None, now: datetime
    ) -> EntityState:
        """Change facts by hand."""
        state = super().apply(attribution, changes, expected=None if expected is None else _unmarked(expected), now=now)
        self._mark()
        return self._marked(state)

    def complete(
        self, job: Job, changes: FactChanges, *, expected: EntityState, now: datetime, problem: str | None = None
    ) -> tuple[Fact, ...]:
        """Apply the changes and mark the job done."""
        added = super().complete(job, changes, expected=_unmarked(expected), now=now, problem=problem)
        self._mark()
        return added

    def add_vectors(self, attribution: Attribution, vectors: Sequence[FactVectors], space: Space) -> int:
        """Store vectors of facts."""
        added = super().add_vectors(attribution, vectors, space)
        self._mark()
        return added

    def activate(self, attribution: Attribution, space: Space, *, drop_old: bool = False) -> int:
        """Flip the entity's active space when nothing is missing in it."""
        missing = super().activate(attribution, space, drop_old=drop_old)
        self._mark()
        return missing

    def _mark(self) -> None:
        """Leave a mark in the project's transaction. It goes when that ends, or is rolled back to before it."""
        wrapper = connections[self._alias]
        if wrapper.in_atomic_block:
            transaction.on_commit(_Mark(), using=self._alias)

    def _marked(self, state: EntityState) -> EntityState:
        wrapper = connections[self._alias]
        if not state.generation or not self._database.joined:
            return state
        if not wrapper.in_atomic_block:
            # Transactions are managed by hand, and nothing tells when they end: caches are of no use.
            return replace(state, generation=f"{state.generation}:{new_key()}")
        marks = [hook.key for _, hook, *_ in wrapper.run_on_commit if isinstance(hook, _Mark)]
        return replace(state, generation=f"{state.generation}:{marks[-1]}") if marks else state


class _Mark:
    """Something to find in `run_on_commit`."""

    def __init__(self) -> None:
        self.key = new_key()

    def __call__(self) -> None:
        """Nothing is to be done on commit."""


def _unmarked(state: EntityState) -> EntityState:
    return replace(state, generation=state.generation.partition(":")[0])


def _alias(connection: Any) -> str:
    """The name of the database in settings.DATABASES."""
    alias = getattr(connection, "alias", None)
    if isinstance(alias, str):
        return alias
    known = ", ".join(f'connections["{name}"]' for name in connections)
    raise UnknownConnectionError(
        f"A {type(connection).__module__}.{type(connection).__qualname__} is not a connection of Django's. "
        f"Pass django.db.connection, or one of: {known}."
    )
