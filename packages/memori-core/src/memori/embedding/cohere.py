"""Cohere's embeddings, which tell queries from documents."""

from __future__ import annotations

import os
from typing import Any

from cohere import ClientV2

from ..errors import EmbeddingError
from .hosted import HostedEmbedder


class CohereEmbedder(HostedEmbedder):
    """`cohere/embed-v4.0`: the key from `CO_API_KEY`, another address from `CO_API_URL`.

    The SDK tries again what fails in passing, twice.
    """

    name = "cohere"
    example = "embed-v4.0"
    key = "CO_API_KEY"
    address = "CO_API_URL"
    batch_texts = 96

    def connect(self) -> ClientV2:
        """Make the client."""
        if not os.environ.get(self.key):
            raise EmbeddingError(f"{self._who} needs a key: set {self.key}.")
        # The SDK itself looks the address up only when it is imported.
        return ClientV2(base_url=os.environ.get(self.address), timeout=self._timeout)

    def request(self, client: Any, texts: list[str], *, query: bool) -> Any:
        """Embed one batch; the service cuts what is too long for the model."""
        return client.embed(
            model=self._model,
            texts=texts,
            input_type="search_query" if query else "search_document",
            embedding_types=["float"],
            truncate="END",
        ).embeddings.float_
