"""The context blocks of turns in progress: recalled once, then the same bytes for every step of the turn."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from memori import Memori

Key = tuple[str, int]
"""The stored user message that opened the turn, and how many memories were asked for."""

_MOST = 1024
# Kept by the process, not by the memory object: a durable state store makes a new one for every step. Single
# dictionary operations need no lock, which might be held by another thread at a fork.
_blocks: WeakKeyDictionary[Memori, dict[Key, str]] = WeakKeyDictionary()


def known(core: Memori, key: Key | None) -> str | None:
    """The turn's block; "" when it has none, None when nobody asked yet."""
    return None if key is None else _blocks.get(core, {}).get(key)


def keep(core: Memori, key: Key | None, block: str) -> str:
    """Keep the block for the rest of the turn and return it; of two found at once the first stays."""
    if key is None:
        return block
    turns = _blocks.setdefault(core, {})
    for oldest in list(turns)[: max(0, len(turns) - _MOST + 1)]:
        turns.pop(oldest, None)
    return turns.setdefault(key, block)
