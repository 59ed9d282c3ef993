"""Get a database from what a user has: a URL, a MongoClient, a Database, or a function that returns one of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri

from ...errors import StorageUnavailableError, UnknownConnectionError
from ..records import StorageOptions
from .layout import Document

DEFAULT_NAME = "memori"
_SCHEME = re.compile(r"^(mongodb(?:\+srv)?)://", re.IGNORECASE)
_SHAPE = (
    "It looks like mongodb://user:password@host:27017/name or mongodb+srv://user:password@cluster.example/name; "
    "special characters in a password are written in percent form: @ as %40, / as %2F."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database with our own options, and whether its client was made here."""

    client: MongoClient[Document]
    database: Database[Document]
    owned: bool


def check(connection: Any) -> None:
    """Refuse what can never be opened, without opening anything. Raises `UnknownConnectionError`."""
    if isinstance(connection, str):
        if connection.lower().startswith("mongodb://"):
            try:
                parse_uri(connection)
            except (InvalidURI, ConfigurationError, ValueError):
                raise UnknownConnectionError(f"The MongoDB URL cannot be read. {_SHAPE}") from None
        elif not _SCHEME.match(connection):
            raise UnknownConnectionError(f"This is not a MongoDB URL. {_SHAPE}")
    elif not isinstance(connection, MongoClient | Database) and not _is_factory(connection):
        raise _unknown(connection, "")


def open_database(connection: Any, options: StorageOptions) -> Opened:
    """Open it, which connects nothing yet. Raises `UnknownConnectionError` saying what to pass."""
    if isinstance(connection, str):
        try:
            return _with(_client(connection, options), options, owned=True)
        except (InvalidURI, ValueError):
            raise UnknownConnectionError(f"The MongoDB URL cannot be read. {_SHAPE}") from None
        except ConfigurationError as error:
            # A mongodb+srv host is looked up here.
            raise StorageUnavailableError(f"{describe(connection)}: {error}. Check the host and the options.") from None
    if isinstance(connection, MongoClient | Database):
        return _with(connection, options, owned=False)
    made = connection()
    if isinstance(made, str):
        return open_database(made, options)
    if not isinstance(made, MongoClient | Database):
        raise _unknown(made, "The function returned ")
    return _with(made, options, owned=True)


def describe(connection: Any) -> str:
    """Where it is, for people: no password, and no options, which may hold secrets too."""
    if isinstance(connection, str):
        scheme, _, rest = connection.partition("://")
        place = rest.partition("?")[0]
        credentials, at, hosts = place.rpartition("@")
        user = f"{credentials.partition(':')[0]}:***@" if at and ":" in credentials else f"{credentials}{at}"
        return f"{scheme}://{user}{hosts}"
    if isinstance(connection, MongoClient | Database):
        client = connection if isinstance(connection, MongoClient) else connection.client
        hosts = ",".join(sorted(f"{host}:{port}" for host, port in client.topology_description.server_descriptions()))
        name = connection.name if isinstance(connection, Database) else _name(client, None)
        return f"mongodb://{hosts}/{name}"
    return f"mongodb, by {getattr(connection, '__qualname__', type(connection).__qualname__)}()"


def _client(url: str, options: StorageOptions) -> MongoClient[Document]:
    settings: dict[str, Any] = {"appname": "memori", "connect": False}
    if "serverselectiontimeoutms" not in url.lower():
        settings["serverSelectionTimeoutMS"] = int(options.busy_timeout * 1000)
    if options.pool_size is not None:
        settings["maxPoolSize"] = options.pool_size
    return MongoClient(url, **settings)


def _with(found: MongoClient[Any] | Database[Any], options: StorageOptions, *, owned: bool) -> Opened:
    """With what our guarantees need, whatever the client is set to: journaled writes, the primary, plain dicts."""
    if isinstance(found, Database):
        client, name = found.client, found.name
    else:
        client, name = found, _name(found, options.extra.get("database"))
    database = client.get_database(
        name,
        codec_options=CodecOptions(document_class=dict),
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("local"),
    )
    return Opened(client, database, owned)


def _name(client: MongoClient[Any], given: str | None) -> str:
    return given or str(client.get_default_database(DEFAULT_NAME).name)


def _is_factory(given: object) -> bool:
    # A Collection can be called too, only to say that it cannot.
    return callable(given) and not type(given).__module__.startswith("pymongo.")


def _unknown(given: object, before: str) -> UnknownConnectionError:
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    wrong = f"{before}{kind}" if before else kind
    asynchronous = " It is asynchronous; Memori calls the database from its own threads." if "async" in kind else ""
    return UnknownConnectionError(
        f"{wrong} is not something MongoDB storage can open.{asynchronous} Pass a mongodb:// URL, a "
        "pymongo.MongoClient, one of its databases, or a function that returns one of these."
    )
