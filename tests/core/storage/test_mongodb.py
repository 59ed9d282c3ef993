"""MongoDB keeps every promise of a storage, in a replica set and alone, with transactions and without."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from memori import Attribution, Memori, Message
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.conformance.samples import ADA, BOB, NOW, SPACE, contents, new_fact, said, texts, turn
from memori.errors import (
    SchemaError,
    StorageError,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnknownConnectionError,
)
from memori.storage.mongodb import database
from memori.storage.mongodb.failures import translate
from memori.storage.mongodb.storage import MongoStorage
from memori.storage.records import FactChanges, ItemWrite, StorageOptions
from memori.text import terms
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import BulkWriteError
from pymongo.monitoring import CommandListener

from tests.core.storage import mongodb

ALONE = [pytest.param(False, id="replica set"), pytest.param(True, id="alone")]


@pytest.fixture
def url() -> Iterator[str]:
    with mongodb.database() as made:
        yield made


@pytest.fixture
def client(url) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](url) as made:
        yield made


@pytest.fixture
def opened() -> Iterator[Any]:
    """Open a storage, closed at the end."""
    storages: list[MongoStorage] = []

    def open_one(connection: Any, **options: Any) -> MongoStorage:
        storages.append(MongoStorage(connection, StorageOptions(**options)))
        return storages[-1]

    yield open_one
    for one in storages:
        one.close()


class TestWithTransactions(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: MongoStorage(url, StorageOptions())


class TestWithoutTransactions(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, url):
        return lambda: MongoStorage(url, StorageOptions(extra={"transactions": False}))


@pytest.mark.parametrize("alone", ALONE)
def test_transactions_are_used_where_the_deployment_has_them(alone, opened) -> None:
    with mongodb.database(alone=alone) as url:
        storage = opened(url)
        storage.append(ADA, turn(*said("a")))

        assert storage.transactions is not alone
        assert contents(storage, ADA) == ["a"]
        assert not opened(url, extra={"transactions": False}).transactions


def test_a_server_that_only_looks_like_it_had_transactions_is_used_without(url, client, opened) -> None:
    storage = opened(url)
    storage.build()
    refusal = {"failCommands": ["find"], "errorCode": 20, "appName": "memori"}
    client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=refusal)

    storage.append(ADA, turn(*said("a")))

    assert not storage.transactions
    assert contents(storage, ADA) == ["a"]


@pytest.mark.parametrize("modes", [(True, True), (False, False), (True, False)])
def test_writers_of_either_kind_share_an_entity(modes, url, opened) -> None:
    """Four storages write to one session at once: nothing is lost, doubled, or stored at another's position."""
    storages = [opened(url, extra={"transactions": mode}, busy_timeout=60) for mode in modes * 2]

    def write(number: int) -> None:
        for n in range(5):
            message = Message("user", f"{number}.{n}", id=f"{number}.{n}")
            storages[number].append(ADA, turn(message, resent=0))
            storages[number].apply(ADA, FactChanges((new_fact(f"{number}.{n}"),), space=SPACE), expected=None, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))

    everything = sorted(f"{number}.{n}" for number in range(4) for n in range(5))
    assert sorted(contents(storages[0], ADA)) == everything
    assert [one.position for one in storages[0].messages(ADA)] == list(range(20))
    assert texts(storages[0], ADA) == everything
    assert storages[0].state(ADA).revision == 20
    assert len(storages[0].lease(limit=50, seconds=9, now=NOW)) == 20


def test_what_is_too_much_for_a_transaction_is_journaled(url, client, opened, monkeypatch) -> None:
    monkeypatch.setattr(database, "_MOST", 20)
    storage = opened(url)
    many = [f"line {n}" for n in range(30)]

    storage.append(ADA, turn(*said(*many)))
    storage.append(BOB, turn(*said("few")))

    assert storage.transactions
    assert contents(storage, ADA) == many
    assert storage.erase(ADA)["memori_conversation_message"] == 30
    assert sum(storage.erase(BOB).values()) == 5
    tombs = client.get_default_database()["memori_conversation_message"].find({"gone_at": {"$exists": True}})
    assert len(list(tombs)) == 30
    assert contents(storage, ADA) == []


# what a user may pass


def test_a_client_a_database_and_functions_that_return_one_are_taken(url, client, opened) -> None:
    name = client.get_default_database().name
    opened(client).append(ADA, turn(*said("a")))

    assert contents(opened(client[name]), ADA) == ["a"]
    assert contents(opened(lambda: MongoClient(url)), ADA) == ["a"]
    assert contents(opened(lambda: url), ADA) == ["a"]


def test_a_client_that_was_passed_in_stays_open(client) -> None:
    storage = MongoStorage(client, StorageOptions())
    storage.append(ADA, turn(*said("a")))

    storage.close()

    assert client.admin.command("ping")["ok"] == 1


def test_a_database_is_named_in_the_url_or_beside_it_or_is_called_memori(opened) -> None:
    assert opened("mongodb://host/mine").display == "mongodb://host/mine"
    with MongoClient[Any]("mongodb://host:1", connect=False) as client:
        assert opened(client).display == "mongodb://host:1/memori"


@pytest.mark.parametrize(
    "connection",
    [
        lambda url: url,
        lambda url: lambda: MongoClient(url),
        lambda url: lambda: MongoClient(url).get_default_database(),
        lambda url: MongoClient(url),
    ],
    ids=["url", "function of a client", "function of a database", "client"],
)
def test_memori_recognises_what_it_is_given(connection, url) -> None:
    given = connection(url)
    with Memori(given, embedder="hashing", extractor="none") as memori:
        ada = Attribution("ada")
        memori.record([("user", "Tea in the morning, please.")], attribution=ada)
        assert memori.augmentation.wait(timeout=30)

        assert [one.text for one in memori.recall("tea", attribution=ada)] == ["Tea in the morning, please."]
        assert memori.config.storage.display.startswith("mongodb://127.0.0.1:")
    if isinstance(given, MongoClient):
        given.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: AsyncMongoClient("mongodb://host"), "asynchronous"),
        (lambda: MongoClient("mongodb://host", connect=False)["a"]["b"], "Collection is not something"),
        (lambda: "mongodb://ada:s3cret@word:x@host/name", "percent form"),
        (lambda: "mongodb://host/name?w=many&ssl=perhaps&x", "cannot be read"),
        (lambda: 7, "int is not something"),
    ],
)
def test_what_cannot_be_opened_is_refused_at_once(wrong, said) -> None:
    with pytest.raises(UnknownConnectionError, match=said) as raised:
        MongoStorage(wrong(), StorageOptions())

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("made", [None, 7])
def test_a_function_that_returns_something_else_is_named(made, opened) -> None:
    with pytest.raises(UnknownConnectionError, match=rf"The function returned builtins\.{type(made).__name__}"):
        opened(lambda: made).build()


# what may be wrong with the server


@pytest.mark.parametrize(
    "shape", ["mongodb://ada:s3cret@127.0.0.1:9/name", "mongodb://ada:s3cret@nowhere.invalid/name"]
)
def test_a_server_that_cannot_be_reached_is_named_without_the_password(shape, opened) -> None:
    storage = opened(f"{shape}?serverSelectionTimeoutMS=200&appName=s3cret")

    with pytest.raises(
        StorageUnavailableError, match=r"mongodb://ada:\*\*\*@.*/name: no server can be reached"
    ) as raised:
        storage.append(ADA, turn(*said("a")))

    assert "s3cret" not in str(raised.value) + storage.display


def test_a_wrong_password_is_told_from_a_missing_one(opened) -> None:
    server = mongodb.start(require_auth=True)
    wrong = opened(server.uri.replace("://", "://ada:s3cret@"))
    none = opened(server.uri)

    with pytest.raises(StorageUnavailableError, match="user name or the password is wrong") as raised:
        wrong.append(ADA, turn(*said("a")))
    with pytest.raises(StorageUnavailableError, match="requires authentication"):
        none.append(ADA, turn(*said("a")))

    assert "s3cret" not in str(raised.value)
    wrong.close()
    none.close()
    server.stop()


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (13, StorageReadOnlyError, "role readWrite"),
        (10107, StorageUnavailableError, "primary"),
        (14031, StorageError, "no room left"),
    ],
)
def test_a_refusal_is_explained_and_leaves_nothing(code, kind, said, url, client, opened) -> None:
    storage = opened(url, extra={"transactions": False}, busy_timeout=1)
    storage.build()
    refusal = {"failCommands": ["insert", "findAndModify"], "errorCode": code, "appName": "memori"}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=refusal)
    try:
        with pytest.raises(kind, match=said):
            storage.append(ADA, turn(Message("user", "a")))
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")

    assert opened(url).messages(ADA) == []


def test_an_error_never_quotes_what_people_said() -> None:
    said = "my secret"
    failed = {"index": 0, "code": 11000, "errmsg": f"E11000 duplicate key error dup key: {{ t: '{said}' }}", "op": said}
    bulk = BulkWriteError({"writeErrors": [failed], "writeConcernErrors": []})

    assert "E11000" in str(translate(bulk, "mongodb://host/name"))
    assert said not in str(translate(bulk, "mongodb://host/name"))


def test_a_client_that_was_closed_is_said_to_be(client, opened) -> None:
    storage = opened(client)
    storage.build()
    client.close()

    with pytest.raises(StorageUnavailableError, match="closed"):
        storage.messages(ADA)


# what may be wrong with the database


def test_a_newer_schema_is_refused(url, client, opened) -> None:
    client.get_default_database()["memori_schema_version"].insert_one({"_id": 99})

    with pytest.raises(SchemaError, match=r"version 99.*pip install --upgrade"):
        opened(url).build()


def test_collections_of_something_else_are_refused(url, client, opened) -> None:
    client.get_default_database()["memori_entity"].insert_one({"_id": "theirs"})

    with pytest.raises(SchemaError, match="not made by this Memori: memori_entity"):
        opened(url).append(ADA, turn(*said("a")))


def test_checking_creates_nothing(url, client, opened) -> None:
    with pytest.raises(SchemaError, match="version 0"):
        opened(url, migrate="check").build()
    assert client.get_default_database().list_collection_names() == []

    opened(url).build()

    opened(url, migrate="check").append(ADA, turn(*said("a")))


def test_a_build_that_was_interrupted_is_taken_up(url, client, opened) -> None:
    opened(url).build()
    client.get_default_database()["memori_schema_version"].drop()
    client.get_default_database()["memori_entity_fact"].drop_indexes()

    opened(url).build()

    assert len(client.get_default_database()["memori_entity_fact"].index_information()) > 2


# text, size and names


@pytest.mark.parametrize("transactions", [True, False])
def test_what_is_too_large_for_a_document_is_explained_and_leaves_nothing(transactions, url, opened) -> None:
    storage = opened(url, extra={"transactions": transactions})

    with pytest.raises(StorageError, match="16 MB"):
        storage.append(ADA, turn(Message("user", "small"), Message("user", "x" * 17_000_000)))

    assert storage.messages(ADA) == []
    storage.append(ADA, turn(*said("goes on")))
    assert contents(storage, ADA) == ["goes on"]


def test_a_turn_larger_than_a_document_is_stored_whole_without_transactions(url, client, opened) -> None:
    storage = opened(url, extra={"transactions": False})
    large = [str(n) * 6_000_000 for n in range(4)]

    storage.append(ADA, turn(*said(*large)))

    assert contents(storage, ADA) == large
    assert client.get_default_database()["memori_journal"].find_one() is None


def test_a_lone_surrogate_is_refused_and_nul_is_kept(url, opened) -> None:
    storage = opened(url)

    with pytest.raises(StorageError, match="surrogate"):
        storage.append(ADA, turn(Message("user", "\ud800")))
    storage.append(ADA, turn(Message("user", "a\x00b", payload={"$set": {"a.b": 1, "": None}})))

    assert contents(storage, ADA) == ["a\x00b"]
    assert storage.messages(ADA)[0].message.payload == {"$set": {"a.b": 1, "": None}}


def test_terms_that_look_like_operators_are_only_words(url, opened) -> None:
    storage = opened(url)
    storage.apply(ADA, FactChanges((new_fact("pays $where and $$ROOT"), new_fact("other"))), expected=None, now=NOW)

    assert storage.search(ADA, ["$terms", "$$ROOT"], limit=5) == []
    assert len(storage.search(ADA, terms("pays $where"), limit=5)) == 1


class Upside:
    """A codec whose text cannot be read as it is stored."""

    def encode(self, text: str) -> str:
        return text[::-1] + "!"

    def decode(self, stored: str) -> str:
        return stored[-2::-1]

    def fingerprint(self, folded: str) -> str:
        return f"{hash(folded):x}"


def test_nothing_readable_is_stored_under_a_codec_and_words_find_it_all_the_same(url, client, opened) -> None:
    storage = opened(url, codec=Upside())
    storage.append(ADA, turn(Message("user", "confidential", name="Confidant", payload={"k": "confidential"})))
    storage.apply(ADA, FactChanges((new_fact("confidential tea", speaker="Confidant"),)), expected=None, now=NOW)
    storage.write_items(ADA, [ItemWrite(("confidential",), "confidential", {"v": "confidential"})], now=NOW)

    stored = client.get_default_database()
    everything = [str(row) for name in stored.list_collection_names() for row in stored[name].find()]
    assert "onfid" not in "".join(everything)
    assert len(storage.search(ADA, terms("confidential"), limit=5)) == 1
    assert contents(storage, ADA) == ["confidential"]


class Locked(Upside):
    """A codec that has lost the key to one text."""

    def decode(self, stored: str) -> str:
        text = super().decode(stored)
        if text == "locked":
            raise ValueError("no key")
        return text


def test_messages_that_cannot_be_decoded_hold_up_no_other_job(url, opened) -> None:
    storage = opened(url, codec=Locked())
    storage.append(ADA, turn(Message("user", "locked")))
    storage.append(BOB, turn(Message("user", "open")))

    jobs = {job.attribution.entity_id: job for job in storage.lease(limit=5, seconds=30, now=NOW)}

    assert str(jobs["ada"].unreadable) == "no key"
    assert jobs["ada"].messages == ()
    assert [one.message.content for one in jobs["bob"].messages] == ["open"]


# cost and durability


def test_searching_reads_only_the_entitys_own_facts(url, client, opened) -> None:
    storage = opened(url)
    for who in (ADA, BOB, *(Attribution(f"other {n}", namespace="conformance") for n in range(5))):
        facts = tuple(new_fact(f"likes tea number {n}") for n in range(20))
        storage.apply(who, FactChanges(facts, space=SPACE), expected=None, now=NOW)
    where = {"entity_id": client.get_default_database()["memori_entity"].find_one({"external_id": "ada"})["_id"]}
    asked = {"find": "memori_entity_fact", "filter": {**where, "terms": {"$in": terms("tea")}}}

    done = client.get_default_database().command("explain", asked, verbosity="executionStats")["executionStats"]

    assert len(storage.search(ADA, terms("tea"), limit=100)) == 20
    assert done["totalDocsExamined"] == 20


class Concerns(CommandListener):
    """What is asked of the server when it is written to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def started(self, event: Any) -> None:
        writing = event.command_name in ("insert", "update", "delete", "findAndModify", "commitTransaction")
        if writing and event.command.get("autocommit") is None:
            self.asked.append((event.command_name, event.command.get("writeConcern")))
        if event.command_name == "commitTransaction":
            self.asked.append((event.command_name, event.command.get("writeConcern")))

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


@pytest.mark.parametrize("transactions", [True, False])
def test_every_write_is_journaled_by_a_majority_whatever_the_client_is_set_to(transactions, url) -> None:
    concerns = Concerns()
    with MongoClient[Any](url, w=0, readPreference="secondary", event_listeners=[concerns]) as client:
        storage = MongoStorage(client, StorageOptions(extra={"transactions": transactions}))
        storage.build()
        concerns.asked.clear()
        storage.append(ADA, turn(*said("a")))
        (job,) = storage.lease(limit=1, seconds=9, now=NOW)
        storage.complete(job, FactChanges((new_fact("tea"),), space=SPACE), expected=storage.state(ADA), now=NOW)
        storage.erase(ADA)

    assert concerns.asked
    assert {(one["w"], one["j"]) for _, one in concerns.asked} == {("majority", True)}
    assert transactions == any(name == "commitTransaction" for name, _ in concerns.asked)


FORK = """
import os, sys
from memori.conformance.samples import ADA, contents, said, turn
from memori.storage.base import StorageOptions
from memori.storage.mongodb.storage import MongoStorage

storage = MongoStorage(sys.argv[1], StorageOptions())
storage.append(ADA, turn(*said("parent"), resent=0))
child = os.fork()
if child == 0:
    storage.after_fork()
    storage.append(ADA, turn(*said("child"), resent=0))
    storage.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
storage.append(ADA, turn(*said("parent again"), resent=0))
print(contents(storage, ADA))
storage.close()
"""


def test_a_forked_child_opens_a_client_of_its_own(url) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, url], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "['parent', 'child', 'parent again']", done.stderr


def test_the_examples_of_the_page_run(url, tmp_path) -> None:
    page = (Path(__file__).parents[3] / "docs/mongodb.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert code.count("mongodb://localhost:27017/app") == 4
    script = tmp_path / "page.py"
    script.write_text(code.replace("mongodb://localhost:27017/app", url), "utf-8")

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)

    assert done.stdout.splitlines() == ["['I drink oolong tea']", url, "1", "1"], done.stderr
