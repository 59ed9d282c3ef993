"""Four processes of eight threads of eight tasks write and recall at once: no error, nothing lost, doubled or mixed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from memori import Attribution
from memori.storage.base import StorageOptions
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, text

from tests.core.storage import load
from tests.core.storage.backends import BACKENDS, empty_database

EVERYBODY = [(process, thread) for process in range(load.PROCESSES) for thread in range(load.THREADS)]


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path) -> Iterator[str]:
    with empty_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def storage(url) -> Iterator[SQLStorage]:
    made = SQLStorage(url, StorageOptions())
    yield made
    made.close()


def run_load(url: str) -> list[str]:
    """Start every process, let them go together, and return what went wrong in any."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", load.__file__, url, str(process)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(load.PROCESSES)
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n", one.communicate()[1]
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    wrong: list[str] = []
    for one in running:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
        wrong += json.loads(out)
        wrong += [err] if err else []
    return wrong


def test_nothing_fails_and_nothing_is_lost_doubled_or_given_to_another(url, storage) -> None:
    assert run_load(url) == []

    for task in range(load.TASKS):
        for process, thread in EVERYBODY:
            stored = storage.messages(in_default(load.own_session(process, thread, task)))
            assert [one.message.content for one in stored] == [
                one.content for one in load.history(process, thread, task)
            ]
            assert [one.position for one in stored] == list(range(len(stored)))
        shared = storage.messages(in_default(load.shared_session(task)))
        assert Counter(one.message.id for one in shared) == {
            f"p{process}-t{thread}": 1 for process, thread in EVERYBODY
        }
        assert [one.position for one in shared] == list(range(len(shared)))
        person = in_default(Attribution(f"person-{task}"))
        said = [one.message.content for one in storage.messages(person)]
        assert len(said) == len(EVERYBODY) * (2 * load.TURNS + 1)
        assert all(load.WORDS[task] in one for one in said)
        kept = [one.text for one in storage.facts(person, kinds=["episode"])]
        assert Counter(kept) == Counter(said), "each message is learnt from once"
    assert rows_of_another_tenant(url) == {}


def in_default(attribution: Attribution) -> Attribution:
    return Attribution(attribution.entity_id, attribution.process_id, attribution.session_id, "default")


def rows_of_another_tenant(url: str) -> dict[str, int]:
    """Rows whose own entity is not that of the row they belong to."""
    belongs = {
        "memori_conversation": ("session_id", "memori_session"),
        "memori_conversation_message": ("conversation_id", "memori_conversation"),
        "memori_augmentation_job": ("session_id", "memori_session"),
        "memori_entity_fact_mention": ("fact_id", "memori_entity_fact"),
        "memori_fact_embedding": ("fact_id", "memori_entity_fact"),
        "memori_entity_fact": ("message_id", "memori_conversation_message"),
    }
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table: connection.execute(
                text(
                    f"SELECT COUNT(*) FROM {table} child LEFT JOIN {parent} parent ON parent.id = child.{column} "
                    "WHERE parent.id IS NULL OR parent.entity_id <> child.entity_id"
                )
            ).scalar_one()
            for table, (column, parent) in belongs.items()
        }
    engine.dispose()
    return {table: number for table, number in found.items() if number}
