"""MariaDB keeps every promise of a storage."""

import pytest
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine

from tests.core.storage.servers import mariadb


@pytest.fixture
def url():
    with mariadb().database() as made:
        yield made


class TestMariaDB(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: SQLStorage(url, StorageOptions(pool_size=8))


class TestUserEngine(StorageConformance):
    """An Engine of the user's, under the isolation level that MariaDB comes with."""

    @pytest.fixture
    def connect(self, url):
        engine = create_engine(url, pool_size=8)
        yield lambda: SQLStorage(engine, StorageOptions())
        engine.dispose()
