"""Memori inside LlamaIndex: a BaseMemory for agents and chat engines."""

from __future__ import annotations

from .connections import register
from .memory import MemoriMemory

__all__ = ["MemoriMemory", "register"]
