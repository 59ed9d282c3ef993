"""PostgreSQL keeps every promise of a storage."""

import pytest
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage

from tests.core.storage.servers import postgresql


@pytest.fixture
def url():
    with postgresql().database() as made:
        yield made


class TestPostgreSQL(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: SQLStorage(url, StorageOptions(pool_size=8))
