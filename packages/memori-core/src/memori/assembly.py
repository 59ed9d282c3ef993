"""Put the parts of one Memori object together from what the user named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .augmentation.extraction.base import Extractor, Host
from .embedding.base import Embedder
from .errors import UnknownConnectionError, UnsupportedError
from .hookspecs import CALLABLE, Provider
from .plugins import Plugins, Seam
from .process import on_fork
from .recall.base import Reranker
from .recall.index.base import IndexServer, SharedIndex, VectorIndex
from .storage.base import Storage
from .storage.deferred import deferred
from .storage.records import StorageOptions

if TYPE_CHECKING:
    from .settings import Settings
    from .structured import StructuredModel

T = TypeVar("T")

_shared: dict[tuple[str, str | None], Any] = {}
_sharing = threading.Lock()


def _after_fork() -> None:
    # The lock may have been held by a thread that the child does not have.
    global _sharing
    _sharing = threading.Lock()


on_fork(_after_fork)


def open_storage(connection: Any, options: StorageOptions, plugins: Plugins) -> Storage:
    """Find the storage that recognises a connection. Raises `UnknownConnectionError` listing what would be."""
    if isinstance(connection, Storage):
        return connection
    providers = plugins.providers("storages")

    def recognised(given: Any) -> type[Storage] | None:
        found = next((provider for provider in providers.values() if _recognises(provider, given)), None)
        return None if found is None else plugins.load(found)

    if (kind := recognised(connection)) is not None:
        return kind(connection, options)
    for provider in providers.values():
        if callable(connection) and CALLABLE in provider.matches:
            return deferred(plugins.load(provider)(connection, options), connection, recognised)
    known = "; ".join(f"{name} ({', '.join(p.matches)})" for name, p in sorted(providers.items()))
    what = f"URLs of scheme {connection.partition(':')[0]!r}" if isinstance(connection, str) else _type_name(connection)
    raise UnknownConnectionError(
        f"No storage recognises {what}. Installed storages and what they take: {known}. "
        "Pass a URL such as sqlite:///memory.db, an SQLAlchemy Engine or sessionmaker, a function that opens a "
        "connection, or install a storage plugin."
    )


def _recognises(provider: Provider, connection: Any) -> bool:
    if isinstance(connection, str):
        scheme = connection.partition(":")[0].partition("+")[0].casefold()
        return "://" in connection and scheme in provider.matches
    modules = [f"{kind.__module__}." for kind in type(connection).__mro__ if kind is not object]
    prefixes = tuple(match for match in provider.matches if match.endswith("."))
    return any(module.startswith(prefixes) for module in modules)


def _type_name(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def check_parts(
    plugins: Plugins, *, embedder: object, extractor: object, vector_index: object, reranker: object
) -> None:
    """Refuse unknown names at once, without importing what the known ones stand for."""
    named: tuple[tuple[Seam, object, str, type], ...] = (
        ("embedders", embedder, "/", Embedder),
        ("extractors", extractor, ":", Extractor),
        ("vector_indexes", vector_index, ":", type),
        ("rerankers", reranker, "/", Reranker),
    )
    for seam, name, separator, kind in named:
        if name is None and seam == "rerankers":
            continue
        if isinstance(name, str):
            plugins.provider(seam, name.partition(separator)[0])
        elif not isinstance(name, kind):
            what = kind.__name__
            raise TypeError(f"Pass the name of an installed {what} or an instance of one, not {_type_name(name)}.")


def embedder(named: str | Embedder, plugins: Plugins) -> Embedder:
    """The embedder of that name ("minilm", "ollama/nomic"), one for the whole process; or the one given."""
    return _part(named, "embedders", "/", plugins)


def extractor(named: str | Extractor, plugins: Plugins) -> Extractor:
    """The extractor of that name ("local", "local:zh_core_web_sm"), one for the whole process; or the one given."""
    return _part(named, "extractors", ":", plugins)


def host(settings: Settings, plugins: Plugins, registered: Callable[[str], StructuredModel]) -> Host:
    """What an extractor may borrow: a chat model, from an address or a client that was registered, and the default."""

    def model(named: str | None) -> StructuredModel:
        name = named or settings.llm_model
        if not settings.llm_base_url:
            return registered(name)
        from .augmentation.extraction.llm.endpoint import Endpoint

        key = settings.llm_api_key.get_secret_value() or None
        return Endpoint(settings.llm_base_url, name, api_key=key, timeout=settings.llm_timeout)

    prices = (settings.llm_input_price, settings.llm_output_price)
    return Host(model, lambda: extractor("local", plugins), prices)


def reranker(named: str | Reranker | None, plugins: Plugins) -> Reranker | None:
    """The reranker of that name ("acme/model"), one for the whole process; the one given; None for none."""
    return None if not named else _part(named, "rerankers", "/", plugins)


def shared_index(
    named: str | type[VectorIndex] | type[SharedIndex], storage: Storage, server: IndexServer, plugins: Plugins
) -> SharedIndex | None:
    """The index that all processes on the storage share; None where each has its own, and then nothing is imported.

    Raises `UnsupportedError` where it cannot work with the storage, `ConfigurationError` for a server that won't do.
    """
    if isinstance(named, str) and not plugins.provider("vector_indexes", named).shared:
        return None
    kind = _index_class(named, plugins)
    if not issubclass(kind, SharedIndex):
        return None
    if getattr(type(storage), "rows", None) is Storage.rows:
        raise UnsupportedError(
            f"{type(storage).__name__} ({storage.display}) does not serve a shared vector index such as {named!r}. "
            'Use vector_index="faiss" there, or an SQL database.'
        )
    made: SharedIndex = kind.connected(storage, server)
    return made


def vector_index(named: str | type[VectorIndex] | type[SharedIndex], plugins: Plugins) -> Callable[[int], VectorIndex]:
    """What makes an empty index of a dimension, in this process."""
    made: Callable[[int], VectorIndex] = _index_class(named, plugins)
    return made


def _index_class(named: str | type[VectorIndex] | type[SharedIndex], plugins: Plugins) -> Any:
    return plugins.load(plugins.provider("vector_indexes", named)) if isinstance(named, str) else named


def _part(named: str | T, seam: Seam, separator: str, plugins: Plugins) -> T:
    if not isinstance(named, str):
        return named
    name, _, model = named.partition(separator)
    provider = plugins.provider(seam, name)
    key = (provider.target, model or None)
    with _sharing:
        if key not in _shared:
            _shared[key] = plugins.load(provider)(model or None)
        made: T = _shared[key]
    return made
