from collections.abc import Iterator
from pathlib import Path

import pytest
from memori import Memori, RecallOptions


@pytest.fixture
def memori(tmp_path: Path) -> Iterator[Memori]:
    options = RecallOptions(timeout=60, token_budget=1000)
    with Memori(f"sqlite:///{tmp_path}/m.db", extractor="none", embedder="hashing", recall=options) as memori:
        yield memori
