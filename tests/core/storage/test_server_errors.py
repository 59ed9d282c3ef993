"""What a server refuses becomes an error that says what to do, without a password, and leaves no half-written turn."""

import threading
import traceback
from datetime import timedelta

import pytest
from memori import Attribution, Memori
from memori.conformance.samples import ADA, NOW, SPACE, contents, new_fact, said, texts, turn
from memori.errors import (
    MissingDependencyError,
    SchemaError,
    StorageError,
    StorageLockedError,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnknownConnectionError,
)
from memori.model import Message, Triple
from memori.storage.records import FactChanges, StorageOptions
from memori.storage.sql.schema import metadata
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.core.storage.backends import SERVERS, empty_database, server

PASSWORD = "hunter2"
READER = "memori_reader"


@pytest.fixture(params=SERVERS)
def backend(request):
    return request.param


@pytest.fixture
def url(backend, tmp_path):
    with empty_database(backend, tmp_path) as made:
        yield make_url(made)


@pytest.fixture
def storage(url):
    opened = SQLStorage(url, StorageOptions(busy_timeout=1))
    yield opened
    opened.close()


@pytest.fixture
def reader(backend, url):
    """The URL of a user who may only read, with a password that the server checks."""
    running = server(backend)
    if backend == "mariadb":
        running.execute(
            f"CREATE OR REPLACE USER {READER} IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT ON {url.database}.* TO {READER}",
        )
    else:
        running.execute(
            f"DO $$ BEGIN CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )
        grant = f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {READER}"
        running.execute(grant, database=url.render_as_string(hide_password=False))
        _ask_for_passwords(running)
    return url.set(username=READER, password=PASSWORD)


def _ask_for_passwords(running):
    """The embedded server trusts everybody; not this user."""
    ((path,),) = running.execute("SHOW hba_file")
    rule = f"local all {READER} scram-sha-256\nhost all {READER} all scram-sha-256\n"
    with open(path, "r+", encoding="utf-8") as file:
        rules = file.read()
        if rule not in rules:
            file.seek(0)
            file.write(rule + rules)
    running.execute("SELECT pg_reload_conf()")


def refused(storage, kind, match):
    """What is told when a turn cannot be stored; nothing in the chain of causes shows a password."""
    try:
        with pytest.raises(kind, match=match) as caught:
            storage.append(ADA, turn(*said("new words")))
    finally:
        storage.close()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_wrong_password(reader):
    shown = refused(
        SQLStorage(reader.set(password=f"not {PASSWORD}"), StorageOptions()), StorageUnavailableError, "is wrong"
    )

    assert f"{READER}:***@" in shown


def test_a_host_that_does_not_exist(url):
    nowhere = url.set(host="no-such-host.invalid", password=PASSWORD, query={})

    assert "no-such-host.invalid" in refused(
        SQLStorage(nowhere, StorageOptions()), StorageUnavailableError, "is running and can be reached"
    )


def test_a_port_where_nothing_answers(url):
    closed = url.set(host="127.0.0.1", port=1, password=PASSWORD, query={})

    refused(SQLStorage(closed, StorageOptions()), StorageUnavailableError, "Connection refused")


def test_a_database_that_does_not_exist(url):
    missing = SQLStorage(url.set(database="nothing_here"), StorageOptions())

    assert "nothing_here" in refused(missing, StorageUnavailableError, "makes tables, not databases")


def test_a_user_who_may_only_read(storage, reader):
    refused(SQLStorage(reader, StorageOptions()), StorageReadOnlyError, "needs to write")

    storage.append(ADA, turn(*said("old words")))
    storage.apply(ADA, FactChanges((new_fact("likes tea"),)), expected=None, now=NOW)
    reading = SQLStorage(reader, StorageOptions())

    assert contents(reading, ADA) == ["old words"]
    assert texts(reading, ADA) == ["likes tea"]
    assert len(reading.search(ADA, ["tea"], limit=5)) == 1
    refused(reading, StorageReadOnlyError, "needs to write")
    assert contents(storage, ADA) == ["old words"]


def test_tables_that_vanished(storage, url):
    storage.append(ADA, turn(*said("a")))
    _execute(url, "DROP TABLE memori_augmentation_job")

    with pytest.raises(SchemaError, match=r"memori\.config\.storage\.build\(\)"):
        storage.append(ADA, turn(*said("a", "b")))

    assert contents(storage, ADA) == ["a"]


def test_a_row_that_somebody_else_keeps_locked(storage, url):
    """The wait ends after busy_timeout, and the turn is stored when it is tried again."""
    storage.append(ADA, turn(*said("a")))
    engine = create_engine(url)
    with engine.connect() as other:
        other.exec_driver_sql("SELECT * FROM memori_session FOR UPDATE")
        with pytest.raises(StorageLockedError, match="holds the database's lock"):
            storage.append(ADA, turn(*said("a", "b")))
    engine.dispose()

    assert contents(storage, ADA) == ["a"]
    storage.append(ADA, turn(*said("a", "b")))
    assert contents(storage, ADA) == ["a", "b"]


def test_deadlocks_are_run_again(storage):
    """Two entities' rows are locked in one order by some threads and in the other by the rest."""
    bob = Attribution("bob", "bot", "s1", namespace="conformance")
    for who in (ADA, bob):
        storage.append(who, turn(*said("a")))
    met = threading.Barrier(2)
    attempts, done = [], []

    def lock_both(first, second):
        def operation(connection):
            attempts.append(first)
            connection.exec_driver_sql(f"SELECT id FROM memori_session WHERE id = '{first}' FOR UPDATE").all()
            if len(attempts) <= 2:
                met.wait(10)
            connection.exec_driver_sql(f"SELECT id FROM memori_session WHERE id = '{second}' FOR UPDATE").all()
            done.append(first)

        return operation

    patient = SQLStorage(storage.connection, StorageOptions(busy_timeout=30))
    patient.build()
    with patient._read() as connection:
        one, two = connection.exec_driver_sql("SELECT id FROM memori_session").scalars().all()
    threads = [
        threading.Thread(target=patient._database.run, args=(lock_both(*order),)) for order in ((one, two), (two, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    patient.close()

    # The victim may be back before the other has ended, and be the victim again.
    assert len(attempts) >= 3
    assert sorted(done) == sorted([one, two])


def test_erasing_while_writing_leaves_no_orphan(url):
    """A parent row that goes away in between makes the write begin again: nothing fails, nothing is half there."""
    patient = SQLStorage(url, StorageOptions())
    failures = []

    def write(number):
        who = Attribution("ada", "bot", f"s{number}", namespace="conformance")
        try:
            for n in range(8):
                patient.append(who, turn(*said(f"{number}.{n}"), resent=0))
                fact = new_fact(f"fact {number}.{n}")
                patient.apply(who, FactChanges((fact,), space=SPACE), expected=None, now=NOW + timedelta(seconds=n))
        except Exception as error:  # noqa: BLE001 - collected for the assertion
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        patient.erase(ADA)
    for thread in threads:
        thread.join()
    patient.erase(ADA)

    assert failures == []
    engine = create_engine(url)
    with engine.connect() as connection:
        for table in metadata.tables.values():
            if "entity_id" in table.c:
                assert connection.execute(select(func.count()).select_from(table)).scalar() == 0, table.name
    engine.dispose()
    patient.close()


def test_a_server_that_went_away_and_came_back(storage, backend, url):
    """Every pooled connection is cut, as by a restart: the next call finds out by itself."""
    storage.append(ADA, turn(*said("a")))
    _cut_connections(backend, url)

    storage.append(ADA, turn(*said("a", "b")))

    assert contents(storage, ADA) == ["a", "b"]


def test_a_connection_cut_within_a_turn_writes_none_of_it(storage, backend, url):
    storage.append(ADA, turn(*said("a")))
    engine = storage._database._engine

    @event.listens_for(engine, "before_cursor_execute")
    def cut(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO memori_augmentation_job"):
            _cut_connections(backend, url)

    with pytest.raises(StorageUnavailableError, match="is running and can be reached"):
        storage.append(ADA, turn(*said("a", "b")))
    event.remove(engine, "before_cursor_execute", cut)

    assert contents(storage, ADA) == ["a"]
    assert len(storage.open_jobs(ADA)) == 1
    storage.append(ADA, turn(*said("a", "b")))
    assert contents(storage, ADA) == ["a", "b"]


def test_a_nul_that_came_this_far_stores_nothing_or_comes_back_whole(backend, storage):
    """The facade replaces it before; whoever uses a storage directly is told."""
    messages = turn(Message("user", "fine"), Message("user", "a\x00b"))
    if backend == "mariadb":
        storage.append(ADA, messages)
        assert contents(storage, ADA) == ["fine", "a\x00b"]
        return

    with pytest.raises(StorageError, match="NUL"):
        storage.append(ADA, messages)

    assert contents(storage, ADA) == []


def test_a_lone_surrogate_stores_nothing(storage):
    with pytest.raises(StorageError, match="lone surrogate"):
        storage.append(ADA, turn(Message("user", "fine"), Message("user", "\ud800")))

    assert contents(storage, ADA) == []


def test_a_text_larger_than_the_server_takes(backend, storage):
    text = "x" * 17_000_000
    if backend == "postgresql":
        storage.append(ADA, turn(Message("user", text)))
        assert contents(storage, ADA) == [text]
        return

    with pytest.raises(StorageError, match="raise max_allowed_packet"):
        storage.append(ADA, turn(Message("user", text)))

    assert contents(storage, ADA) == []
    storage.append(ADA, turn(Message("user", "shorter")))
    assert contents(storage, ADA) == ["shorter"]


def test_a_pool_that_is_used_up(url):
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    storage = SQLStorage(engine, StorageOptions())
    storage.build()

    with engine.connect(), pytest.raises(StorageUnavailableError, match="Raise pool_size"):
        storage.append(ADA, turn(*said("a")))

    storage.append(ADA, turn(*said("a")))
    engine.dispose()


def test_ids_that_a_database_would_fold_are_different_tenants(storage):
    ids = [
        "ada",
        "Ada",
        "ada ",
        " ada",
        "áda",
        "a\u0301da",
        "ådä",
        "ADA",
        "ada\t",
        "ａｄａ",
        "ada\u200b",
        "ß",
        "ss",
        "İ",
        "i",
    ]
    for number, entity in enumerate(ids):
        for other in ids[:3]:
            who = Attribution(entity, other, other, namespace=other)
            storage.append(who, turn(Message("user", f"{number} {other}", id="m "), Message("user", "x", id="m")))
            storage.apply(who, FactChanges((new_fact("secret", slot=f"{other}|is"),)), expected=None, now=NOW)

    for number, entity in enumerate(ids):
        for other in ids[:3]:
            who = Attribution(entity, other, other, namespace=other)
            assert contents(storage, who) == [f"{number} {other}", "x"]
            assert len(storage.facts(who)) == 1
            assert storage.facts(who, slots=[f"{other}|is "]) == []


def test_conversations_that_a_database_would_fold_are_two(storage):
    for name in ("c", "c ", "C"):
        storage.append(ADA, turn(Message("user", f"in {name!r}"), conversation_id=name))

    assert [m.message.content for m in storage.messages(ADA, conversation_id="c ")] == ["in 'c '"]
    assert len(storage.conversations(ADA)) == 3


def test_ids_of_every_length_fit(storage):
    longest = "ü" * 255
    who = Attribution(longest, longest, longest, namespace=longest)

    storage.append(who, turn(Message("user", "hello", id=longest), conversation_id=longest))

    assert contents(storage, who) == ["hello"]
    triple = Triple("S" * 5000, "p" * 5000, "o" * 5000, "t" * 300, "")
    fact = new_fact("x", slot="s" * 1000)
    storage.apply(
        who, FactChanges((type(fact)(fact.fact, "x", fact.fingerprint, triples=(triple,)),)), expected=None, now=NOW
    )
    assert storage.triples(who)[0][1].subject == triple.subject


class TestWhatCanBeOpened:
    """All that leads to an Engine, and what is said of the rest."""

    def test_engines_sessions_connections_and_their_factories(self, url):
        engine = create_engine(url)
        makers = sessionmaker(engine)
        for number, given in enumerate(
            [
                url,
                engine,
                makers,
                scoped_session(makers),
                lambda: Session(engine),
                engine.connect,
                lambda: engine,
            ]
        ):
            storage = SQLStorage(given, StorageOptions())
            storage.append(ADA, turn(*said(*map(str, range(number + 1)))))
            storage.close()
        storage = SQLStorage(engine, StorageOptions())
        assert contents(storage, ADA) == [str(n) for n in range(7)]
        assert engine.pool.checkedout() == 0
        engine.dispose()

    @pytest.mark.parametrize("level", ["AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ"])
    def test_an_engine_of_any_isolation_level_stores_whole_turns(self, url, level):
        engine = create_engine(url, isolation_level=level)
        storage = SQLStorage(engine, StorageOptions())
        storage.append(ADA, turn(*said("a")))
        _execute(url, "DROP TABLE memori_augmentation_job")

        with pytest.raises(SchemaError):
            storage.append(ADA, turn(*said("a", "b")))

        assert contents(storage, ADA) == ["a"]
        engine.dispose()

    def test_asynchronous_ones_are_told_what_to_pass(self, backend, url):
        pytest.importorskip("aiosqlite", reason="pip install aiosqlite")
        engine = create_async_engine("sqlite+aiosqlite:///x.db")
        synchronous = "sqlite:///x.db"
        for given in (engine, async_sessionmaker(engine)(), engine.sync_engine, "sqlite+aiosqlite:///x.db"):
            with pytest.raises(UnknownConnectionError, match="is asynchronous") as caught:
                SQLStorage(given, StorageOptions())
        assert synchronous in str(caught.value)

    @pytest.mark.parametrize("given", [42, object(), lambda: 42, lambda: None, ["sqlite://"]])
    def test_anything_else_is_told_what_there_is(self, given):
        with pytest.raises(UnknownConnectionError, match="Pass a database URL, an Engine, a sessionmaker"):
            SQLStorage(given, StorageOptions())

    def test_an_unbound_session(self):
        with pytest.raises(UnknownConnectionError, match=r"sessionmaker\(engine\)"):
            SQLStorage(sessionmaker(), StorageOptions())

    def test_a_password_that_breaks_the_url(self):
        with pytest.raises(UnknownConnectionError, match="percent form") as caught:
            SQLStorage(f"postgresql://ada:{PASSWORD}@host:port:1/name", StorageOptions())
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))

    def test_a_driver_that_is_not_installed(self):
        with pytest.raises(MissingDependencyError, match=r"pip install 'memori-core\[postgresql\]'") as caught:
            SQLStorage(f"postgresql+nosuchdriver://ada:{PASSWORD}@host/name", StorageOptions())
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))

    def test_short_urls_reach_the_facade(self, url):
        for scheme in {"postgresql": ["postgres", "postgresql"], "mariadb": ["mysql", "mariadb", "tidb", "oceanbase"]}[
            url.get_backend_name()
        ]:
            with Memori(
                url.set(drivername=scheme).render_as_string(hide_password=False), embedder="hashing", extractor="none"
            ) as memori:
                memori.attribution(scheme).remember("drinks tea")
                assert [one.text for one in memori.recall("tea")] == ["drinks tea"]


def _execute(url, *statements):
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def _cut_connections(backend, url):
    running = server(backend)
    if backend == "postgresql":
        running.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{url.database}'"
        )
        return
    rows = running.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{url.database}'")
    running.execute(*(f"KILL {row[0]}" for row in rows))


@pytest.mark.parametrize("wrong", [0, -1, True, "20", 2.0])
def test_a_pool_size_that_is_none_is_refused_at_once(wrong):
    with pytest.raises((TypeError, ValueError), match="pool_size must be"):
        Memori("postgresql://localhost/memori", pool_size=wrong)


def test_the_pool_is_as_large_as_asked_for_and_checks_its_connections():
    with Memori("postgresql://localhost/memori", pool_size=3) as memori:
        pool = memori._storage._open(memori._storage.connection, memori._storage.options)._engine.pool

    assert pool.size() == 3
    assert pool._pre_ping
