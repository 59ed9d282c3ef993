"""Read a value of another system's column, whatever type its driver gives it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from ..text import storable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6))


def to_text(value: Any) -> str:
    """The value as text that any database can hold; "" for none. Sixteen bytes that are no text are a UUID."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return storable(raw.decode())
        except UnicodeDecodeError:
            return str(UUID(bytes=raw)) if len(raw) == 16 else storable(raw.decode(errors="replace"))
    return storable(str(value))


def to_count(value: Any) -> int:
    """How often something was said: at least once."""
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return 1


def to_moment(value: Any) -> datetime | None:
    """The time, in UTC unless it names a zone; None when there is none to be read."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = next((unit for limit, unit in _UNITS if abs(value) < limit), 1e9)
        with suppress(OverflowError, ValueError):
            return _EPOCH + timedelta(seconds=value / unit)
        return None
    try:
        return to_moment(datetime.fromisoformat(to_text(value).strip()))
    except ValueError:
        return None
