"""Check what a user passed before anything is done with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from .model import KINDS, Kind


def asked_for(names: Sequence[str], **available: Any) -> dict[str, Any]:
    """The arguments that a hook's implementation takes, of those there are."""
    return {name: available[name] for name in names if name in available}


def check_query(query: object) -> None:
    """Raise `TypeError` unless the query is a string."""
    if not isinstance(query, str):
        raise TypeError(f"query must be a string, got {type(query).__name__}.")


def check_limit(limit: int | None) -> int:
    """Return the limit. Raises `TypeError` or `ValueError` unless it is 1 to 10,000; None is no limit, and gives 0."""
    if limit is None:
        return 0
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an integer, got {type(limit).__name__}.")
    if not 1 <= limit <= 10_000:
        raise ValueError(f"limit must be between 1 and 10000, got {limit}. Page through more with offset or before.")
    return limit


def check_kinds(kinds: Collection[Kind]) -> list[Kind]:
    """Return the kinds as a list. Raises `ValueError` naming an unknown one."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if isinstance(kinds, str) or unknown:
        raise ValueError(f"unknown kind {unknown[0] if unknown else kinds!r}; kinds are {', '.join(KINDS)}.")
    return list(kinds)


def check_pool_size(size: int | None) -> int | None:
    """Return the size. Raises `TypeError` or `ValueError` unless it is a positive integer or None."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise TypeError(f"pool_size must be an integer, got {type(size).__name__}.")
    if size is not None and size < 1:
        raise ValueError(f"pool_size must be at least 1, got {size}.")
    return size


def aware(moment: datetime | None) -> datetime | None:
    """Return the time. Raises `ValueError` for a naive one: which day 23:30 belongs to depends on the time zone."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; pass datetime(..., tzinfo=UTC).")
    return moment
