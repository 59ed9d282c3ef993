"""Embeddings of an Ollama server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ollama import Client

from .hosted import HostedEmbedder


class OllamaEmbedder(HostedEmbedder):
    """`ollama/nomic-embed-text`: the server is `OLLAMA_HOST`, else this machine. Pull the model first."""

    name = "ollama"
    example = "nomic-embed-text"
    key = "OLLAMA_API_KEY"
    address = "OLLAMA_HOST"
    batch_texts = 64
    attempts = 3

    def connect(self) -> Client:
        """Make the client, from its own environment variables."""
        return Client(timeout=self._timeout)

    def request(self, client: Any, texts: list[str], *, query: bool) -> Sequence[Sequence[float]]:
        """Embed one batch; the server cuts what is too long for the model."""
        rows: Sequence[Sequence[float]] = client.embed(model=self._model, input=texts, truncate=True).embeddings
        return rows
