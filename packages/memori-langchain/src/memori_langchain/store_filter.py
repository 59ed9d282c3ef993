"""Turn a store's filter into conditions; its keys and operands stay data all the way down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memori import Condition

_OPERATORS: Mapping[str, Any] = {
    "$eq": "eq",
    "$ne": "ne",
    "$gt": "gt",
    "$gte": "gte",
    "$lt": "lt",
    "$lte": "lte",
}


def conditions(wanted: Mapping[str, Any] | None) -> list[Condition]:
    """The conditions that all must hold. Raises `ValueError` for an operator that does not exist."""
    return [] if not wanted else list(_under(("value",), wanted))


def _under(path: tuple[str, ...], wanted: Mapping[str, Any]) -> Iterator[Condition]:
    for key, value in wanted.items():
        here = (*path, key)
        if not isinstance(value, Mapping):
            yield Condition(here, "eq", list(value) if isinstance(value, tuple) else value)
        elif any(str(name).startswith("$") for name in value):
            yield from _operators(here, value)
        else:
            yield from _under(here, value)


def _operators(path: tuple[str, ...], wanted: Mapping[str, Any]) -> Iterator[Condition]:
    for name, operand in wanted.items():
        if name not in _OPERATORS:
            raise ValueError(f"unsupported operator {name!r} in a filter; there are {', '.join(_OPERATORS)}.")
        yield Condition(path, _OPERATORS[name], operand)
