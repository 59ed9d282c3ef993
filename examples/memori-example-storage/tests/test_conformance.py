"""The published suite, run by a third party: one subclass, one fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from memori.conformance import StorageConformance
from memori.storage.base import Storage
from memori.storage.records import StorageOptions
from memori_example_storage.storage import OneFileStorage


class TestOneFile(StorageConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[], Storage]:
        return lambda: OneFileStorage(f"onefile://{tmp_path}/memory.bin", StorageOptions())
