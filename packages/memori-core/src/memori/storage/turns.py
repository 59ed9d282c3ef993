"""Entities take turns: one who has much to be learnt keeps nobody waiting."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice, zip_longest

SPARE = 8
"""So many times more jobs are looked at than wanted, for other workers hold some of them."""


def in_turn(jobs: Iterable[tuple[str, str]], limit: int) -> list[str]:
    """Up to `limit` of the jobs (id, entity), one of each entity in turn; both in the order in which they come."""
    of: dict[str, list[str]] = {}
    for job, entity in jobs:
        of.setdefault(entity, []).append(job)
    return list(islice(filter(None, chain.from_iterable(zip_longest(*of.values()))), limit))
