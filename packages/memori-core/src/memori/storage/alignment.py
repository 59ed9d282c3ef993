"""Which of the messages an application sends were stored before: pure functions over digests and native ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..model import Message
from .records import Codec
from .values import digest

Mark = tuple[str, str | None]
"""What a message is known by: its digest, and its native id where it has one."""


def same(one: Mark, other: Mark) -> bool:
    """Native ids decide where both have one; else role, exact content and tool ids."""
    return one[1] == other[1] if one[1] and other[1] else one[0] == other[0]


def overlap(stored: Sequence[Mark], resent: Sequence[Mark]) -> int:
    """Length of the longest suffix of what is stored that is a prefix of what was resent."""
    for length in range(min(len(stored), len(resent)), 0, -1):
        if all(map(same, stored[len(stored) - length :], resent)):
            return length
    return 0


def already_stored(
    messages: Sequence[Message], overlapping: int, stored_among: Callable[[list[str]], Collection[str]]
) -> set[int]:
    """Indexes of messages not to store again: the overlap, repeats of a native id, and native ids stored before.

    `stored_among` says which of some native ids the session holds.
    """
    known = set(range(overlapping))
    by_native_id: dict[str, list[int]] = {}
    for index, message in enumerate(messages):
        if message.id:
            by_native_id.setdefault(message.id, []).append(index)
    known.update(index for repeats in by_native_id.values() for index in repeats[1:])
    # Some databases take an id for the same with a space at its end.
    stored = stored_among(list(by_native_id)) if by_native_id else ()
    known.update(by_native_id[native_id][0] for native_id in stored if native_id in by_native_id)
    return known


def common_prefix(stored: Sequence[Mapping[Any, Any]], messages: Sequence[Message], codec: Codec) -> int:
    """How many stored rows (with digest, native_id and payload) begin the messages as they are."""
    kept = 0
    for row, message in zip(stored, messages, strict=False):
        if not same((row["digest"], row["native_id"]), (digest(message, codec), message.id)):
            break
        if not _same_payload(row["payload"], message, codec):
            break
        kept += 1
    return kept


def _same_payload(stored: str | None, message: Message, codec: Codec) -> bool:
    """Two messages with one text may still differ natively (in a picture, say). No payload asks for no change."""
    if message.payload is None:
        return True
    return stored is not None and json.loads(codec.decode(stored)) == json.loads(json.dumps(message.payload))
