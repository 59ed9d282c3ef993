"""Memori inside Pydantic AI: a capability, a history processor, tools, and a conversation store."""

from __future__ import annotations

from .capability import MemoriMemory
from .history_processor import memori_history_processor
from .identity import AttributionSource
from .toolset import MemoriToolset

__all__ = ["AttributionSource", "MemoriMemory", "MemoriToolset", "memori_history_processor"]
