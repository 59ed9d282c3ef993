"""Memory for AI agents that lives in your own database."""

from __future__ import annotations

from . import errors, telemetry
from .client import Memori
from .errors import (
    ClosedError,
    InvalidAttributionError,
    MemoriError,
    MissingAttributionError,
    StorageError,
    UnknownFactError,
)
from .hookspecs import Provider, hookimpl
from .model import (
    Attribution,
    Context,
    Conversation,
    Fact,
    Kind,
    Message,
    Recalled,
    RecallOptions,
    RecallWeights,
    Receipt,
    Reindexed,
    Role,
    StoredMessage,
    ToolCall,
    Transcript,
    Triple,
)
from .suppression import suppress, suppressed

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "ClosedError",
    "Context",
    "Conversation",
    "Fact",
    "InvalidAttributionError",
    "Kind",
    "Memori",
    "MemoriError",
    "Message",
    "MissingAttributionError",
    "Provider",
    "RecallOptions",
    "RecallWeights",
    "Recalled",
    "Receipt",
    "Reindexed",
    "Role",
    "StorageError",
    "StoredMessage",
    "ToolCall",
    "Transcript",
    "Triple",
    "UnknownFactError",
    "errors",
    "hookimpl",
    "suppress",
    "suppressed",
    "telemetry",
]
