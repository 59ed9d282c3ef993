"""SQLite keeps every promise of a storage, on a file and in memory."""

import pytest
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage


class TestSQLiteFile(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, tmp_path):
        return lambda: SQLStorage(f"sqlite:///{tmp_path / 'memory.db'}", StorageOptions())


class TestUserEngine(StorageConformance):
    """An Engine of the user's, whose events and pool are not ours."""

    @pytest.fixture
    def connect(self, tmp_path):
        from sqlalchemy import create_engine

        engine = create_engine(f"sqlite:///{tmp_path / 'memory.db'}", connect_args={"timeout": 20})
        yield lambda: SQLStorage(engine, StorageOptions())
        engine.dispose()
