"""A Django project's own database is a storage, and its transactions are memory's."""

import pytest
from django.core.management import call_command
from django.db import connections
from memori.conformance import ItemConformance, StorageConformance, TranscriptConformance
from memori.storage.base import StorageOptions
from tests.core.storage import django_here
from tests.core.storage.servers import postgresql

django_here.set_up()
from memori.storage.django.storage import DjangoStorage  # noqa: E402


@pytest.fixture
def sqlite(tmp_path):
    with django_here.database(**django_here.sqlite(tmp_path / "site.db")) as alias:
        yield alias


def migrated(alias):
    call_command("migrate", "memori", database=alias, verbosity=0)
    return lambda: DjangoStorage(connections[alias], StorageOptions())


@pytest.fixture
def postgres():
    with postgresql().database() as url, django_here.database(**django_here.server(url)) as alias:
        yield alias


class TestSQLite(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, sqlite):
        return migrated(sqlite)


class TestPostgreSQL(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, postgres):
        return migrated(postgres)
