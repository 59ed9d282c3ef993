"""Tables are made once, by one process at a time, wherever it was interrupted before; and nothing else's is touched."""

import subprocess
import sys
from datetime import timedelta

import pytest
from memori import Attribution
from memori.cli.app import build
from memori.conformance.samples import ADA, NOW, contents, new_fact, said, turn
from memori.errors import SchemaError
from memori.storage.records import FactChanges, ItemWrite, StorageOptions
from memori.storage.sql import migrations
from memori.storage.sql.schema import metadata
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, event, inspect
from typer.testing import CliRunner

from tests.core.storage.backends import BACKENDS, empty_database

PROCESSES = 20
START_TOGETHER = f"""
import os, sys, traceback
from datetime import UTC, datetime
from memori import Attribution
from memori.model import Message
from memori.storage.base import StorageOptions, Turn
from memori.storage.sql.storage import SQLStorage

started, go = os.pipe()
children = []
for number in range({PROCESSES}):
    child = os.fork()
    if child == 0:
        try:
            os.close(go)
            os.read(started, 1)
            storage = SQLStorage(sys.argv[1], StorageOptions(pool_size=2))
            for entity in (f"entity {{number}}", "shared"):
                who = Attribution(entity, session_id="s", namespace="race")
                storage.append(who, Turn((Message("user", f"from {{number}}"),), resent=0, now=datetime.now(UTC)))
            storage.close()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(go)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    with empty_database(request.param, tmp_path) as made:
        yield made


def opened(url, **options):
    return SQLStorage(url, StorageOptions(**options))


def schema(url):
    """Every table with its columns and indexes."""
    engine = create_engine(url)
    inspector = inspect(engine)
    tables = [name for name in inspector.get_table_names() if not name.startswith("memori_fact_search_words")]
    found = {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
        )
        for table in tables
    }
    engine.dispose()
    return found


def test_twenty_processes_may_start_at_once(url):
    done = subprocess.run([sys.executable, "-c", START_TOGETHER, url], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr[-3000:]
    storage = opened(url, migrate="check")
    for number in range(PROCESSES):
        assert contents(storage, Attribution(f"entity {number}", session_id="s", namespace="race")) == [
            f"from {number}"
        ]
    shared = storage.messages(Attribution("shared", session_id="s", namespace="race"))
    assert sorted(m.message.content for m in shared) == sorted(f"from {number}" for number in range(PROCESSES))
    assert [m.position for m in shared] == list(range(PROCESSES))
    storage.close()


class Interrupted(Exception):
    """Whatever ends a process."""


@pytest.mark.parametrize("statements", [1, 2, 3, 9, 30, 44])
def test_an_interrupted_migration_is_taken_up(url, tmp_path, statements):
    """MariaDB commits each statement by itself, so the tables are half-made; the others begin again."""
    engine = create_engine(url)
    left = [statements]

    @event.listens_for(engine, "before_cursor_execute")
    def interrupt(connection, cursor, statement, *_):
        if statement.lstrip().startswith(("CREATE", "INSERT")):
            left[0] -= 1
            if left[0] < 0:
                raise Interrupted

    with pytest.raises(Interrupted):
        opened(engine).build()
    engine.dispose()

    storage = opened(url)
    storage.append(ADA, turn(*said("a")))
    fact = new_fact("likes tea")
    storage.apply(ADA, FactChanges((fact,)), expected=None, now=NOW)

    assert contents(storage, ADA) == ["a"]
    assert [found for found, _ in storage.search(ADA, ["tea"], limit=5)] == [fact.fact.id]
    assert storage.plan() == ""
    storage.close()
    assert schema(url) == schema_of_a_clean_migration(url, tmp_path)


def schema_of_a_clean_migration(url, tmp_path):
    name = url.partition(":")[0].partition("+")[0]
    (tmp_path / "clean").mkdir()
    with empty_database(name, tmp_path / "clean") as clean:
        storage = opened(clean)
        storage.build()
        storage.close()
        return schema(clean)


def test_the_plan_is_what_would_be_run(url, tmp_path):
    storage = opened(url, migrate="check")
    plan = storage.plan()
    assert schema(url) == {}

    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in plan.split(";\n"):
            connection.exec_driver_sql(statement.removesuffix(";").replace("%", "%%"))
    engine.dispose()

    assert storage.plan() == ""
    storage.build()
    storage.append(ADA, turn(*said("a")))
    storage.close()
    assert schema(url) == schema_of_a_clean_migration(url, tmp_path)


def test_check_names_the_command_and_creates_nothing(url):
    storage = opened(url, migrate="check")

    with pytest.raises(SchemaError, match=r"version 0.*`memori migrate`"):
        storage.append(ADA, turn(*said("a")))

    storage.close()
    assert schema(url) == {}


def test_check_sees_a_table_that_lacks_something(url):
    built = opened(url)
    built.build()
    built.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE memori_session DROP COLUMN version")
    engine.dispose()
    storage = opened(url, migrate="check")

    with pytest.raises(SchemaError, match="there is no memori_session: column version"):
        storage.build()

    storage.close()


def test_off_touches_nothing_and_says_what_is_missing(url):
    storage = opened(url, migrate="off")

    with pytest.raises(SchemaError, match=r"memori\.config\.storage\.build\(\)"):
        storage.append(ADA, turn(*said("a")))

    storage.close()
    assert schema(url) == {}


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE memori_entity (id INTEGER, name VARCHAR(20))",
        "CREATE TABLE memori_schema_version (num INTEGER)",
    ],
)
@pytest.mark.parametrize("migrate", ["auto", "check"])
def test_tables_of_something_else_are_left_alone(url, made, migrate):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(made)
    engine.dispose()
    before = schema(url)
    storage = opened(url, migrate=migrate)

    with pytest.raises(SchemaError, match="not made by this Memori"):
        storage.append(ADA, turn(*said("a")))

    storage.close()
    assert schema(url) == before


def test_tables_of_a_newer_memori_are_left_alone(url):
    built = opened(url)
    built.append(ADA, turn(*said("a")))
    built.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO memori_schema_version VALUES (999, {int(NOW.timestamp())})")
    engine.dispose()

    for migrate in ("auto", "check"):
        storage = opened(url, migrate=migrate)
        with pytest.raises(SchemaError, match=r"version 999.*pip install --upgrade memori-core"):
            storage.append(ADA, turn(*said("b")))
        storage.close()


def test_versions_count_up():
    versions = [step.version for step in migrations.MIGRATIONS]

    assert versions == list(range(1, len(versions) + 1))


def test_the_command_line_shows_the_plan_and_carries_it_out(url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMORI_MIGRATE", "check")

    def memori(*arguments):
        done = CliRunner().invoke(build(), ["migrate", *arguments, "--database", url])
        assert done.exit_code == 0, done.stderr
        return done

    plan = memori("--plan").stdout
    assert all(f"CREATE TABLE {table} (" in plan for table in metadata.tables)
    assert "INSERT INTO memori_schema_version" in plan
    assert schema(url) == {}

    assert "the tables are ready" in memori().stderr
    assert "nothing to do" in memori("--plan").stderr
    assert "nothing to do" in memori().stderr
    opened_again = opened(url, migrate="check")
    opened_again.append(ADA, turn(*said("a")))
    opened_again.close()


def test_tables_of_version_2_learn_where_facts_come_from(url):
    storage = opened(url)
    tea = new_fact("likes tea", message_key="m-1")
    storage.apply(ADA, FactChanges((tea,)), expected=None, now=NOW)
    storage.close()
    fresh = schema(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        mysql = engine.dialect.name in ("mysql", "mariadb")
        connection.exec_driver_sql("CREATE INDEX ix_memori_mention_entity ON memori_entity_fact_mention (entity_id)")
        for table, name in (
            ("memori_entity_fact", "ix_memori_fact_successor"),
            ("memori_entity_fact_mention", "ix_memori_mention_message"),
        ):
            connection.exec_driver_sql(f"DROP INDEX {name}" + (f" ON {table}" if mysql else ""))
        for column in ("message_id", "source", "extractor"):
            connection.exec_driver_sql(f"ALTER TABLE memori_process_attribute DROP COLUMN {column}")
        connection.exec_driver_sql("DELETE FROM memori_schema_version WHERE version >= 3")
    engine.dispose()

    storage = opened(url)
    plan = storage.plan()
    storage.build()

    assert "ALTER TABLE memori_process_attribute ADD message_id" in plan
    assert schema(url) == fresh
    assert [one.fact_id for one in storage.mentions(ADA, messages=["m-1"])] == [tea.fact.id]
    storage.close()


def test_tables_of_version_1_get_the_index_of_version_2(url):
    storage = opened(url)
    storage.apply(ADA, FactChanges((new_fact("likes tea"),)), expected=None, now=NOW)
    storage.close()
    fresh = schema(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        on = " ON memori_entity_fact" if engine.dialect.name in ("mysql", "mariadb") else ""
        connection.exec_driver_sql("CREATE INDEX ix_memori_fact_status ON memori_entity_fact (entity_id, status, kind)")
        connection.exec_driver_sql(f"DROP INDEX ix_memori_fact_newest{on}")
        connection.exec_driver_sql("DELETE FROM memori_schema_version WHERE version >= 2")
    engine.dispose()

    storage = opened(url)
    plan = storage.plan()
    storage.build()

    assert "ix_memori_fact_newest" in plan
    assert schema(url) == fresh
    assert [fact.text for fact in storage.facts(ADA, limit=5)] == ["likes tea"]
    storage.close()


def test_items_of_version_4_are_found_beside_newer_ones(url):
    storage = opened(url)
    old = [ItemWrite(("notes", "a"), f"old-{n}", {"n": n}) for n in range(3)]
    storage.write_items(ADA, [*old, ItemWrite(("notes_",), "other", {}), ItemWrite((), "root", {})], now=NOW)
    storage.close()
    fresh = schema(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        on = " ON memori_item" if engine.dialect.name in ("mysql", "mariadb") else ""
        connection.exec_driver_sql("CREATE INDEX ix_memori_item_entity ON memori_item (entity_id, updated_at)")
        for name in ("newest", "scope_1", "scope_2", "scope_3"):
            connection.exec_driver_sql(f"DROP INDEX ix_memori_item_{name}{on}")
        for column in ("scope_1", "scope_2", "scope_3"):
            connection.exec_driver_sql(f"ALTER TABLE memori_item DROP COLUMN {column}")
        connection.exec_driver_sql("DELETE FROM memori_schema_version WHERE version >= 5")
    engine.dispose()

    storage = opened(url)
    assert "ADD scope_1" in storage.plan()
    storage.build()
    later = NOW + timedelta(minutes=1)
    storage.write_items(ADA, [ItemWrite(("notes", "a"), "new", {}), ItemWrite(("notes", "a"), "old-1", {})], now=later)

    def found(*prefix, **options):
        return [one.item.key for one in storage.search_items(ADA, prefix, now=later, **options)]

    assert schema(url) == fresh
    for prefix in (("notes",), ("notes", "a")):
        assert set(found(*prefix)[:2]) == {"new", "old-1"}
        assert set(found(*prefix)[2:]) == {"old-0", "old-2"}
        assert found(*prefix) == [key for at in range(4) for key in found(*prefix, limit=1, offset=at)]
    assert len(found()) == 6
    assert found("notes", "a", "b") == []
    storage.close()
