"""The contract of a reranker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Reranker(ABC):
    """Scores texts against a query more carefully than vectors can. Thread-safe; loads on first use."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    @abstractmethod
    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return one relevance in 0..1 for each text, in order."""
