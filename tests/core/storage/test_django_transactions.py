"""Memory on Django's connection lives and dies with the project's transactions, and never gets in their way."""

import asyncio
import contextlib
import threading
import time

import pytest
from django.core.management import call_command
from django.db import close_old_connections, connections, transaction
from memori import Attribution, Memori, hookimpl
from memori.errors import MemoriError, StorageError, StorageUnavailableError, UnknownFactError

from tests.core.storage import django_here
from tests.core.storage.django_here import Group
from tests.core.storage.servers import mariadb, postgresql
from tests.loopback import LoopbackServer, openai

ADA = Attribution("ada", "bot")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def alias(request, tmp_path):
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            options = django_here.sqlite(tmp_path / "site.db")
        else:
            running = postgresql() if request.param == "postgresql" else mariadb()
            options = django_here.server(stack.enter_context(running.database()))
        alias = stack.enter_context(django_here.database(**options))
        call_command("migrate", database=alias, verbosity=0)
        yield alias


@pytest.fixture
def memori(alias):
    with Memori(connections[alias], embedder="hashing", extractor="none") as made:
        yield made


def said(memori):
    return [one.message.content for one in memori.messages(attribution=ADA)]


def record(memori, text):
    return memori.record([("user", text)], attribution=ADA)


class Rollback(Exception):
    pass


@contextlib.contextmanager
def rolled_back(alias):
    with contextlib.suppress(Rollback), transaction.atomic(using=alias):
        yield
        raise Rollback


def test_a_rolled_back_block_takes_the_memory_with_it(memori, alias):
    with rolled_back(alias):
        Group.objects.using(alias).create(name="rolled back")
        record(memori, "I moved to Berlin")
        memori.remember("likes tea", attribution=ADA)
        assert said(memori) == ["I moved to Berlin"]
        assert [one.text for one in memori.facts(attribution=ADA)] == ["likes tea"]

    assert said(memori) == []
    assert memori.facts(attribution=ADA) == []
    assert memori.augmentation.status().pending == 0
    assert not Group.objects.using(alias).exists()


def test_a_committed_block_keeps_both(memori, alias):
    with transaction.atomic(using=alias):
        Group.objects.using(alias).create(name="kept")
        record(memori, "I moved to Berlin")

    assert memori.augmentation.wait(30)
    assert [one.text for one in memori.recall("Berlin", attribution=ADA)] == ["I moved to Berlin"]
    assert Group.objects.using(alias).count() == 1


def test_an_inner_block_takes_only_its_own(memori, alias):
    with transaction.atomic(using=alias):
        record(memori, "kept")
        with rolled_back(alias):
            record(memori, "rolled back")
        Group.objects.using(alias).create(name="kept")

    assert said(memori) == ["kept"]
    assert Group.objects.using(alias).count() == 1
    assert memori.augmentation.wait(30)
    assert [one.text for one in memori.recall("kept rolled back", attribution=ADA)] == ["kept"]


def test_the_worker_starts_and_observers_hear_when_the_block_has_committed(alias):
    heard = []

    class Observer:
        @hookimpl
        def memori_recorded(self, receipt):
            heard.append(receipt.job_id)

    with Memori(connections[alias], embedder="hashing", extractor="none", plugins=[Observer()]) as memori:
        with transaction.atomic(using=alias):
            kept = record(memori, "kept")
            assert heard == []
        with rolled_back(alias):
            record(memori, "rolled back")

        assert heard == [kept.job_id]
        # A job that was rolled back is not waited for.
        assert memori.augmentation.wait(30)
        assert memori.augmentation.status().done == 1


def test_an_operation_that_fails_leaves_the_block_usable(memori, alias):
    with transaction.atomic(using=alias):
        Group.objects.using(alias).create(name="before")
        with pytest.raises(UnknownFactError):
            memori.forget("no such fact", attribution=ADA)
        with pytest.raises(StorageError):
            _refused_by_the_database(memori)
        Group.objects.using(alias).create(name="after")
        record(memori, "kept")

    assert Group.objects.using(alias).count() == 2
    assert said(memori) == ["kept"]


def _refused_by_the_database(memori):
    """The same row twice, below everything that would have noticed."""
    from memori.storage.sql import schema

    row = {"id": "1" * 32, "embedder": "e", "model": "m", "dimension": 1}
    memori._storage._write(lambda connection: connection.execute(schema.space.insert(), [row, row]))


def test_missing_tables_leave_the_block_usable(alias):
    with (
        django_here.database(**connections[alias].settings_dict) as bare,
        Memori(connections[bare], embedder="hashing", extractor="none", migrate="off") as memori,
    ):
        with connections[bare].cursor() as cursor:
            cursor.execute("DROP TABLE memori_schema_version")
            cursor.execute("ALTER TABLE memori_entity RENAME TO elsewhere")
        with transaction.atomic(using=bare):
            with pytest.raises(StorageError, match="memori_entity"):
                record(memori, "nowhere to go")
            with pytest.raises(StorageError, match="memori_entity"):
                memori.recall("anything", attribution=ADA)
            Group.objects.using(bare).create(name="kept")

        assert Group.objects.using(bare).count() == 1


def test_a_block_that_is_broken_already_is_left_alone(memori, alias):
    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(StorageError, match="transaction"):
            record(memori, "too late")

    assert said(memori) == []


def test_waiting_inside_a_block_does_the_work_there(memori, alias):
    with rolled_back(alias):
        record(memori, "I drink oolong tea")
        assert memori.augmentation.wait(30)
        assert [one.text for one in memori.recall("oolong", attribution=ADA)] == ["I drink oolong tea"]

    assert memori.recall("oolong", attribution=ADA) == []
    assert memori.augmentation.wait(30)


def test_what_was_rolled_back_never_hides_what_came_after(memori, alias):
    """The same revision may stand for two different sets of facts, one of them never committed."""
    memori.remember("likes tea", attribution=ADA)
    with rolled_back(alias):
        memori.remember("plays chess", attribution=ADA)
        assert [one.text for one in memori.recall("chess", attribution=ADA)] == ["plays chess"]

    memori.remember("sails boats", attribution=ADA)

    assert [one.text for one in memori.recall("boats", attribution=ADA)] == ["sails boats"]
    assert memori.recall("chess", attribution=ADA) == []


def test_what_an_inner_block_rolled_back_never_hides_what_came_after(memori, alias):
    with transaction.atomic(using=alias):
        memori.remember("likes tea", attribution=ADA)
        with rolled_back(alias):
            memori.remember("plays chess", attribution=ADA)
            assert [one.text for one in memori.recall("chess", attribution=ADA)] == ["plays chess"]
        memori.remember("sails boats", attribution=ADA)
        assert [one.text for one in memori.recall("boats", attribution=ADA)] == ["sails boats"]

    assert [one.text for one in memori.recall("boats", attribution=ADA)] == ["sails boats"]
    assert memori.recall("chess", attribution=ADA) == []


def test_a_captured_call_joins_the_block_of_its_view(memori, alias):
    with LoopbackServer() as server, openai(server) as client:
        memori.llm.register(client, attribution=ADA)
        with rolled_back(alias):
            _ask(client, "rolled back")
            assert said(memori)[0] == "rolled back"
        assert said(memori) == []

        with transaction.atomic(using=alias):
            _ask(client, "kept")
        _ask(client, "outside of any block")

        assert [text for text in said(memori) if text != "Understood."] == ["kept", "outside of any block"]


def _ask(client, text):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])


def test_transactions_managed_by_hand_are_joined_too(memori, alias):
    transaction.set_autocommit(False, using=alias)
    try:
        memori.remember("likes tea", attribution=ADA)
        assert [one.text for one in memori.recall("tea", attribution=ADA)] == ["likes tea"]
        transaction.rollback(using=alias)
        assert memori.facts(attribution=ADA) == []
        memori.remember("sails boats", attribution=ADA)
        assert [one.text for one in memori.recall("boats", attribution=ADA)] == ["sails boats"]
        transaction.commit(using=alias)
    finally:
        transaction.rollback(using=alias)
        transaction.set_autocommit(True, using=alias)

    assert [one.text for one in memori.facts(attribution=ADA)] == ["sails boats"]


def test_tables_made_inside_a_block_are_made_again_when_it_is_rolled_back(tmp_path, settings_without_the_app):
    options = django_here.sqlite(tmp_path / "bare.db")
    with (
        django_here.database(**options) as bare,
        Memori(connections[bare], embedder="hashing", extractor="none") as memori,
    ):
        with rolled_back(bare):
            record(memori, "rolled back with the tables")

        record(memori, "kept")

        assert said(memori) == ["kept"]


@pytest.fixture
def settings_without_the_app():
    from django.test import modify_settings

    with modify_settings(INSTALLED_APPS={"remove": "memori.storage.django"}):
        yield


# what Django keeps on its connection


def test_the_connection_stays_as_django_made_it(memori, alias):
    Group.objects.using(alias).create(id=17, name="seventeen")
    wrapper = connections[alias]
    before = _handlers(wrapper)

    for number in range(3):
        record(memori, f"line {number}")
        memori.recall("line", attribution=ADA)

    assert _handlers(wrapper) == before
    assert wrapper.get_autocommit()
    # SQLAlchemy's REGEXP refuses a number; Django's does not.
    assert Group.objects.using(alias).filter(id__regex="^1").count() == 1


def _handlers(wrapper):
    return len(wrapper.connection._notice_handlers) if wrapper.vendor == "postgresql" else 0


def test_threads_of_ours_leave_no_connection_behind(memori, alias):
    for number in range(3):
        record(memori, f"line {number}")
    assert memori.augmentation.wait(30)
    memori.executor.submit(lambda: said(memori)).result(30)

    if connections[alias].vendor == "postgresql":
        _eventually(lambda: _others(alias) == 0)
    memori.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("memori_")]


def _others(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


def _eventually(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("alias", ["postgresql"], indirect=True)
def test_a_connection_that_broke_is_replaced_at_the_next_request(memori, alias):
    record(memori, "before")
    wrapper = connections[alias]
    wrapper.close_at = None  # CONN_MAX_AGE: only a reason closes it
    memori.executor.submit(_terminate, alias, wrapper.connection.info.backend_pid).result(30)

    with pytest.raises(StorageUnavailableError):
        record(memori, "lost")
    close_old_connections()

    record(memori, "after")
    assert said(memori) == ["before", "after"]


def _terminate(alias, pid):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


def test_threads_write_beside_each_other_and_beside_the_project(memori, alias):
    failed = []

    def work(number):
        who = Attribution(f"user-{number}", "bot")
        try:
            for turn in range(4):
                memori.record([("user", f"{number} says {turn}")], attribution=who)
                memori.recall("says", attribution=who)
                Group.objects.using(alias).create(name=f"{number}-{turn}")
        except Exception as error:  # noqa: BLE001 - reported below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert memori.augmentation.wait(60)
    assert Group.objects.using(alias).count() == 24
    for number in range(6):
        stored = memori.messages(attribution=Attribution(f"user-{number}", "bot"))
        assert sorted(one.message.content for one in stored) == [f"{number} says {turn}" for turn in range(4)]


# event loops


async def test_the_twins_work_where_djangos_queries_work(memori, alias):
    from asgiref.sync import sync_to_async

    await memori.arecord([("user", "I drink oolong tea")], attribution=ADA)
    assert await sync_to_async(memori.augmentation.wait)(30)

    (found, *_), group = await asyncio.gather(
        memori.arecall("oolong", attribution=ADA), Group.objects.using(alias).acreate(name="async")
    )

    assert found.text == "I drink oolong tea"
    assert group.name == "async"
    await sync_to_async(connections.close_all)()


async def test_the_twins_join_a_transaction_around_the_loop(memori, alias):
    from asgiref.sync import async_to_sync, sync_to_async

    async def handle():
        await memori.arecord([("user", "rolled back")], attribution=ADA)
        assert [one.message.content for one in await memori.amessages(attribution=ADA)] == ["rolled back"]

    def view():
        with rolled_back(alias):
            async_to_sync(handle)()
        left = said(memori)
        connections.close_all()
        return left

    assert await sync_to_async(view)() == []


# SQLite in memory


def test_sqlite_in_memory_works_in_one_thread():
    options = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    with (
        django_here.database(**options) as alias,
        Memori(connections[alias], embedder="hashing", extractor="none") as memori,
    ):
        call_command("migrate", database=alias, verbosity=0)
        record(memori, "I drink oolong tea")

        assert memori.augmentation.wait(30)
        assert [one.text for one in memori.recall("oolong", attribution=ADA)] == ["I drink oolong tea"]
        assert memori.executor.submit(threading.current_thread).result() is threading.current_thread()


# bad input


def test_what_is_no_connection_of_django_is_named():
    with pytest.raises(MemoriError, match=r'connections\["default"\]'):
        Memori(connections)


def test_missing_tables_name_the_command(tmp_path):
    options = django_here.sqlite(tmp_path / "empty.db")
    with (
        django_here.database(**options) as bare,
        Memori(connections[bare], embedder="hashing", extractor="none") as memori,
        pytest.raises(MemoriError, match=f"manage.py migrate memori --database={bare}"),
    ):
        record(memori, "nowhere to go")


def test_an_unreachable_server_is_named_without_the_password():
    options = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "memory", "USER": "ada", "PASSWORD": "hunter2", "HOST": "127.0.0.1", "PORT": "1",
    }  # fmt: skip
    with (
        django_here.database(**options) as alias,
        Memori(connections[alias], embedder="hashing", extractor="none") as memori,
    ):
        with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1") as raised:
            record(memori, "nowhere to go")
        assert "hunter2" not in f"{raised.value}{raised.value.__cause__}{memori!r}"
