"""OpenAI's embeddings, and those of services that speak its protocol."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from openai import OpenAI

from ..errors import EmbeddingError
from .hosted import HostedEmbedder


class OpenAIEmbedder(HostedEmbedder):
    """`openai/text-embedding-3-small`: the key from `OPENAI_API_KEY`, another address from `OPENAI_BASE_URL`.

    The SDK tries again what fails in passing, twice.
    """

    name = "openai"
    example = "text-embedding-3-small"
    key = "OPENAI_API_KEY"
    address = "OPENAI_BASE_URL"
    dimensions: ClassVar[dict[str, int]] = {
        "text-embedding-3-small": 1536,
        "text-embedding-3-large": 3072,
        "text-embedding-ada-002": 1536,
    }
    batch_texts = 2048

    def connect(self) -> OpenAI:
        """Make the client, from its own environment variables."""
        if not os.environ.get(self.key):
            raise EmbeddingError(f"{self._who} needs a key: set {self.key}.")
        return OpenAI(timeout=self._timeout)

    def request(self, client: Any, texts: list[str], *, query: bool) -> list[list[float]]:
        """Embed one batch; queries are embedded like texts."""
        answer = client.embeddings.create(model=self._model, input=texts, encoding_format="float")
        return [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
