"""Processes of threads of tasks write and recall at once: no error, nothing lost, doubled or mixed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from memori import Attribution
from memori.storage.base import Storage
from memori.storage.mongodb.storage import MongoStorage
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage
from pymongo import MongoClient
from sqlalchemy import create_engine, text

from tests.core.storage import load, mongodb
from tests.core.storage.backends import BACKENDS, empty_database

CHILDREN = {
    "memori_conversation": ("session_id", "memori_session"),
    "memori_conversation_message": ("conversation_id", "memori_conversation"),
    "memori_augmentation_job": ("session_id", "memori_session"),
    "memori_entity_fact_mention": ("fact_id", "memori_entity_fact"),
    "memori_fact_embedding": ("fact_id", "memori_entity_fact"),
    "memori_entity_fact": ("message_id", "memori_conversation_message"),
}
"""Where each table's rows name the row they belong to."""


@dataclass(frozen=True)
class World:
    """A database, and how much happens to it at once."""

    url: str
    open: Callable[[str, StorageOptions], Storage]
    mixed: Callable[[str], dict[str, int]]
    processes: int = 4
    threads: int = 8
    tasks: int = 8

    @property
    def everybody(self) -> list[tuple[int, int]]:
        return [(process, thread) for process in range(self.processes) for thread in range(self.threads)]


@pytest.fixture(params=[*BACKENDS, "mongodb, replica set", "mongodb, alone"])
def world(request, tmp_path) -> Iterator[World]:
    if request.param in BACKENDS:
        with empty_database(request.param, tmp_path) as url:
            yield World(url, SQLStorage, rows_of_another_tenant)
        return
    with mongodb.database(alone="alone" in request.param) as url:
        # The server that stands in for MongoDB answers a dozen requests a second once several threads ask.
        yield World(url, MongoStorage, documents_of_another_tenant, processes=2, threads=2, tasks=2)


def run_load(world: World) -> list[str]:
    """Start every process, let them go together, and return what went wrong in any."""
    how = [world.threads, world.tasks]
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", load.__file__, world.url, *map(str, [process, *how])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(world.processes)
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
        out, err = one.communicate(timeout=240)
        assert one.returncode == 0, err
        wrong += json.loads(out)
        wrong += [err] if err else []
    return wrong


def test_nothing_fails_and_nothing_is_lost_doubled_or_given_to_another(world) -> None:
    storage = world.open(world.url, StorageOptions())
    assert run_load(world) == []

    for task in range(world.tasks):
        for process, thread in world.everybody:
            stored = storage.messages(in_default(load.own_session(process, thread, task)))
            assert [one.message.content for one in stored] == [
                one.content for one in load.history(process, thread, task)
            ]
            assert [one.position for one in stored] == list(range(len(stored)))
        shared = storage.messages(in_default(load.shared_session(task)))
        assert Counter(one.message.id for one in shared) == {
            f"p{process}-t{thread}": 1 for process, thread in world.everybody
        }
        assert [one.position for one in shared] == list(range(len(shared)))
        person = in_default(Attribution(f"person-{task}"))
        said = [one.message.content for one in storage.messages(person)]
        assert len(said) == len(world.everybody) * (2 * load.TURNS + 1)
        assert all(load.WORDS[task] in one for one in said)
        kept = [one.text for one in storage.facts(person, kinds=["episode"])]
        assert Counter(kept) == Counter(said), "each message is learnt from once"
    storage.close()
    assert world.mixed(world.url) == {}


def in_default(attribution: Attribution) -> Attribution:
    return Attribution(attribution.entity_id, attribution.process_id, attribution.session_id, "default")


def rows_of_another_tenant(url: str) -> dict[str, int]:
    """Rows whose own entity is not that of the row they belong to."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table: connection.execute(
                text(
                    f"SELECT COUNT(*) FROM {table} child LEFT JOIN {parent} parent ON parent.id = child.{column} "
                    "WHERE parent.id IS NULL OR parent.entity_id <> child.entity_id"
                )
            ).scalar_one()
            for table, (column, parent) in CHILDREN.items()
        }
    engine.dispose()
    return {table: number for table, number in found.items() if number}


def documents_of_another_tenant(url: str) -> dict[str, int]:
    """The same of MongoDB's collections; mentions and vectors are parts of a fact there."""
    with MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        names = set(database.list_collection_names())
        owner = {
            one["_id"]: one.get("entity_id") for name in names for one in database[name].find({}, {"entity_id": 1})
        }
        found = {
            name: sum(owner[one[column]] != one["entity_id"] for one in database[name].find({column: {"$ne": None}}))
            for name, (column, parent) in CHILDREN.items()
            if {name, parent} <= names
        }
    assert len(found) >= 3, f"only {sorted(found)} were looked at"
    return {name: number for name, number in found.items() if number}
