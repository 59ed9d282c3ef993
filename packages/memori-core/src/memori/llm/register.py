"""Put memory around the methods of LLM clients, and take it away again."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar

import wrapt

from ..errors import ConfigurationError, UnknownClientError
from ..hookspecs import Provider
from ..model import Attribution
from ..process import on_fork
from ..structured import StructuredModel
from .base import Adapter, Inject, Memory, Method
from .capture import Capture, Layer, Speaker
from .inject import BlockCache, Recaller
from .listener import Listener
from .placing import has_own, place, remove
from .record import Recorder
from .threads import Threads

ParentT = TypeVar("ParentT")

_PROXY: type[Any] = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
_patching = threading.Lock()


def _after_fork() -> None:
    # The lock may have been held by a thread that the child does not have.
    global _patching
    _patching = threading.Lock()


on_fork(_after_fork)


class LLMRegistry(Generic[ParentT]):
    """The clients registered with one Memori object: `memori.llm`.

    `adapters` are the known providers by name; `load` imports what one points to. `recall_budget` and
    `record_budget` are the most seconds that a call waits for memory before it goes on without.
    """

    def __init__(
        self,
        memory: Memory,
        adapters: Mapping[str, Provider],
        load: Callable[[Provider], type[Adapter]],
        parent: ParentT,
        *,
        inject: Inject = "user",
        recall_budget: float = 2.0,
        record_budget: float = 2.0,
    ) -> None:
        if inject not in ("user", "system"):
            raise ValueError(f'inject must be "user" or "system", got {inject!r}')
        self._adapters = dict(adapters)
        self._load = load
        self._parent = parent
        threads = Threads()
        self._capture = Capture(
            memory,
            Recaller(memory, BlockCache(), recall_budget, threads),
            Recorder(memory, record_budget, threads),
            inject,
        )
        self._closed = False
        self._latest: Callable[[], Any] | None = None
        on_fork(self._after_fork)
        # Also when the interpreter exits: a script may leave with a stream half read.
        self._end_streams = weakref.finalize(self, _end_all, self._capture.listening)

    def register(self, client: Any, *, attribution: Speaker = None) -> ParentT:
        """Capture what goes through a client, and answer it with what is known. Returns the Memori object.

        `attribution`: who speaks through this client, or a callable asked at every call, in the caller's context;
        None means whoever `memori.attribution(...)` or `memori.scope(...)` named there. Servers that reuse threads
        pass it. Registering again changes nothing but a given attribution. Raises `UnknownClientError`.
        """
        if not (attribution is None or isinstance(attribution, Attribution) or callable(attribution)):
            raise TypeError(
                f"attribution must be an Attribution or a callable that returns one, got "
                f"{type(attribution).__name__}. Pass Attribution(entity_id=...)."
            )
        adapter, methods = self._recognise(client)
        layer = Layer(self._capture, type(client).__name__, speaker=attribution)
        with _patching:
            self._wrap(adapter.holder(client), adapter, methods, layer)
        self._latest = weakref.ref(client)
        return self._parent

    def enable(self) -> ParentT:
        """Capture every call through LiteLLM in this process. Returns the Memori object."""
        return self.register(self._everything())

    def disable(self) -> ParentT:
        """Let calls through LiteLLM pass as before `enable`. Returns the Memori object."""
        return self.unregister(self._everything())

    def _everything(self) -> Any:
        return self._load(self._adapters["litellm"]).everything

    def structured(self, model: str) -> StructuredModel:
        """What asks a model through the client that was registered last. Raises `ConfigurationError` without one."""
        client = None if self._latest is None else self._latest()
        if client is None:
            raise ConfigurationError(
                "extractor='llm' has no model to ask: register a client (memori.llm.register(client)) and keep it, or "
                "set MEMORI_LLM_BASE_URL."
            )
        if not model:
            raise ConfigurationError("Name the model to ask: Memori(extractor='llm:NAME'), or MEMORI_LLM_MODEL.")
        return self._recognise(client)[0].structured(client, model)

    def unregister(self, client: Any) -> ParentT:
        """Let a client's calls through as before it was registered. Returns the Memori object."""
        adapter, methods = self._recognise(client)
        with _patching:
            for path in (*(method.path for method in methods), *adapter.copies):
                holder, name = _resolve(adapter.holder(client), path)
                wrapper = self._find(holder, name)
                if wrapper is not None:
                    wrapper._self_layer.remove()
                    _unwrap(holder, name, wrapper)
            _forget_views(client, adapter, methods)
        return self._parent

    def close(self) -> None:
        """Record what streams still open have delivered, and let all calls through untouched from now on."""
        self._closed = True
        self._end_streams()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _recognise(self, client: Any) -> tuple[Adapter, tuple[Method, ...]]:
        if isinstance(client, type):
            raise UnknownClientError(
                f"{client.__name__} is a class; register an instance of it: register({client.__name__}(...))."
            )
        if isinstance(client, ModuleType):
            modules: tuple[str, ...] = (f"{client.__name__}.",)
        else:
            modules = tuple(f"{kind.__module__}." for kind in type(client).__mro__)
        for provider in self._adapters.values():
            if any(module.startswith(provider.matches) for module in modules):
                adapter = self._load(provider)()
                # Versions of an SDK differ in what they have.
                methods = tuple(method for method in adapter.methods(client) if _has(client, method.path))
                if methods:
                    return adapter, methods
        raise UnknownClientError(
            f"No LLM adapter recognises {_kind(client)}. "
            f"Known adapters: {self._known()}. Register one of those clients, or install a plugin with an adapter "
            "for this one (see `memori plugins`)."
        )

    def _known(self) -> str:
        known = []
        for name, provider in sorted(self._adapters.items()):
            clients = ", ".join(f"{prefix}*" for prefix in provider.matches)
            known.append(f"{name} for {clients}" + (f" ({provider.install})" if provider.install else ""))
        return "; ".join(known) or "none"

    def _wrap(self, client: Any, adapter: Adapter, methods: tuple[Method, ...], layer: Layer) -> None:
        for method in methods:
            self._wrap_one(client, method.path, layer, functools.partial(_call, layer, method))
        for path in adapter.copies:
            self._wrap_one(client, path, layer, functools.partial(self._copy, layer, adapter))
        _forget_views(client, adapter, methods)

    def _wrap_one(self, client: Any, path: str, layer: Layer, around: Callable[..., Any]) -> None:
        holder, name = _resolve(client, path)
        present = self._find(holder, name)
        if present is not None and present._self_layer.active:
            present._self_layer.speaker = layer.speaker or present._self_layer.speaker
            return
        inherited = not has_own(holder, name)
        place(holder, name, _Wrapper(_attribute(holder, name), around, layer, self, inherited=inherited))

    def _copy(
        self, layer: Layer, adapter: Adapter, function: Callable[..., Any], _: Any, args: Any, kwargs: Any
    ) -> Any:
        copy = function(*args, **kwargs)
        with _patching:
            methods = tuple(method for method in adapter.methods(copy) if _has(copy, method.path))
            self._wrap(copy, adapter, methods, layer.below())
        return copy

    def _find(self, holder: Any, name: str) -> _Wrapper | None:
        """Our wrapper of the attribute, wherever it is among those of others."""
        for wrapper in _chain(_attribute(holder, name)):
            if type(wrapper) is _Wrapper and wrapper._self_registry is self:
                return wrapper
        return None

    def _after_fork(self) -> None:
        # The parent records what its own streams deliver.
        for listener in tuple(self._capture.listening):
            listener.forget()


class _Wrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A wrapped method of a client. Disabled, it is transparent: it may sit where it cannot be taken out.

    `inherited`: the method below it is the class's, so the holder had no attribute of that name.
    """

    def __init__(
        self,
        wrapped: Any,
        around: Callable[..., Any],
        layer: Layer,
        registry: LLMRegistry[Any],
        *,
        inherited: bool,
    ) -> None:
        super().__init__(wrapped, around, enabled=lambda: layer.active and not registry.closed)
        self._self_layer = layer
        self._self_registry = registry
        self._self_inherited = inherited


def _kind(client: Any) -> str:
    if isinstance(client, ModuleType):
        return f"the module {client.__name__}"
    return f"a {type(client).__module__}.{type(client).__qualname__}"


def _end_all(listening: set[Listener]) -> None:
    for listener in tuple(listening):
        listener.end_here()


def _call(layer: Layer, method: Method, function: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    return layer.call(method, function, args, kwargs)


def _resolve(client: Any, path: str) -> tuple[Any, str]:
    """The object that holds the method, and the method's name there."""
    *way, name = path.split(".")
    return functools.reduce(getattr, way, client), name


def _attribute(holder: Any, name: str) -> Any:
    """The attribute; a class's own function, not what the class makes of it."""
    return inspect.getattr_static(holder, name) if isinstance(holder, type) else getattr(holder, name)


def _has(client: Any, path: str) -> bool:
    try:
        return callable(functools.reduce(getattr, path.split("."), client))
    except AttributeError:
        return False


def _forget_views(client: Any, adapter: Adapter, methods: tuple[Method, ...]) -> None:
    """Let cached views of the client be made again, from the methods it has now."""
    for path in {method.path for method in methods}:
        way = path.split(".")[:-1]
        for length in range(len(way) + 1):
            holder = functools.reduce(getattr, way[:length], client)
            for view in adapter.views:
                getattr(holder, "__dict__", {}).pop(view, None)


def _chain(function: Any) -> list[Any]:
    """The function and all it wraps, outermost first."""
    found = [function]
    while hasattr(found[-1], "__wrapped__"):
        found.append(found[-1].__wrapped__)
    return found


def _unwrap(holder: Any, name: str, wrapper: _Wrapper) -> None:
    """Take a wrapper out from where it is; what others put around it stays."""
    chain = _chain(_attribute(holder, name))
    depth = next(index for index, found in enumerate(chain) if found is wrapper)
    outer = chain[depth - 1] if depth else None
    if outer is not None:
        # Inside a plain closure nothing can be replaced: the wrapper stays there, disabled.
        if isinstance(outer, _PROXY):
            outer.__wrapped__ = wrapper.__wrapped__
        if isinstance(outer, _Wrapper):
            outer._self_inherited = wrapper._self_inherited
    elif wrapper._self_inherited:
        remove(holder, name)
    else:
        place(holder, name, wrapper.__wrapped__)
