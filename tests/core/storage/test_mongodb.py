"""MongoDB keeps every promise of a storage, in a replica set and alone, with transactions and without."""

import pytest
from memori.conformance import ItemConformance, StorageConformance, TranscriptConformance
from memori.storage.base import StorageOptions
from memori.storage.mongodb.storage import MongoStorage

from tests.core.storage import mongodb


@pytest.fixture
def url():
    with mongodb.database() as made:
        yield made


class TestWithTransactions(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: MongoStorage(url, StorageOptions())


class TestWithoutTransactions(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: MongoStorage(url, StorageOptions(extra={"transactions": False}))
