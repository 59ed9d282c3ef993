"""Whether a value meets a condition: compared here, since values may be encrypted and databases compare JSON apart."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import VersionConflictError
from ..model import Item
from .records import Condition, Expectation, Operator

_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MISSING = object()


def meets(value: Any, condition: Condition) -> bool:
    """Whether what is found under the condition's path compares as it says."""
    for step in condition.path:
        value = value.get(step, _MISSING) if isinstance(value, dict) else _MISSING
    if condition.operator == "ne":
        return value is _MISSING or value != condition.operand
    if value is _MISSING:
        return False
    if condition.operator != "eq" and not _comparable(value, condition.operand):
        return False
    return _COMPARE[condition.operator](value, condition.operand)


def check_expected(pairs: Iterable[tuple[Expectation, Item | None]]) -> None:
    """Raise `VersionConflictError` unless each item is as expected."""
    for one, found in pairs:
        met = found is None if one.condition is None else found is not None and meets(found.value, one.condition)
        if not met:
            raise VersionConflictError(
                f"The item {one.key!r} is not as expected: somebody else wrote it. Read it again, and retry."
            )


def _comparable(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers or (isinstance(a, str) and isinstance(b, str))
