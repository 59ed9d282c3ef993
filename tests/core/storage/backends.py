"""The SQL databases that tests run on, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.core.storage.servers import Server, mariadb, postgresql

SERVERS = ("postgresql", "mariadb")
BACKENDS = ("sqlite", *SERVERS)


def server(name: str) -> Server:
    """The shared server of that name."""
    return {"postgresql": postgresql, "mariadb": mariadb}[name]()


@contextmanager
def empty_database(name: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{directory / 'memory.db'}"
        return
    with server(name).database() as url:
        yield url
