"""A Memori on a file of its own, without a model to load."""

import pytest
from memori import Attribution, Memori

ADA = Attribution("ada", "bot")
BOB = Attribution("bob", "bot")


@pytest.fixture(autouse=True)
def _no_files_in_the_users_cache(monkeypatch):
    monkeypatch.setenv("MEMORI_CACHE_DIR", "off")


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path / 'memory.db'}"


@pytest.fixture
def memori(database):
    with Memori(database, embedder="hashing", extractor="none") as made:
        yield made
