"""The contracts of a vector index: one in this process, and one shared by all processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...embedding.base import Space
    from ...model import Attribution, Kind
    from ...storage.base import Storage
    from ...storage.records import Delta, EntityState


class VectorIndex(ABC):
    """Nearest neighbours by inner product over the vectors of one entity in one space.

    Ids are int64, chosen by the caller, unique. The caller holds a lock around writes; `search` and `get` may be
    called from several threads at once between them. What is put can be found, and what is removed cannot, as soon as
    the call returns: an index that has to train does so beside, in a thread of its own, and answers meanwhile.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    @abstractmethod
    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors, shape (len(ids), dimension), replacing those whose id is there already."""

    @abstractmethod
    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; unknown ids are ignored."""

    @abstractmethod
    def search(
        self, query: NDArray[np.float32], limit: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and exact inner products of the nearest vectors, best first, at most `limit`, never padded.

        `allowed`: one bool per id from 0 up; an id that is False or outside it is not returned, and takes no place
        from one that is: as many are found as there are allowed ones, up to `limit`. None (the default) allows all.
        """

    @abstractmethod
    def get(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of known ids, shape (len(ids), dimension). Raises `KeyError` for an unknown id."""

    @abstractmethod
    def __len__(self) -> int:
        """How many vectors it holds."""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes. Override where float32 vectors alone are not nearly it."""
        return len(self) * (4 * self.dimension + 16)

    @property
    def settled(self) -> bool:
        """Whether nothing runs in the background that is worth waiting for before `saved`. True by default."""
        return True

    def saved(self) -> Mapping[str, Iterable[NDArray[Any]]] | None:
        """Arrays from which `restore` makes the same index, or None (the default): then it is not saved to disk.

        The pieces of an array follow each other on disk. The call itself is quick and made while nobody writes; the
        pieces may be made when they are asked for, in another thread, while the index is used and changed.
        """
        return None

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Become, from empty, the index that `saved` gave. The arrays are flat bytes, read-only, mapped from a file.

        Return whether that is all: False when it goes on from there in the background, and is worth saving again
        once it is settled. Raises `ValueError` for arrays that don't fit together; the index is then thrown away.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement restore.")

    def close(self) -> None:  # noqa: B027 - most have nothing in the background
        """Stop what runs in the background: the index is no longer wanted, though a search may still be under way."""


@dataclass(frozen=True, slots=True)
class IndexServer:
    """Where an index that has a server of its own is: what the settings name. `prefix` begins the names it makes."""

    url: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    prefix: str = "memori"


class SharedIndex(ABC):
    """Nearest neighbours over the vectors of every entity, in a server that all processes share.

    Every call that touches an entity is confined to its (namespace, entity_id), inside the query and not after it.
    It may be behind the storage, and says by how much in `state`; what it answers is looked up in the storage, so that
    a fact it still holds is not returned once it is gone. Thread-safe. Any of its calls may raise a `MemoriError`:
    recall then goes by words.
    """

    def __init__(self, storage: Storage) -> None:
        """Nothing is opened here. Raises `UnsupportedError` for a storage that it cannot work with."""
        self.storage = storage

    @classmethod
    def connected(cls, storage: Storage, server: IndexServer) -> Self:
        """What a Memori object makes. Override where the index has a server of its own, which the settings name.

        Nothing is opened here either. Raises `ConfigurationError` for settings that won't do.
        """
        return cls(storage)

    @abstractmethod
    def state(self, attribution: Attribution, space: Space) -> EntityState:
        """What it is current to; the defaults where it holds nothing of the entity."""

    @abstractmethod
    def update(self, attribution: Attribution, space: Space, delta: Delta) -> None:
        """Put the delta's rows and take out those retired, in one transaction, and note the delta's state.

        The same delta again changes nothing, and one older than `state` is passed over, as is one of a generation
        that the storage has left. Where the index's generation is another, everything of the entity goes first, of
        that generation in other spaces too: the delta must then begin at revision -1.
        """

    @abstractmethod
    def search(
        self,
        attribution: Attribution,
        space: Space,
        query: NDArray[np.float32],
        limit: int,
        *,
        kinds: Collection[Kind] | None = None,
        as_of: datetime | None = None,
        within: tuple[datetime, datetime] | None = None,
    ) -> list[str]:
        """Ids of the facts nearest to the query by their best passages, best first, each once, `limit` at most.

        Active ones; with `as_of` those that were true then, superseded ones among them. `within`: only
        those that began, or where nothing else is known were said, from the first moment on and before the second.
        """

    @abstractmethod
    def erase(self, attribution: Attribution) -> None:
        """Delete everything of the entity, in every space."""

    def reading(self) -> AbstractContextManager[None]:
        """A recall asks the storage and this index inside it, one after the other.

        Nothing by default. An index in the storage's own database may have the thread's reads share a connection.
        """
        return nullcontext()

    def close(self) -> None:  # noqa: B027 - most use the storage's connections
        """Release what it opened itself."""
