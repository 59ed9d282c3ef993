"""Memory for AI agents that lives in your own database."""

from __future__ import annotations

from . import errors, telemetry
from .augmentation.extraction.llm import LLMExtractor
from .client import Memori
from .errors import (
    ClosedError,
    InvalidAttributionError,
    MemoriError,
    MissingAttributionError,
    StorageError,
    UnknownFactError,
    UnknownSourceError,
)
from .hookspecs import Provider, hookimpl
from .model import (
    Attribution,
    Change,
    Context,
    Conversation,
    Fact,
    Kind,
    Message,
    ProcessAttribute,
    Recalled,
    RecallOptions,
    RecallWeights,
    Receipt,
    Reindexed,
    Reverted,
    Role,
    StoredMessage,
    ToolCall,
    Triple,
)
from .structured import StructuredModel, StructuredReply
from .suppression import suppress, suppressed

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "Change",
    "ClosedError",
    "Context",
    "Conversation",
    "Fact",
    "InvalidAttributionError",
    "Kind",
    "LLMExtractor",
    "Memori",
    "MemoriError",
    "Message",
    "MissingAttributionError",
    "ProcessAttribute",
    "Provider",
    "RecallOptions",
    "RecallWeights",
    "Recalled",
    "Receipt",
    "Reindexed",
    "Reverted",
    "Role",
    "StorageError",
    "StoredMessage",
    "StructuredModel",
    "StructuredReply",
    "ToolCall",
    "Triple",
    "UnknownFactError",
    "UnknownSourceError",
    "errors",
    "hookimpl",
    "suppress",
    "suppressed",
    "telemetry",
]
