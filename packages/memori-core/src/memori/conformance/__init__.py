"""Published test suites: subclass one, supply its fixture, and pytest says whether a backend keeps its contract.

    from memori.conformance import EmbedderConformance

    class TestMyEmbedder(EmbedderConformance):
        @pytest.fixture
        def embedder(self):
            return MyEmbedder()

The docstring of a test that fails says what to check.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError

try:
    import hypothesis  # noqa: F401
    import pytest
except ImportError as error:
    raise MissingDependencyError(
        f"The conformance suites need pytest and hypothesis ({error}). "
        "Install them with: pip install 'memori-core[conformance]'"
    ) from error

if TYPE_CHECKING:
    from .embedder import EmbedderConformance
    from .extractor import ExtractorConformance
    from .items import ItemConformance
    from .provenance import ProvenanceConformance
    from .shared_index import SharedIndexConformance
    from .storage import StorageConformance
    from .transcripts import TranscriptConformance
    from .vector_index import VectorIndexConformance

__all__ = [
    "EmbedderConformance",
    "ExtractorConformance",
    "ItemConformance",
    "ProvenanceConformance",
    "SharedIndexConformance",
    "StorageConformance",
    "TranscriptConformance",
    "VectorIndexConformance",
]

_SUITES = {
    "EmbedderConformance": "embedder",
    "ExtractorConformance": "extractor",
    "ItemConformance": "items",
    "ProvenanceConformance": "provenance",
    "SharedIndexConformance": "shared_index",
    "StorageConformance": "storage",
    "TranscriptConformance": "transcripts",
    "VectorIndexConformance": "vector_index",
}

# So that a failing assert of ours shows its values in a third party's run too.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in (*_SUITES.values(), "facts", "outbox", "spaces")))


def __getattr__(name: str) -> object:
    """Import a suite when it is asked for, and with it only what that suite needs."""
    if name not in _SUITES:
        raise AttributeError(f"module {__name__!r} has no suite {name!r}; there are {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_SUITES[name]}"), name)
