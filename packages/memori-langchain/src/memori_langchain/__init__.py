"""Memori inside LangChain and LangGraph: memory for agents, chains and graphs, in your own database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memori import errors

from .history import MemoriChatMessageHistory, list_conversations

if TYPE_CHECKING:
    from .callbacks import AsyncMemoriCallbackHandler, MemoriCallbackHandler
    from .embedder import LangChainEmbedder
    from .middleware import MemoriMiddleware
    from .retriever import MemoriRetriever
    from .store import MemoriStore
    from .tools import create_recall_tool, create_remember_tool

__all__ = [
    "AsyncMemoriCallbackHandler",
    "LangChainEmbedder",
    "MemoriCallbackHandler",
    "MemoriChatMessageHistory",
    "MemoriMiddleware",
    "MemoriRetriever",
    "MemoriStore",
    "create_recall_tool",
    "create_remember_tool",
    "list_conversations",
]

# Imported when first asked for: each brings a part of LangChain that the others do without.
_MODULES = {
    "AsyncMemoriCallbackHandler": "callbacks",
    "LangChainEmbedder": "embedder",
    "MemoriCallbackHandler": "callbacks",
    "MemoriMiddleware": "middleware",
    "MemoriRetriever": "retriever",
    "MemoriStore": "store",
    "create_recall_tool": "tools",
    "create_remember_tool": "tools",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_MODULES[name]}", __name__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "langchain":
            raise
        raise errors.MissingDependencyError(
            f"{name} needs the langchain package, which is not installed: "
            "pip install 'memori-langchain[agents]'. Everything else here works without it."
        ) from error
    return getattr(module, name)
