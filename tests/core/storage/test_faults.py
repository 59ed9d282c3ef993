"""What was acknowledged is there afterwards, once, whatever happens to the server, the network, the disk or us."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from memori import Attribution, Message, Receipt
from memori.errors import StorageError, StorageUnavailableError
from memori.storage.records import StorageOptions, Turn
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, event

from tests.core.storage import servers
from tests.core.storage.cutting import When, proxied

WRITERS, MESSAGES = 4, 40
ADA = Attribution("ada", "bot", "one session", "default")
Open = Callable[..., SQLStorage]


@pytest.fixture
def connect() -> Iterator[Open]:
    """Open a storage, closed at the end of the test."""
    opened: list[SQLStorage] = []

    def connect(connection: object) -> SQLStorage:
        opened.append(SQLStorage(connection, StorageOptions(pool_size=WRITERS)))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def said(count: int, *, native_ids: bool = True) -> list[Message]:
    return [Message("user", f"message {n} {'x' * 500}", id=f"id-{n}" if native_ids else None) for n in range(count)]


def record(storage: SQLStorage, messages: Sequence[Message], attribution: Attribution = ADA) -> Receipt:
    return storage.append(attribution, Turn(tuple(messages), resent=len(messages), now=datetime.now(UTC)))


def stored(storage: SQLStorage, attribution: Attribution = ADA) -> list[str]:
    found = storage.messages(attribution)
    assert [one.position for one in found] == list(range(len(found)))
    return [one.message.content for one in found]


def contents(messages: Sequence[Message]) -> list[str]:
    return [one.content for one in messages]


def to_learn_from(storage: SQLStorage) -> list[str]:
    """What the open jobs are about: each stored message, once."""
    jobs = storage.lease(limit=10_000, seconds=60, now=datetime.now(UTC))
    return sorted(one.message.content for job in jobs for one in job.messages)


@pytest.mark.parametrize("start", [servers.start_postgresql, servers.start_mariadb])
def test_a_server_killed_under_load_keeps_every_message_it_acknowledged_once(start, connect) -> None:
    server = start(Path(tempfile.mkdtemp(prefix="memori-", dir="/tmp")))
    with server.database() as url:
        storage = connect(url)
        storage.build()
        acknowledged = [0] * WRITERS
        broken: list[BaseException] = []
        refused: list[StorageError] = []
        deadline = time.monotonic() + 60

        def write(writer: int) -> None:
            """Each message alone, until it was acknowledged: nothing lost is made good by sending it again."""
            try:
                for message in said(MESSAGES):
                    while True:
                        try:
                            record(storage, [message], ADA.with_session(f"session {writer}"))
                            break
                        except StorageError as error:
                            refused.append(error)
                            if time.monotonic() > deadline:
                                raise
                            time.sleep(0.02)
                    acknowledged[writer] += 1
            except BaseException as error:
                broken.append(error)
                raise

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
        for one in writers:
            one.start()
        for share in (0.2, 0.5):
            while sum(acknowledged) < share * WRITERS * MESSAGES and not broken:
                time.sleep(0.005)
            server.kill()
            time.sleep(0.2)
            server.start()
        for one in writers:
            one.join()

        assert broken == []
        assert acknowledged == [MESSAGES] * WRITERS
        assert refused, "nobody noticed that the server was gone"
        for writer in range(WRITERS):
            assert stored(storage, ADA.with_session(f"session {writer}")) == contents(said(MESSAGES))
        assert to_learn_from(storage) == sorted(contents(said(MESSAGES)) * WRITERS)
        storage.close()


@pytest.mark.parametrize("server", [servers.postgresql, servers.mariadb])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("native_ids", [True, False], ids=["native ids", "resent history"])
def test_a_commit_whose_answer_is_lost_counts_once_when_it_is_recorded_again(
    server, when: When, native_ids, connect
) -> None:
    history = said(4, native_ids=native_ids)
    with server().database() as url, proxied(server().engine(url).url) as proxy:
        storage, direct = connect(proxy.url), connect(url)
        record(storage, history[:2])

        proxy.cut(when)
        with pytest.raises(StorageUnavailableError):
            record(storage, history[:3])

        assert not proxy.armed
        assert stored(direct) == contents(history[: 3 if when == "after" else 2])
        assert record(storage, history[:3]).stored == (0 if when == "after" else 1)
        record(storage, history)
        assert stored(direct) == contents(history)
        assert to_learn_from(direct) == sorted(contents(history))
        storage.close()
        direct.close()


def test_a_full_database_keeps_what_it_acknowledged_and_goes_on_when_there_is_room(tmp_path, connect) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    room = [10**6]
    engine = create_engine(url)
    event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count = {room[0]}"))
    storage = connect(engine)
    storage.build()
    engine.dispose()
    room[0] = (tmp_path / "memory.db").stat().st_size // 4096 + 20
    messages = said(200)

    acknowledged = 0

    def record_all() -> None:
        nonlocal acknowledged
        for message in messages:
            record(storage, [message])
            acknowledged += 1

    with pytest.raises(StorageError, match="no room left"):
        record_all()

    assert 0 < acknowledged < len(messages)
    assert stored(storage) == contents(messages[:acknowledged])
    engine.dispose()
    room[0] = 10**6
    for message in messages[acknowledged:]:
        record(storage, [message])
    assert stored(storage) == contents(messages)
    assert to_learn_from(storage) == sorted(contents(messages))
    engine.dispose()


WRITER = """
import resource, sys
from memori.storage.base import StorageOptions
from memori.storage.sql.storage import SQLStorage
from memori.errors import StorageError
from tests.core.storage.test_faults import record, said

storage = SQLStorage(sys.argv[1], StorageOptions())
storage.build()
if limit := int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for number, message in enumerate(said(5000)):
    try:
        record(storage, [message])
    except StorageError as error:
        sys.exit(f"refused: {error}")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def start_writer(url: str, *, limit: int = 0) -> subprocess.Popen[str]:
    """A process that records one message after the other and says which were acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(limit)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def goes_on_after(storage: SQLStorage, acknowledged: int) -> None:
    """All that was acknowledged is there; what was not is there at most once, also when it is recorded again."""
    messages = said(acknowledged + 5)
    found = stored(storage)
    assert found in (contents(messages[:acknowledged]), contents(messages[: acknowledged + 1]))
    for message in messages[acknowledged:]:
        record(storage, [message])
    assert stored(storage) == contents(messages)
    assert to_learn_from(storage) == sorted(contents(messages))


def test_a_disk_that_takes_no_more_loses_nothing_that_was_acknowledged(tmp_path, connect) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"

    out, err = start_writer(url, limit=600_000).communicate(timeout=60)

    assert "refused: sqlite" in err, err
    assert "Traceback" not in err
    assert out
    goes_on_after(connect(url), len(out.splitlines()))


def test_a_writer_killed_under_load_loses_nothing_that_was_acknowledged(tmp_path, connect) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    writer = start_writer(url)
    assert writer.stdout is not None

    lines = list(islice(writer.stdout, 50))
    writer.kill()
    out, err = writer.communicate(timeout=60)

    assert err == ""
    goes_on_after(connect(url), len(lines) + len([line for line in out.splitlines() if line]))
