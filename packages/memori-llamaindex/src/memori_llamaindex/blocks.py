"""The context blocks of turns in progress: recalled once, then the same bytes for every step of the turn."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from memori import Attribution, Context, Memori

Key = tuple[str, int]
"""The stored user message that opened the turn, and how many memories were asked for."""

_MOST = 1024
# Kept by the process, not by the memory object: a durable state store makes a new one for every step. Single
# dictionary operations need no lock, which might be held by another thread at a fork.
_blocks: WeakKeyDictionary[Memori, dict[Key, Context]] = WeakKeyDictionary()


def known(core: Memori, who: Attribution, key: Key | None) -> str | None:
    """The turn's block; "" when it has none, None when nobody asked yet or something in it was forgotten since.

    Blocks. Raises `memori.StorageError`.
    """
    found = None if key is None else _blocks.get(core, {}).get(key)
    if found is None:
        return None
    shown = [fact for one in found.recalled for fact in (one.fact, one.reply_to) if fact is not None]
    ids = {fact.id for fact in shown}
    if ids:
        owner = replace(who, namespace=who.namespace or core.namespace)
        there = core.config.storage.facts(owner, ids=ids, statuses=("active", "superseded"))
        if len(there) < len(ids):
            _blocks.get(core, {}).pop(key, None)  # type: ignore[arg-type]
            return None
    return found.text


def keep(core: Memori, key: Key | None, context: Context) -> str:
    """Keep the block for the rest of the turn and return its text; of two found at once the first stays."""
    if key is None:
        return context.text
    turns = _blocks.setdefault(core, {})
    for oldest in list(turns)[: max(0, len(turns) - _MOST + 1)]:
        turns.pop(oldest, None)
    return turns.setdefault(key, context).text
