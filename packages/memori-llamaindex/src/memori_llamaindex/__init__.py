"""Memori inside LlamaIndex: memory for agents and chat engines, and stores, tools and a retriever."""

from __future__ import annotations

from .chat_store import MemoriAsyncChatStore, MemoriChatStore
from .connections import register
from .embedder import LlamaIndexEmbedder
from .extractor import LlamaIndexExtractor
from .memory import MemoriMemory
from .memory_block import MemoriMemoryBlock
from .retriever import MemoriRetriever
from .tools import MemoriToolSpec, memory_tools_from_context

__all__ = [
    "LlamaIndexEmbedder",
    "LlamaIndexExtractor",
    "MemoriAsyncChatStore",
    "MemoriChatStore",
    "MemoriMemory",
    "MemoriMemoryBlock",
    "MemoriRetriever",
    "MemoriToolSpec",
    "memory_tools_from_context",
    "register",
]
