from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from llama_index.core.memory import Memory
from memori import Attribution, Memori, Recalled, hookimpl
from memori_llamaindex import register
from pydantic.warnings import PydanticDeprecationWarning

needs_chat_store = pytest.mark.skipif(
    "chat_store" not in inspect.signature(Memory.from_defaults).parameters,
    reason="install llama-index-core>=0.14.24, whose Memory takes a store",
)


@pytest.fixture(autouse=True)
def _what_llama_index_warns_itself_of() -> None:
    """Its agents look for their steps with `inspect.getmembers`, which touches every deprecated attribute of
    pydantic, and its ReActAgent asks `is_running` within a step.
    """
    warnings.filterwarnings("ignore", r"The `.+` attribute is deprecated", PydanticDeprecationWarning)
    warnings.filterwarnings("ignore", r"Accessing .+ attribute on the instance", PydanticDeprecationWarning)
    warnings.filterwarnings("ignore", "is_running called from within a step", DeprecationWarning)


@pytest.fixture(scope="session", autouse=True)
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Libraries are loaded by the first recall, which a test's own budget of time is not for."""
    with Memori(f"sqlite:///{tmp_path_factory.mktemp('loaded') / 'm.db'}", extractor="none", embedder="hashing") as one:
        one.remember("Ada sails.", attribution=Attribution("ada"))
        one.recall("Does Ada sail?", attribution=Attribution("ada"))


class Recalls:
    """Memori's own observer hook: the queries that were answered, and for whom."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    @hookimpl
    def memori_recalled(self, query: str, recalled: Sequence[Recalled], attribution: Attribution) -> None:
        self.made.append((attribution.entity_id, query))


@pytest.fixture
def recalls() -> Recalls:
    return Recalls()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def memori(database: Path, recalls: Recalls) -> Iterator[Memori]:
    with Memori(f"sqlite:///{database}", extractor="none", embedder="hashing", plugins=[recalls]) as memori:
        yield register(memori)
