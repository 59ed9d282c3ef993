"""A Django project's own database is a storage, and its transactions are memory's."""

import threading
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connections
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.storage.django.storage import DjangoStorage
from memori.storage.records import StorageOptions

from tests.core.storage import django_here
from tests.core.storage.servers import mariadb, postgresql


@pytest.fixture
def sqlite(tmp_path):
    with django_here.database(**django_here.sqlite(tmp_path / "site.db")) as alias:
        yield alias


class TidyStorage(DjangoStorage):
    """Leaves no connection behind in the threads of a test, as requests and our own threads leave none."""

    @contextmanager
    def _read(self):
        try:
            with super()._read() as connection:
                yield connection
        finally:
            self._tidy()

    def _write(self, operation):
        try:
            return super()._write(operation)
        finally:
            self._tidy()

    def build(self):
        super().build()
        self._tidy()

    def _tidy(self):
        if threading.current_thread() is not threading.main_thread():
            self.rest()


def migrated(alias):
    call_command("migrate", "memori", database=alias, verbosity=0)
    return lambda: TidyStorage(connections[alias], StorageOptions())


@pytest.fixture
def postgres():
    with postgresql().database() as url, django_here.database(**django_here.server(url)) as alias:
        yield alias


class TestSQLite(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, sqlite):
        return migrated(sqlite)


@pytest.fixture
def maria():
    with mariadb().database() as url, django_here.database(**django_here.server(url)) as alias:
        yield alias


class TestMariaDB(StorageConformance):
    @pytest.fixture
    def connect(self, maria):
        return migrated(maria)


class TestPostgreSQL(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, postgres):
        return migrated(postgres)
