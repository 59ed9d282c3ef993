"""Memori inside LlamaIndex: memory for agents and chat engines, and stores, tools and a retriever."""

from __future__ import annotations

from .chat_store import MemoriAsyncChatStore, MemoriChatStore
from .connections import register
from .memory import MemoriMemory
from .memory_block import MemoriMemoryBlock

__all__ = ["MemoriAsyncChatStore", "MemoriChatStore", "MemoriMemory", "MemoriMemoryBlock", "register"]
