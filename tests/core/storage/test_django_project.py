"""A project with the app installed: migrated, asked for its SQL, and tested by its own test suite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from memori import Attribution, Memori
from memori.storage.sql.migrations import NEWEST

from tests.core.storage import django_here
from tests.core.storage.servers import postgresql

PROJECT = Path(__file__).parent / "django_project"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        yield django_here.sqlite(tmp_path / "site.db")
    else:
        with postgresql().database() as url:
            yield django_here.server(url)


def manage(database, *arguments):
    """Run manage.py, and return what it printed."""
    environment = {**os.environ, "SITE_DATABASE": json.dumps(database), "PYTHONWARNINGS": "error::ResourceWarning"}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_projects_own_tests_pass(database):
    said = manage(database, "test", "--noinput")

    assert "Ran 7 tests" in said
    assert "OK" in said
    assert "drain at exit failed" not in said


def test_migrate_makes_the_tables_that_memori_would_have_made(database, tmp_path):
    said = manage(database, "migrate")
    assert "Applying memori.0001_tables... OK" in said

    with django_here.database(**database) as alias, connections[alias].cursor() as cursor:
        names = connections[alias].introspection.table_names(cursor)
    with django_here.database(**django_here.sqlite(tmp_path / "by-hand.db")) as other:
        with Memori(f"sqlite:///{tmp_path / 'by-hand.db'}") as memori:
            memori.config.storage.build()
        with connections[other].cursor() as cursor:
            by_hand = connections[other].introspection.table_names(cursor)

    def ours(tables):
        # SQLite keeps an index of texts as tables.
        return {name for name in tables if name.startswith("memori_") and not name.startswith("memori_fact_search_")}

    assert ours(names) == ours(by_hand) >= {"memori_entity", "memori_entity_fact", "memori_augmentation_job"}


def test_migrate_leaves_tables_alone_that_memori_made(tmp_path):
    file = tmp_path / "memory.db"
    with Memori(f"sqlite:///{file}", embedder="hashing", extractor="none") as memori:
        memori.record([("user", "hello")], attribution=Attribution("ada"))

    with django_here.database(**django_here.sqlite(file)) as alias:
        call_command("migrate", database=alias, verbosity=0)
        with Memori(connections[alias], embedder="hashing", extractor="none") as memori:
            assert len(memori.messages(attribution=Attribution("ada"))) == 1


def test_the_sql_can_be_read_before_it_is_run(database):
    said = manage(database, "sqlmigrate", "memori", "0001")

    assert "CREATE TABLE memori_entity" in said
    assert "INSERT INTO memori_schema_version" in said


def test_the_app_has_no_models_to_migrate(database):
    assert "No changes detected" in manage(database, "makemigrations", "--check", "--dry-run")


def test_each_version_of_the_tables_has_a_django_migration():
    """Without one, `manage.py migrate` would have nothing to run, and a project would be told to run it for ever."""
    from memori.storage.django import migrations

    files = sorted(path.name for path in Path(migrations.__file__).parent.glob("[0-9]*.py"))
    assert [int(name[:4]) for name in files] == list(range(1, NEWEST + 1))


def test_a_router_decides_which_database_has_the_tables(tmp_path):
    from django.test import override_settings

    options = django_here.sqlite(tmp_path / "other.db")
    with django_here.database(**options) as alias, override_settings(DATABASE_ROUTERS=[_Nowhere()]):
        call_command("migrate", database=alias, verbosity=0)
        with connections[alias].cursor() as cursor:
            assert "memori_entity" not in connections[alias].introspection.table_names(cursor)


class _Nowhere:
    def allow_migrate(self, db, app_label, **hints):
        return app_label != "memori"
