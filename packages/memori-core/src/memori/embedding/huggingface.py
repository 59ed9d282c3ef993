"""Embeddings of Hugging Face's inference providers, or of an endpoint of one's own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import InferenceClient

from .hosted import HostedEmbedder


class HuggingFaceEmbedder(HostedEmbedder):
    """`huggingface/BAAI/bge-small-en-v1.5`, or `huggingface/https://...` for an endpoint. The token from `HF_TOKEN`."""

    name = "huggingface"
    example = "BAAI/bge-small-en-v1.5"
    key = "HF_TOKEN"
    address = "the endpoint's URL"
    # What Text Embeddings Inference takes from one client, unless told otherwise.
    batch_texts = 32
    attempts = 3

    @property
    def label(self) -> str:
        """The model's name; of an endpoint its host and path, for the rest of a URL can hold a secret."""
        if "://" not in self._model:
            return self._model
        url = urlsplit(self._model)
        host = url.netloc.rpartition("@")[2]
        return f"{host}{url.path.rstrip('/')}"

    def connect(self) -> InferenceClient:
        """Make the client, from its own environment variables."""
        return InferenceClient(model=self._model, timeout=self._timeout)

    def request(self, client: Any, texts: list[str], *, query: bool) -> Any:
        """Embed one batch; the service cuts what is too long for the model."""
        return client.feature_extraction(texts, truncate=True)
