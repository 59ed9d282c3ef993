"""Memori inside Pydantic AI: a capability, a history processor, tools, conversations kept whole, and its models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memori import errors

from .capability import MemoriMemory
from .history_processor import memori_history_processor
from .identity import AttributionSource
from .message_history import aappend_messages, aload_messages, append_messages, load_messages
from .toolset import MemoriToolset

if TYPE_CHECKING:
    from .conversation_store import MemoriConversationStore
    from .embedder import PydanticAIEmbedder
    from .extractor import PydanticAIExtractor

__all__ = [
    "AttributionSource",
    "MemoriConversationStore",
    "MemoriMemory",
    "MemoriToolset",
    "PydanticAIEmbedder",
    "PydanticAIExtractor",
    "aappend_messages",
    "aload_messages",
    "append_messages",
    "load_messages",
    "memori_history_processor",
]

_LATER = {
    "MemoriConversationStore": "conversation_store",
    "PydanticAIEmbedder": "embedder",
    "PydanticAIExtractor": "extractor",
}
"""What is imported when it is asked for: it is heavy, or needs a newer Pydantic AI than the rest."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "pydantic_ai.conversation_store":
            raise
        from importlib.metadata import version

        raise errors.MissingDependencyError(
            f"{name} needs pydantic-ai-slim 2.66 or newer, and {version('pydantic-ai-slim')} is installed: "
            "pip install -U 'pydantic-ai-slim>=2.66'. load_messages and append_messages need no newer version."
        ) from error
