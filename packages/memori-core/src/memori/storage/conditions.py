"""Whether a value meets a condition: compared here, since values may be encrypted and databases compare JSON apart."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .base import Condition, Operator

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


def _comparable(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers or (isinstance(a, str) and isinstance(b, str))
