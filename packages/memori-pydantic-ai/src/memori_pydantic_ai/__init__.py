"""Memori inside Pydantic AI: a capability, and a history processor."""

from __future__ import annotations

from .capability import MemoriMemory
from .history_processor import memori_history_processor
from .identity import AttributionSource

__all__ = ["AttributionSource", "MemoriMemory", "memori_history_processor"]
