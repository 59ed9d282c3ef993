"""Extraction by a chat model."""

from __future__ import annotations

from .extractor import LLMExtractor

__all__ = ["LLMExtractor"]
