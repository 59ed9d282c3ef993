"""An application's own documents, by namespace and key, within one entity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .text import storable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .embedding.base import Space
    from .model import Attribution, Item
    from .storage.base import Storage
    from .storage.records import Condition, Expectation, FoundItem, ItemWrite

Key = tuple[tuple[str, ...], str]
"""A namespace and a key in it."""
_LONGEST = 1_000 * 365 * 86_400.0
"""The longest life of an item, in seconds; a moment much later than that is none that can be stored."""


class Items:
    """The documents of an entity: `memori.items`. They are apart from what is learnt, and `erase` takes them too.

    A namespace is a tuple of strings, a value a JSON object. `attribution` None means the current one. Raises
    `UnsupportedError` where the storage keeps no items, and `TypeError` or `ValueError` for what is no namespace, key
    or JSON, before anything is written.
    """

    def __init__(
        self,
        ready: Callable[[], Storage],
        who: Callable[[Attribution | None], Attribution],
        redact: Callable[[str], str] | None,
    ) -> None:
        self._ready = ready
        self._who = who
        self._redact = redact

    def write(
        self,
        writes: Sequence[ItemWrite],
        *,
        attribution: Attribution | None = None,
        expected: Sequence[Expectation] = (),
        redacted: bool = False,
    ) -> None:
        """Put and delete in one transaction; the last write of a key wins. Replacing keeps `created_at`.

        Raises `VersionConflictError`, and writes nothing, when an item is not as `expected`. `redacted`: what of the
        values a redactor may see has been through `document` already, and the rest, such as ids, must stay as it is.
        """
        who = self._who(attribution)
        for one in writes:
            _check((one.namespace, one.key))
            if one.ttl is not None:
                _check_ttl(one.ttl, "None keeps an item for good")
        for expectation in expected:
            _check((expectation.namespace, expectation.key))
        kept = [
            one if redacted or one.value is None else replace(one, value=self.document(one.value)) for one in writes
        ]
        if kept:
            self._ready().write_items(who, kept, expected=expected, now=datetime.now(UTC))

    def read(self, keys: Sequence[Key], *, attribution: Attribution | None = None) -> list[Item | None]:
        """The items, in order; None where there is none or it has expired."""
        who = self._who(attribution)
        for key in keys:
            _check(key)
        return self._ready().read_items(who, keys, now=datetime.now(UTC)) if keys else []

    def touch(self, keys: Sequence[Key], *, ttl: float, attribution: Attribution | None = None) -> None:
        """Let those of them that expire do so `ttl` seconds from now."""
        who = self._who(attribution)
        for key in keys:
            _check(key)
        _check_ttl(ttl, "to delete an item, write it with the value None")
        self._ready().touch_items(who, keys, ttl=ttl, now=datetime.now(UTC))

    def search(
        self,
        prefix: tuple[str, ...] = (),
        *,
        conditions: Sequence[Condition] = (),
        space: Space | None = None,
        limit: int | None = None,
        offset: int = 0,
        attribution: Attribution | None = None,
    ) -> list[FoundItem]:
        """Items whose namespace begins with whole segments of `prefix` and that meet all conditions, newest first.

        `space` asks for the vectors that were stored with them in it.
        """
        who = self._who(attribution)
        return self._ready().search_items(
            who, prefix, conditions=conditions, space=space, limit=limit, offset=offset, now=datetime.now(UTC)
        )

    def vectors(
        self,
        prefix: tuple[str, ...] = (),
        *,
        conditions: Sequence[Condition] = (),
        space: Space,
        attribution: Attribution | None = None,
    ) -> list[tuple[Key, NDArray[np.float32] | None]]:
        """The key of each item that `search` finds, with its vectors in the space, in that order; for a ranking."""
        who = self._who(attribution)
        return self._ready().item_vectors(who, prefix, conditions=conditions, space=space, now=datetime.now(UTC))

    def namespaces(
        self, prefix: tuple[str, ...] = (), *, attribution: Attribution | None = None
    ) -> list[tuple[str, ...]]:
        """The namespaces in use that begin with whole segments of `prefix`, sorted."""
        return self._ready().item_namespaces(self._who(attribution), prefix, now=datetime.now(UTC))

    def sweep(self) -> int:
        """Delete what has expired, of every entity; return how many. Until then it is only not found any more."""
        return self._ready().sweep_items(now=datetime.now(UTC))

    def document(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The value as `write` keeps it: a copy, its texts redacted. What is embedded for it is made of this."""
        if not isinstance(value, Mapping):
            raise TypeError(f"the value of an item must be a mapping, got {type(value).__name__}.")
        document: dict[str, Any] = self._json(dict(value))
        return document

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if self._redact is None else self._redact(value)
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise TypeError("the keys of an item's value must be strings.")
            return {key: self._json(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._json(part) for part in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        raise TypeError(f"the value of an item must be JSON, which {type(value).__name__} is not.")


def _check(key: Key) -> None:
    namespace, name = key
    if not isinstance(namespace, tuple) or not all(isinstance(label, str) for label in namespace):
        raise TypeError(f"a namespace must be a tuple of strings, got {namespace!r}.")
    if not isinstance(name, str) or not name:
        raise TypeError(f"the key of an item must be a string that is not empty, got {name!r}.")
    if any(storable(part) != part for part in (*namespace, name)):
        raise ValueError("the namespace and key of an item may hold neither NUL nor a lone surrogate.")


def _check_ttl(ttl: float, otherwise: str) -> None:
    if not 0 < ttl <= _LONGEST:
        raise ValueError(f"ttl must be more than 0 seconds and at most 1,000 years, got {ttl}; {otherwise}.")
