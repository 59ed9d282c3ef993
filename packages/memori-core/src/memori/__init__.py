"""Memory for AI agents that lives in your own database."""

from __future__ import annotations

from . import errors, telemetry
from .augmentation.extraction.base import Extractor
from .augmentation.extraction.llm import LLMExtractor
from .client import Memori
from .embedding.base import Embedder, Space
from .errors import (
    ClosedError,
    InvalidAttributionError,
    MemoriError,
    MissingAttributionError,
    StorageError,
    UnknownFactError,
    UnknownSourceError,
    VersionConflictError,
)
from .hookspecs import Provider, hookimpl
from .model import (
    Attribution,
    Change,
    Consolidated,
    Context,
    Conversation,
    Fact,
    Item,
    Kind,
    Message,
    ProcessAttribute,
    Proposal,
    Recalled,
    RecallOptions,
    RecallWeights,
    Receipt,
    Reindexed,
    Reverted,
    Role,
    StoredMessage,
    ToolCall,
    Transcript,
    Triple,
)
from .storage.records import Condition, Expectation, FoundItem, ItemWrite
from .structured import StructuredModel, StructuredReply
from .suppression import suppress, suppressed

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "Change",
    "ClosedError",
    "Condition",
    "Consolidated",
    "Context",
    "Conversation",
    "Embedder",
    "Expectation",
    "Extractor",
    "Fact",
    "FoundItem",
    "InvalidAttributionError",
    "Item",
    "ItemWrite",
    "Kind",
    "LLMExtractor",
    "Memori",
    "MemoriError",
    "Message",
    "MissingAttributionError",
    "ProcessAttribute",
    "Proposal",
    "Provider",
    "RecallOptions",
    "RecallWeights",
    "Recalled",
    "Receipt",
    "Reindexed",
    "Reverted",
    "Role",
    "Space",
    "StorageError",
    "StoredMessage",
    "StructuredModel",
    "StructuredReply",
    "ToolCall",
    "Transcript",
    "Triple",
    "UnknownFactError",
    "UnknownSourceError",
    "VersionConflictError",
    "errors",
    "hookimpl",
    "suppress",
    "suppressed",
    "telemetry",
]
