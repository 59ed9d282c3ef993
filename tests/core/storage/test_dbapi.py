"""A function that opens DB-API connections is a storage, whatever it returns and however the connections go back."""

import contextlib
import sqlite3
import sys
import threading
import traceback
from datetime import UTC, datetime

import psycopg
import pymysql
import pytest
from memori import Attribution, Memori
from memori.conformance import ItemConformance, StorageConformance, TranscriptConformance
from memori.errors import MemoriError, StorageError, StorageUnavailableError, UnknownConnectionError
from memori.model import Message
from memori.storage.dbapi import DBAPIStorage
from memori.storage.records import StorageOptions, Turn
from sqlalchemy.engine import make_url

from tests.core.storage.servers import mariadb, postgresql

ADA = Attribution("ada", "bot")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "memory.db")


@pytest.fixture
def dsn():
    with postgresql().database() as url:
        yield make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def mysql():
    with mariadb().database() as url:
        yield make_url(url).translate_connect_args(username="user")


class TestSQLite(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, file):
        return lambda: DBAPIStorage(lambda: sqlite3.connect(file, timeout=20), StorageOptions())


class TestPsycopg(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, dsn):
        return lambda: DBAPIStorage(lambda: psycopg.connect(dsn), StorageOptions(pool_size=8))


class TestBorrowedPsycopg(StorageConformance):
    @pytest.fixture
    def connect(self, dsn):
        @contextlib.contextmanager
        def borrow():
            with psycopg.connect(dsn, autocommit=False) as connection:
                yield connection

        return lambda: DBAPIStorage(borrow, StorageOptions())


class TestPyMySQL(StorageConformance):
    @pytest.fixture
    def connect(self, mysql):
        return lambda: DBAPIStorage(lambda: pymysql.connect(**mysql), StorageOptions(pool_size=8))


def open_memori(factory, **options):
    return Memori(factory, embedder="hashing", extractor="none", **options)


def append(storage, text="hello"):
    return storage.append(ADA, Turn((Message("user", text),), resent=0, now=NOW))


def test_a_factory_is_all_it_takes(file):
    with open_memori(lambda: sqlite3.connect(file)) as memori:
        memori.record([("user", "I drink oolong tea")], attribution=ADA)
        assert memori.augmentation.wait(30)

        (found,) = memori.recall("oolong", attribution=ADA)
        assert found.text == "I drink oolong tea"
    with open_memori(f"sqlite:///{file}") as memori:
        assert len(memori.messages(attribution=ADA)) == 1


def test_nothing_is_opened_before_it_is_needed(file):
    opened = []

    def factory():
        opened.append(1)
        return sqlite3.connect(file)

    with open_memori(factory) as memori:
        assert opened == []
        assert "factory" in repr(memori)
        memori.messages(attribution=ADA)
        assert opened
        assert f"{file}" in repr(memori)


def test_nothing_is_left_open(dsn):
    made = []

    def factory():
        made.append(psycopg.connect(dsn))
        return made[-1]

    with open_memori(factory) as memori:
        memori.record([("user", "hello")], attribution=ADA)
        assert memori.augmentation.wait(30)
        # Pooled: not one for each operation.
        assert len(made) < 10

    assert made
    assert all(connection.closed for connection in made)


def test_a_borrowed_connection_goes_back_after_each_operation_as_it_was(dsn):
    with psycopg.connect(dsn, autocommit=True) as mine:
        lent, returned = [], []

        def factory():
            lent.append(mine)
            return mine, returned.append

        storage = DBAPIStorage(factory, StorageOptions())
        append(storage)

        assert returned == lent
        assert not mine.closed
        assert mine.autocommit
        assert mine.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert mine.execute("SELECT count(*) FROM memori_conversation_message").fetchone() == (1,)
        storage.close()


def test_a_release_without_arguments_is_called_without(file):
    released = []

    def factory():
        connection = sqlite3.connect(file)
        return connection, lambda: (released.append(1), connection.close())

    storage = DBAPIStorage(factory, StorageOptions())
    append(storage)

    assert released
    assert len(storage.messages(ADA)) == 1


def test_a_context_manager_is_left_when_an_operation_fails(file):
    inside = []

    @contextlib.contextmanager
    def factory():
        connection = sqlite3.connect(file)
        inside.append(1)
        try:
            yield connection
        finally:
            inside.pop()
            connection.close()

    storage = DBAPIStorage(factory, StorageOptions(migrate="off"))

    with pytest.raises(StorageError, match="no such table"):
        append(storage)
    assert inside == []


MODES = [{"isolation_level": None}, {"isolation_level": "DEFERRED"}]
if sys.version_info >= (3, 12):
    MODES += [{"autocommit": True}, {"autocommit": False}]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_half_a_turn_is_never_stored_under_autocommit(file, mode):
    storage = DBAPIStorage(lambda: sqlite3.connect(file, **mode), StorageOptions())
    append(storage)

    with pytest.raises(StorageError):
        storage.append(ADA, Turn((Message("user", "one"), Message("user", "\ud800")), resent=0, now=NOW))

    assert [one.message.content for one in storage.messages(ADA)] == ["hello"]


def test_autocommit_of_a_new_connection_is_switched_off(dsn):
    storage = DBAPIStorage(lambda: psycopg.connect(dsn, autocommit=True), StorageOptions())
    append(storage)
    with psycopg.connect(dsn) as other:
        other.execute("ALTER TABLE memori_augmentation_job ADD CHECK (state <> 'pending') NOT VALID")

    with pytest.raises(StorageError):
        append(storage, "its job cannot be stored")

    assert [one.message.content for one in storage.messages(ADA)] == ["hello"]
    storage.close()


def test_eight_threads_use_connections_that_only_their_thread_may_use(file):
    with open_memori(lambda: sqlite3.connect(file, timeout=20)) as memori:
        failed = []

        def work(number):
            who = Attribution(f"user-{number}", "bot")
            try:
                for turn in range(5):
                    memori.record([("user", f"{number} says {turn}")], attribution=who)
                    memori.recall("says", attribution=who)
            except Exception as error:  # noqa: BLE001 - reported below
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failed == []
        for number in range(8):
            said = memori.messages(attribution=Attribution(f"user-{number}", "bot"))
            assert sorted(one.message.content for one in said) == [f"{number} says {turn}" for turn in range(5)]


def test_sqlite_in_memory_is_shared_where_its_connection_may_be():
    with open_memori(lambda: sqlite3.connect(":memory:", check_same_thread=False)) as memori:
        memori.record([("user", "I drink oolong tea")], attribution=ADA)

        assert memori.augmentation.wait(30)
        assert memori.recall("oolong", attribution=ADA)


def test_sqlite_in_memory_of_one_thread_is_refused():
    with (
        open_memori(lambda: sqlite3.connect(":memory:")) as memori,
        pytest.raises(UnknownConnectionError, match=r"'sqlite://'.*check_same_thread=False"),
    ):
        memori.record([("user", "hello")], attribution=ADA)


def test_a_function_that_returns_a_session_is_the_sql_storage(file):
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 20})
    with open_memori(lambda: Session(engine)) as memori:
        memori.record([("user", "hello")], attribution=ADA)
        assert len(memori.messages(attribution=ADA)) == 1
    engine.dispose()


def test_a_database_that_is_gone_does_not_keep_memory_from_closing(file):
    gone = []

    def factory():
        if gone:
            raise RuntimeError("gone")
        return sqlite3.connect(file)

    with open_memori(factory) as memori:
        memori.record([("user", "hello")], attribution=ADA)
        assert memori.augmentation.wait(30)
        gone.append(1)

    with pytest.raises(MemoriError, match="closed"):
        memori.messages(attribution=ADA)


# bad input


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (sqlite3.connect, "cannot be called without arguments|the file|missing"),
        (lambda path: sqlite3.connect(path), "cannot be called without arguments.*path"),
        (psycopg.AsyncConnection.connect, "asynchronous"),
        (object(), "No storage recognises"),
    ],
    ids=["a function of C", "a function with arguments", "an asynchronous function", "nothing of the kind"],
)
def test_what_is_no_factory_is_refused(connection, says):
    with pytest.raises(MemoriError, match=says), open_memori(connection) as memori:
        memori.record([("user", "hello")], attribution=ADA)


def test_a_connection_itself_is_refused_with_the_way_to_pass_it(file):
    with (
        contextlib.closing(sqlite3.connect(file)) as connection,
        pytest.raises(UnknownConnectionError, match=r"one thread at a time.*lambda: sqlite3\.connect"),
    ):
        open_memori(connection)


async def _later():
    return sqlite3.connect(":memory:")


def _closed():
    connection = sqlite3.connect(":memory:")
    connection.close()
    return connection


def _generated():
    yield sqlite3.connect(":memory:")


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda: None, "returned None.*must return a connection"),
        (_closed, "is closed.*new one in each call"),
        (lambda: object(), r"returned a builtins\.object.*Known are sqlite3.*create_engine"),
        (lambda: _later(), "asynchronous"),
        (_generated, "contextlib.contextmanager"),
    ],
    ids=["None", "a closed connection", "something unknown", "a coroutine", "a generator"],
)
def test_what_a_factory_must_not_return_is_named(returned, says):
    with open_memori(returned) as memori, pytest.raises(MemoriError, match=says):
        memori.record([("user", "hello")], attribution=ADA)


def test_a_factory_that_changes_its_mind_is_named(file, dsn):
    kinds = [lambda: sqlite3.connect(file), lambda: psycopg.connect(dsn)]
    storage = DBAPIStorage(lambda: kinds[0](), StorageOptions())
    append(storage)

    kinds.reverse()

    with pytest.raises(UnknownConnectionError, match=r"postgresql\+psycopg, and .* sqlite\+pysqlite before"):
        append(storage)
    kinds.reverse()
    append(storage)


def test_one_connection_for_everybody_is_named(dsn):
    with psycopg.connect(dsn) as mine:
        storage = DBAPIStorage(lambda: (mine, lambda: None), StorageOptions())
        append(storage)
        taken = threading.Event()
        release = threading.Event()

        def hold(connection):
            taken.set()
            release.wait(30)

        holding = threading.Thread(target=storage._write, args=(hold,))
        holding.start()
        assert taken.wait(30)

        with pytest.raises(UnknownConnectionError, match=r"still in use.*several threads"):
            storage.messages(ADA)
        release.set()
        holding.join()


def test_a_factory_that_fails_says_why_and_is_asked_again(file):
    problems = [KeyError("DATABASE_URL")]

    def factory():
        if problems:
            raise problems[0]
        return sqlite3.connect(file)

    with open_memori(factory) as memori:
        with pytest.raises(StorageUnavailableError, match="factory failed: KeyError: 'DATABASE_URL'"):
            memori.record([("user", "hello")], attribution=ADA)
        problems.clear()

        memori.record([("user", "hello")], attribution=ADA)

        problems.append(RuntimeError("the vault is sealed"))
        with pytest.raises(StorageUnavailableError, match="the vault is sealed"):
            memori.record([("user", "again")], attribution=ADA)
        problems.clear()


@pytest.mark.parametrize(
    "info",
    ["bogus postgresql://ada:hunter2@127.0.0.1:1/memory", "host=127.0.0.1 port=1 user=ada password=hunter2 oops"],
)
def test_no_password_is_shown(info, caplog):
    def factory():
        raise RuntimeError(f"cannot connect to {info}")

    with open_memori(factory) as memori, pytest.raises(StorageUnavailableError) as raised:
        memori.record([("user", "hello")], attribution=ADA)

    assert "hunter2" not in "".join(traceback.format_exception(raised.value)) + repr(memori) + caplog.text
    assert "ada" in str(raised.value)


def test_where_memory_lives_is_shown_without_the_password(dsn):
    secret = make_url(dsn).set(password="hunter2").render_as_string(hide_password=False)
    storage = DBAPIStorage(lambda: psycopg.connect(secret), StorageOptions())
    append(storage)

    assert make_url(dsn).database in storage.display
    assert "hunter2" not in storage.display
    storage.close()
