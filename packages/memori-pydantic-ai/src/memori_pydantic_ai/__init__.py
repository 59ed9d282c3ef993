"""Memori inside Pydantic AI: a capability, a history processor, tools, and conversations kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memori import errors

from .capability import MemoriMemory
from .history_processor import memori_history_processor
from .identity import AttributionSource
from .message_history import aappend_messages, aload_messages, append_messages, load_messages
from .toolset import MemoriToolset

if TYPE_CHECKING:
    from .conversation_store import MemoriConversationStore

__all__ = [
    "AttributionSource",
    "MemoriConversationStore",
    "MemoriMemory",
    "MemoriToolset",
    "aappend_messages",
    "aload_messages",
    "append_messages",
    "load_messages",
    "memori_history_processor",
]


def __getattr__(name: str) -> Any:
    """Import what newer versions of Pydantic AI alone can use, when it is asked for."""
    if name == "MemoriConversationStore":
        try:
            from .conversation_store import MemoriConversationStore
        except ModuleNotFoundError as error:
            from importlib.metadata import version

            raise errors.MissingDependencyError(
                f"MemoriConversationStore needs pydantic-ai-slim 2.66 or newer, and {version('pydantic-ai-slim')} is "
                "installed: pip install -U 'pydantic-ai-slim>=2.66'. load_messages and append_messages need no more."
            ) from error
        return MemoriConversationStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
