"""Memory for AI agents that lives in your own database."""

from __future__ import annotations

from . import errors, telemetry
from .augmentation.extraction.base import Extractor
from .client import Memori
from .embedding.base import Embedder, Space
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
    Item,
    Kind,
    Message,
    Proposal,
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
from .storage.base import Condition, FoundItem, ItemWrite
from .suppression import suppress, suppressed

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "ClosedError",
    "Condition",
    "Context",
    "Conversation",
    "Embedder",
    "Extractor",
    "Fact",
    "FoundItem",
    "InvalidAttributionError",
    "Item",
    "ItemWrite",
    "Kind",
    "Memori",
    "MemoriError",
    "Message",
    "MissingAttributionError",
    "Proposal",
    "Provider",
    "RecallOptions",
    "RecallWeights",
    "Recalled",
    "Receipt",
    "Reindexed",
    "Role",
    "Space",
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
