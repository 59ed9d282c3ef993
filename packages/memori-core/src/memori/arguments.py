"""Check what a user passed before anything is done with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from .model import KINDS, STATUSES, FactStatus, Kind


def asked_for(names: Sequence[str], **available: Any) -> dict[str, Any]:
    """The arguments that a hook's implementation takes, of those there are."""
    return {name: available[name] for name in names if name in available}


def check_query(query: object) -> None:
    """Raise `TypeError` unless the query is a string."""
    if not isinstance(query, str):
        raise TypeError(f"query must be a string, got {type(query).__name__}.")


def check_limit(limit: int) -> int:
    """Return the limit. Raises `TypeError` or `ValueError` unless it is 1 to 10,000."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an integer, got {type(limit).__name__}.")
    if not 1 <= limit <= 10_000:
        raise ValueError(f"limit must be between 1 and 10000, got {limit}. Page through more with offset or before.")
    return limit


def check_relevance(min_relevance: float) -> float:
    """Return the relevance. Raises `TypeError` or `ValueError` unless it is a number from 0 to 1."""
    if isinstance(min_relevance, bool) or not isinstance(min_relevance, (int, float)):
        raise TypeError(f"min_relevance must be a number, got {type(min_relevance).__name__}.")
    if math.isnan(min_relevance) or not 0 <= min_relevance <= 1:
        raise ValueError(f"min_relevance must be between 0 and 1, got {min_relevance}; 0 leaves nothing out.")
    return min_relevance


def check_budget(token_budget: int) -> int:
    """Return the budget. Raises `TypeError` or `ValueError` unless it is an integer of at least 0."""
    if isinstance(token_budget, bool) or not isinstance(token_budget, int):
        raise TypeError(f"token_budget must be an integer, got {type(token_budget).__name__}.")
    if token_budget < 0:
        raise ValueError(f"token_budget must not be negative, got {token_budget}.")
    return token_budget


def check_texts(name: str, texts: Iterable[str]) -> list[str]:
    """Return the texts as a list. Raises `TypeError` for anything else; a bare string would mean its letters."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} must be a list of texts, got {type(texts).__name__}.")
    listed = list(texts)
    for text in listed:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a list of texts, got one with {type(text).__name__} in it.")
    return listed


def check_kinds(kinds: Iterable[Kind]) -> list[Kind]:
    """Return the kinds as a list. Raises `TypeError`, or `ValueError` naming an unknown one."""
    if isinstance(kinds, str):
        raise ValueError(f"kinds must be a list of kinds; write kinds=[{kinds!r}].")
    if not isinstance(kinds, Iterable):
        raise TypeError(f"kinds must be a list of kinds, got {type(kinds).__name__}.")
    listed = list(kinds)
    for kind in listed:
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; kinds are {', '.join(KINDS)}.")
    return listed


def check_statuses(statuses: Iterable[FactStatus]) -> list[FactStatus]:
    """Return the statuses as a list. Raises `TypeError`, or `ValueError` naming an unknown one."""
    if isinstance(statuses, str) or not isinstance(statuses, Iterable):
        raise TypeError(f"statuses must be a list, such as ['active'], got {type(statuses).__name__}.")
    listed = list(statuses)
    for status in listed:
        if status not in STATUSES:
            raise ValueError(f"unknown status {status!r}; statuses are {', '.join(STATUSES)}.")
    return listed


def check_offset(offset: int, name: str = "offset") -> int:
    """Return the offset. Raises `TypeError` or `ValueError` unless it is an integer from 0 up."""
    if isinstance(offset, bool) or not isinstance(offset, int):
        raise TypeError(f"{name} must be an integer, got {type(offset).__name__}.")
    if offset < 0:
        raise ValueError(f"{name} must be 0 or more, got {offset}.")
    return offset


def check_importance(importance: float) -> float:
    """Return the importance within 0..1. Raises `TypeError` or `ValueError` unless it is a number."""
    if isinstance(importance, bool) or not isinstance(importance, int | float):
        raise TypeError(f"importance must be a number from 0 to 1, got {type(importance).__name__}.")
    if importance != importance:
        raise ValueError("importance must be a number from 0 to 1, got NaN.")
    return min(max(float(importance), 0.0), 1.0)


def check_pool_size(size: int | None) -> int | None:
    """Return the size. Raises `TypeError` or `ValueError` unless it is a positive integer or None."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise TypeError(f"pool_size must be an integer, got {type(size).__name__}.")
    if size is not None and size < 1:
        raise ValueError(f"pool_size must be at least 1, got {size}.")
    return size


def aware(moment: datetime | None) -> datetime | None:
    """Return the time. Raises `TypeError` for another type, `ValueError` for a naive time: which day 23:30 belongs to
    depends on the time zone.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise TypeError(
            f"expected a datetime with a time zone, got {type(moment).__name__}; pass datetime(..., tzinfo=UTC)."
        )
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; pass datetime(..., tzinfo=UTC).")
    return moment
