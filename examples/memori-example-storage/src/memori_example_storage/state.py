"""Everything that is stored, as one value that is read and replaced whole."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
from memori.embedding.base import Space
from memori.errors import StorageUnavailableError
from memori.model import Attribution, Conversation, Fact, JobState, Message, StoredMessage, Triple
from numpy.typing import NDArray

Owner = tuple[str, str]
SessionKey = tuple[str, str, str | None, str]


@dataclass
class Session:
    """Messages of one sitting; `count` never goes back."""

    attribution: Attribution
    implicit: bool
    messages: list[StoredMessage] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    count: int = 0


@dataclass
class StoredFact:
    """A fact with what an index needs of it."""

    fact: Fact
    process_id: str | None
    search_text: str
    fingerprint: str
    vectors: dict[str, NDArray[np.float32]]
    triples: tuple[Triple, ...]
    said_by: set[str]
    windows: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Entity:
    """What belongs to one person. `generation` differs between two lives of one id."""

    generation: str
    revision: int = 0
    space: Space | None = None
    facts: dict[str, StoredFact] = field(default_factory=dict)


@dataclass
class StoredJob:
    """One row of the outbox."""

    id: str
    session: SessionKey
    first: int
    last: int
    due: datetime
    created_at: datetime
    state: JobState = "pending"
    attempts: int = 0
    token: str | None = None
    until: datetime | None = None
    finished: datetime | None = None
    error: str | None = None


@dataclass
class State:
    """The content of the file."""

    entities: dict[Owner, Entity] = field(default_factory=dict)
    sessions: dict[SessionKey, Session] = field(default_factory=dict)
    jobs: dict[str, StoredJob] = field(default_factory=dict)


class File:
    """One file, shared by every storage of this process that names it. A transaction works on a copy and swaps it in.

    The file is a pickle: open only files you wrote yourself.
    """

    _open: ClassVar[dict[Path, File]] = {}
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._state: State = pickle.loads(path.read_bytes()) if path.exists() else State()

    @classmethod
    def at(cls, path: Path) -> File:
        """The one File of a path."""
        with cls._opening:
            return cls._open.setdefault(path, cls(path))

    def read(self) -> State:
        """The state as it is now; it is replaced, never changed."""
        return self._state

    @contextmanager
    def write(self) -> Iterator[State]:
        """Change a copy; when the block ends well it reaches the disk and becomes the state."""
        with self._lock:
            draft = deepcopy(self._state)
            yield draft
            part = self._path.with_suffix(".part")
            try:
                with part.open("wb") as file:
                    pickle.dump(draft, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self._path)
            except OSError as error:
                raise StorageUnavailableError(
                    f"{self._path}: {error}. Check that the folder can be written."
                ) from error
            self._state = draft


def owner(attribution: Attribution) -> Owner:
    """What separates tenants."""
    return attribution.namespace, attribution.entity_id


def overlap(stored: list[Message], resent: list[Message]) -> int:
    """Length of the longest suffix of what is stored that is a prefix of what was resent."""
    for length in range(min(len(stored), len(resent)), 0, -1):
        if all(same(a, b) for a, b in zip(stored[-length:], resent[:length], strict=True)):
            return length
    return 0


def same(a: Message, b: Message) -> bool:
    """Native ids decide where both have one; else role, exact content and tool ids."""
    return a.id == b.id if a.id and b.id else a.identity == b.identity
