"""A MongoDB writer may die, or be overtaken, before any of its commands: nothing is lost, doubled or half-done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from memori.conformance.samples import ADA, NOW, SPACE, contents, new_fact, said, turn
from memori.errors import StorageError, StorageUnavailableError
from memori.model import Message
from memori.storage.mongodb import journal, lease
from memori.storage.mongodb.storage import MongoStorage
from memori.storage.records import EntityState, FactChanges, ItemWrite, Retirement, StorageOptions
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from tests.core.storage import mongodb

HISTORY = said("a", "b", "c", ids=["1", "2", "3"])
TEA, MILK = new_fact("likes tea"), new_fact("drinks milk")
LATER = NOW + timedelta(minutes=1)
Operation = Callable[[MongoStorage], object]


class Died(BaseException):
    """The process is gone: no `except Exception` sees it, and no clean-up reaches the server."""


class Interruption(CommandListener):
    """Calls something before command number `at`, and before every one after it where it says so."""

    def __init__(self) -> None:
        self.arm(-1, lambda: None)

    def arm(self, at: int, call: Callable[[], object], *, ever_after: bool = False) -> None:
        self.count, self.at, self.call, self.ever_after = 0, at, call, ever_after

    def started(self, event: Any) -> None:
        number, self.count = self.count, self.count + 1
        if self.at >= 0 and (number == self.at or (self.ever_after and number > self.at)):
            self.call()

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def die() -> None:
    raise Died


class World:
    """An empty database, a storage whose commands can be interrupted, and another one."""

    def __init__(self, url: str, *, transactions: bool) -> None:
        self.interruption = Interruption()
        self._client = MongoClient[dict[str, Any]](url, event_listeners=[self.interruption])
        options = StorageOptions(extra={"transactions": transactions}, busy_timeout=5)
        self.storage = MongoStorage(self._client, options)
        self.other = MongoStorage(url, options)
        self.other.build()
        self.storage.build()

    def dies_at(self, step: int, operation: Operation) -> bool:
        """Run until a step of the operation; say whether it died there. The other storage is what comes after it."""
        self.interruption.arm(step, die, ever_after=True)
        try:
            operation(self.storage)
        except Died:
            self.interruption.arm(-1, die)
            # What the server does by itself a minute after a client with an open transaction has gone.
            self._client.admin.command("killAllSessions", [])
            return True
        return False

    def close(self) -> None:
        self.interruption.arm(-1, die)
        self.storage.close()
        self.other.close()
        self._client.close()


@pytest.fixture(params=["transactions", "journal", "journal in parts"])
def world(request, monkeypatch) -> Iterator[Callable[[], Any]]:
    """Makes worlds in which a lease ends at once, so that whoever comes next takes it over."""
    monkeypatch.setattr(lease, "SECONDS", 0.0)
    if request.param == "journal in parts":
        monkeypatch.setattr(journal, "_INLINE", 0)
        monkeypatch.setattr(journal, "_PART", 600)
    transactions = request.param == "transactions"
    opened = []
    with mongodb.database(alone=not transactions) as url:

        def make() -> World:
            opened.append(World(url, transactions=transactions))
            return opened[-1]

        yield make
        for one in opened:
            one.close()


def at_every_step(make: Callable[[], World], prepare: Operation, operation: Operation) -> Iterator[World]:
    """For each command of the operation, a world in which its process died before that command."""
    made = make()
    for step in range(100):
        made.interruption.arm(-1, die)
        made.other.erase(ADA)
        prepare(made.other)
        died = made.dies_at(step, operation)
        yield made
        if not died:
            assert step > 2, "nothing was interrupted"
            return
    raise AssertionError("the operation never ends")


def nothing(_: MongoStorage) -> None: ...


def jobs(storage: MongoStorage) -> list[str]:
    """What every open job is about."""
    leased = storage.lease(limit=100, seconds=60, now=LATER)
    return sorted(one.message.content for job in leased for one in job.messages)


def append(storage: MongoStorage) -> object:
    return storage.append(ADA, turn(*HISTORY))


def test_a_turn_that_is_recorded_again_is_stored_once(world) -> None:
    for made in at_every_step(world, nothing, append):
        made.other.append(ADA, turn(*HISTORY))

        assert contents(made.other, ADA) == ["a", "b", "c"]
        assert jobs(made.other) == ["a", "b", "c"]
        (conversation,) = made.other.conversations(ADA)
        assert conversation.message_count == 3


def test_a_turn_is_there_whole_with_its_job_or_not_at_all(world) -> None:
    seen = set()
    for made in at_every_step(world, nothing, append):
        learnt = jobs(made.other)

        assert contents(made.other, ADA) == learnt
        assert learnt in ([], ["a", "b", "c"])
        seen.add(len(learnt))
    assert seen == {0, 3}


def test_whoever_writes_next_finishes_a_turn_that_was_cut_short(world) -> None:
    seen = set()
    for made in at_every_step(world, nothing, append):
        made.other.append(ADA, turn(*said("next"), resent=0))

        found = contents(made.other, ADA)
        assert found in (["next"], ["a", "b", "c", "next"])
        assert jobs(made.other) == sorted(found)
        seen.add(len(found))
    assert seen == {1, 4}


def test_a_job_is_completed_once_however_often_its_worker_dies(world) -> None:
    def prepare(storage: MongoStorage) -> None:
        storage.apply(ADA, FactChanges((MILK,), space=SPACE), expected=None, now=NOW)
        append(storage)

    def work(storage: MongoStorage) -> None:
        (job,) = storage.lease(limit=1, seconds=0, now=LATER)
        changes = FactChanges((TEA,), (), ((MILK.fact.id, "m1"),), SPACE)
        storage.complete(job, changes, expected=storage.state(ADA), now=LATER)

    for made in at_every_step(world, prepare, work):
        state = made.other.state(ADA)
        if made.other.lease(limit=1, seconds=0, now=LATER):
            work(made.other)

        tea, milk = sorted(made.other.facts(ADA), key=lambda fact: fact.text, reverse=True)
        assert (tea.text, milk.text, milk.mentions) == ("likes tea", "drinks milk", 2)
        assert made.other.open_jobs(ADA) == []
        assert made.other.queue_status(ADA, now=LATER).done == 1
        assert made.other.state(ADA).revision in (state.revision, state.revision + 1)
        assert len(made.other.changes_since(ADA, SPACE, 1).rows) == 2


@pytest.mark.parametrize(
    ("operation", "reading"),
    [
        (
            lambda storage: storage.replace_messages(ADA, said("a", "x", "y"), now=NOW),
            lambda storage: contents(storage, ADA),
        ),
        (
            lambda storage: storage.delete_messages(ADA, [m.key for m in storage.transcript(ADA).messages[:2]]),
            lambda storage: contents(storage, ADA),
        ),
        (
            lambda storage: storage.apply(
                ADA,
                FactChanges((TEA,), (Retirement(MILK.fact.id, "superseded", TEA.fact.id),), space=SPACE),
                expected=None,
                now=NOW,
            ),
            lambda storage: [fact.text for fact in storage.facts(ADA)],
        ),
        (
            lambda storage: storage.write_items(
                ADA, [ItemWrite(("n",), "k", None), ItemWrite(("n",), "l", {"v": 2})], now=NOW
            ),
            lambda storage: [found.item.key for found in storage.search_items(ADA, (), now=NOW)],
        ),
        (
            lambda storage: storage.erase(ADA),
            lambda storage: [
                contents(storage, ADA),
                [fact.text for fact in storage.facts(ADA, statuses=())],
                len(storage.open_jobs(ADA)),
                [found.item.key for found in storage.search_items(ADA, (), now=NOW)],
                storage.state(ADA) == EntityState(),
            ],
        ),
    ],
    ids=["replace messages", "delete messages", "supersede a fact", "write items", "erase"],
)
def test_a_change_is_made_whole_or_not_at_all(world, operation, reading) -> None:
    def prepare(storage: MongoStorage) -> None:
        append(storage)
        storage.apply(ADA, FactChanges((MILK,), space=SPACE), expected=None, now=NOW)
        storage.write_items(ADA, [ItemWrite(("n",), "k", {"v": 1})], now=NOW)

    before, after = [], []
    for made in at_every_step(world, prepare, operation):
        made.other.lease(limit=0, seconds=1, now=NOW)
        found = reading(made.other)
        if not before:
            before.append(found)
        (after if found != before[0] else before).append(found)

    assert all(found == before[0] for found in before)
    assert after
    assert all(found == after[0] for found in after)


def test_what_a_dead_writer_left_in_parts_is_removed(world) -> None:
    for made in at_every_step(world, nothing, append):
        made.other.lease(limit=0, seconds=1, now=NOW)

        with MongoClient[dict[str, Any]](made.other.connection) as client:
            database = client.get_default_database()
            assert database["memori_journal"].find_one() is None
            assert database["memori_lease"].find_one({"pending": {"$exists": True}}) is None


@pytest.mark.parametrize("world", ["journal", "journal in parts"], indirect=True)
@pytest.mark.parametrize("rival", ["append", "erase", "delete"])
def test_a_writer_that_is_overtaken_undoes_nothing(world, rival) -> None:
    rivals: dict[str, Operation] = {
        "append": lambda storage: storage.append(ADA, turn(Message("user", "rival", id="r"), resent=0)),
        "erase": lambda storage: storage.erase(ADA),
        "delete": lambda storage: storage.delete_messages(ADA, [m.key for m in storage.transcript(ADA).messages]),
    }
    possible: dict[str, list[list[str]]] = {
        "append": [["rival", "a", "b", "c"], ["a", "b", "c", "rival"]],
        "erase": [["a", "b", "c"], []],
        "delete": [["a", "b", "c"], []],
    }
    made = world()
    for step in range(100):
        made.other.erase(ADA)
        made.interruption.arm(step, lambda: rivals[rival](made.other))
        append(made.storage)
        done = made.interruption.count <= step
        made.interruption.arm(-1, die)
        if done:
            return

        found = contents(made.other, ADA)
        assert found in possible[rival]
        positions = [one.position for one in made.other.messages(ADA)]
        assert len(positions) == len(set(positions))
        if rival != "delete":
            assert jobs(made.other) == sorted(found)
    raise AssertionError("the operation never ends")


@pytest.mark.parametrize("world", ["journal", "journal in parts"], indirect=True)
def test_nothing_of_an_erased_entity_stays_behind_a_writer_that_was_overtaken(world) -> None:
    made = world()
    for step in range(100):
        append(made.other)
        made.interruption.arm(step, lambda: made.other.erase(ADA))
        made.storage.replace_messages(ADA, [], now=NOW)
        done = made.interruption.count <= step
        made.interruption.arm(-1, die)
        made.other.erase(ADA)
        made.other.lease(limit=0, seconds=1, now=NOW)

        with MongoClient[dict[str, Any]](made.other.connection) as client:
            database = client.get_default_database()
            left = [
                {**row, "in": name}
                for name in database.list_collection_names()
                if name != "memori_schema_version"
                for row in database[name].find({"gone_at": {"$exists": False}})
            ]
            tombs = [set(row) for name in ("memori_session",) for row in database[name].find()]
        assert left == []
        assert all(tomb == {"_id", "fence", "gone_at"} for tomb in tombs)
        if done:
            return
    raise AssertionError("the operation never ends")


def test_a_connection_that_breaks_costs_a_turn_nothing(world) -> None:
    """At each command in turn the server closes the connection instead of answering."""
    made = world()
    failing = ["find", "findAndModify", "insert", "update", "delete", "commitTransaction", "aggregate"]
    with MongoClient[dict[str, Any]](made.other.connection) as client:

        def cut() -> None:
            data = {"failCommands": failing, "closeConnection": True}
            client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)

        for step in range(100):
            message = Message("user", f"at {step}", id=str(step))
            made.interruption.arm(step, cut)
            with suppress(StorageUnavailableError):
                made.storage.append(ADA, turn(message, resent=0))
            done = made.interruption.count <= step
            made.interruption.arm(-1, die)
            client.admin.command("configureFailPoint", "failCommand", mode="off")
            client.admin.command("killAllSessions", [])
            made.storage.append(ADA, turn(message, resent=0))
            if done:
                break

    assert step > 2, "nothing was interrupted"
    assert contents(made.other, ADA) == [f"at {n}" for n in range(step + 1)]
    assert jobs(made.other) == sorted(f"at {n}" for n in range(step + 1))


@pytest.mark.skipif("MEMORI_TEST_MONGODB_URL" in os.environ, reason="that server is not ours to kill")
@pytest.mark.parametrize("alone", [False, True], ids=["transactions", "journal"])
def test_a_server_killed_under_load_keeps_every_message_it_acknowledged_once(alone, tmp_path) -> None:
    server = mongodb.Killable(tmp_path / "data", alone=alone)
    server.start()
    storage = MongoStorage(server.url, StorageOptions(busy_timeout=1))
    storage.build()
    writers, messages = 3, 12
    acknowledged, refused = [0] * writers, 0

    def write(writer: int) -> None:
        """Each message until it was acknowledged: nothing lost is made good by sending it again."""
        nonlocal refused
        who = ADA.with_session(f"session {writer}")
        while acknowledged[writer] < messages:
            number = acknowledged[writer]
            try:
                storage.append(who, turn(Message("user", f"m {number}", id=f"{number}")))
            except StorageError:
                refused += 1
                time.sleep(0.05)
            else:
                acknowledged[writer] += 1

    try:
        with ThreadPoolExecutor(writers) as pool:
            running = [pool.submit(write, writer) for writer in range(writers)]
            while sum(acknowledged) < writers * messages / 3 and not any(one.done() for one in running):
                time.sleep(0.005)
            server.kill()
            while not refused:
                time.sleep(0.005)
            server.start()
            for one in running:
                one.result(timeout=120)

        for writer in range(writers):
            assert contents(storage, ADA.with_session(f"session {writer}")) == [f"m {n}" for n in range(messages)]
        assert jobs(storage) == sorted([f"m {n}" for n in range(messages)] * writers)
    finally:
        storage.close()
        server.kill()
