"""Local extraction: statements, kinds, dates and triples from English prose, with spaCy and no LLM."""

from __future__ import annotations

from .extractor import LocalExtractor

__all__ = ["LocalExtractor"]
