"""What the entry point names: it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from memori import Provider, hookimpl


@hookimpl
def memori_storages() -> Iterable[Provider]:
    """Offer the storage for URLs like onefile:///tmp/memory.bin."""
    return [Provider("onefile", "memori_example_storage.storage:OneFileStorage", matches=("onefile",))]
