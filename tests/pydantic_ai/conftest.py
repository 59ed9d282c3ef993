from collections.abc import Iterator
from pathlib import Path

import pytest
from memori import Memori

from tests.pydantic_ai.agents import Recalls, Script


@pytest.fixture
def recalls() -> Recalls:
    return Recalls()


@pytest.fixture
def memori(tmp_path: Path, recalls: Recalls) -> Iterator[Memori]:
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", extractor="none", embedder="hashing", plugins=[recalls]) as it:
        yield it


@pytest.fixture
def script() -> Script:
    return Script()
