"""The values of rows, under the name the SQL modules know."""

from __future__ import annotations

from ..values import (
    Row,
    digest,
    entity_key,
    fact_values,
    from_micros,
    message_values,
    optional_micros,
    optional_time,
    process_key,
    session_key,
    to_fact,
    to_message,
    to_micros,
    to_stored_message,
)

__all__ = [
    "Row",
    "digest",
    "entity_key",
    "fact_values",
    "from_micros",
    "message_values",
    "optional_micros",
    "optional_time",
    "process_key",
    "session_key",
    "to_fact",
    "to_message",
    "to_micros",
    "to_stored_message",
]
