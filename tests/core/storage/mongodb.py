"""Start the MongoDB that storage is tested on: one that greets as a replica set, and one that stands alone.

MEMORI_TEST_MONGODB_URL names a real server instead; then only what that one is gets tested as it is.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

_numbers = count()
_MEMORY = "/dev/shm"


def start(**options: Any) -> Any:
    """A server of one's own, which is stopped by `stop()`."""
    try:
        from secantus import SecantusDBServer  # type: ignore[import-untyped]
    except ImportError:
        pytest.skip("no MongoDB: pip install secantusdb, or set MEMORI_TEST_MONGODB_URL")
    directory = options.setdefault(
        "storage_path", tempfile.mkdtemp(prefix="memori-mongo-", dir=_MEMORY if Path(_MEMORY).is_dir() else None)
    )
    server = SecantusDBServer(**options)
    server.start()
    atexit.register(lambda: shutil.rmtree(directory, ignore_errors=True))
    atexit.register(server.stop)
    return server


@cache
def server(*, alone: bool = False) -> str:
    """The URL of the server of this test run."""
    if given := os.environ.get("MEMORI_TEST_MONGODB_URL"):
        return given
    uri: str = start(replica_set_name=None if alone else "memori").uri
    return uri


@contextmanager
def database(*, alone: bool = False) -> Iterator[str]:
    """The URL of an empty database, dropped at the end."""
    name = f"memori_{os.getpid()}_{next(_numbers)}"
    place, question, options = server(alone=alone).partition("?")
    scheme, _, rest = place.partition("://")
    hosts = rest.partition("/")[0]
    url = f"{scheme}://{hosts}/{name}{question}{options}"
    try:
        yield url
    finally:
        with MongoClient[dict[str, Any]](url) as client:
            client.drop_database(name)


class Killable:
    """A server in a process of its own, on one port and one directory, that can be killed and started again."""

    def __init__(self, directory: Path, *, alone: bool) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [sys.executable, "-m", "secantus", "--port", str(self.port), "--storage-path", str(directory)]
        # It does not wait for the journal when it commits a transaction, whatever it is asked.
        self._command += ["--standalone"] if alone else ["--sync-on-commit"]
        self._running: subprocess.Popen[bytes] | None = None
        self.url = f"mongodb://127.0.0.1:{self.port}/memori"

    def start(self) -> None:
        self._running = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with MongoClient[dict[str, Any]](self.url, serverSelectionTimeoutMS=60_000) as client:
            client.admin.command("ping")

    def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
