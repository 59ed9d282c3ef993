"""Find plugins, check them, block them, and look providers up."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast

import pluggy

from . import builtin, hookspecs, telemetry
from .errors import (
    BrokenPluginError,
    DuplicateProviderError,
    MissingDependencyError,
    UnknownHookError,
    UnknownProviderError,
)
from .hookspecs import PROJECT, Provider

Seam = Literal["storages", "embedders", "extractors", "vector_indexes", "rerankers", "llm_adapters"]
SEAMS: tuple[Seam, ...] = (
    "storages",
    "embedders",
    "extractors",
    "vector_indexes",
    "rerankers",
    "llm_adapters",
)
logger = logging.getLogger("memori.plugins")
_DISABLE = "MEMORI_DISABLED_PLUGINS"


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin as `memori plugins` lists it."""

    name: str
    distribution: str
    hooks: tuple[str, ...]
    providers: tuple[str, ...]


class Plugins:
    """The plugins of one Memori object. There is no global: each instance finds its own.

    `extra` are plugin objects given in code; `disabled` are names not to load. Raises the `PluginError` that names
    the plugin, its cause, and how to go on without it.
    """

    def __init__(self, extra: Sequence[object] = (), *, disabled: Iterable[str] = ()) -> None:
        self._blocked = {name.strip() for name in [*disabled, *os.environ.get(_DISABLE, "").split(",")] if name.strip()}
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._distributions: dict[str, str] = {"builtin": "memori-core"}
        self._register(builtin, "builtin")
        for entry in entry_points(group=PROJECT):
            self._load(entry)
        for plugin in extra:
            self._register(plugin, getattr(plugin, "__name__", type(plugin).__name__))
        self._providers = {seam: self._collect(seam) for seam in SEAMS}

    def ask(self, hook: str, *, failed: Any = None, **given: Any) -> Iterator[Any]:
        """Ask each plugin by itself, and yield the answers that are not None.

        One that raises is logged and counted under its name; `failed` stands for its answer. The others are asked all
        the same.
        """
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):
            wanted = {name: given[name] for name in implementation.argnames}
            try:
                answer = implementation.function(**wanted)
            except Exception as error:  # noqa: BLE001 - foreign code must cost the user nothing but its answer
                telemetry.failure(logger, f"plugin {implementation.plugin_name!r} in {hook}", error)
                answer = failed
            if answer is not None:
                yield answer

    def answers(self, hook: str) -> bool:
        """Whether any plugin implements the hook, so that what it is given need not be made for nobody."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return bool(caller.get_hookimpls())

    def tell(self, hook: str, **given: Any) -> None:
        """Tell every plugin. One that raises is logged and counted, never felt."""
        for _ in self.ask(hook, **given):
            pass

    @property
    def hook(self) -> pluggy.HookRelay:
        """Call hooks here: `plugins.hook.memori_recorded(receipt=..., attribution=...)`."""
        return self._manager.hook

    @property
    def blocked(self) -> frozenset[str]:
        """Names that were asked not to load."""
        return frozenset(self._blocked)

    def providers(self, seam: Seam) -> dict[str, Provider]:
        """The providers of a seam by name."""
        return dict(self._providers[seam])

    def provider(self, seam: Seam, name: str) -> Provider:
        """The provider of that name. Raises `UnknownProviderError` listing what is installed."""
        try:
            return self._providers[seam][name]
        except KeyError:
            known = ", ".join(sorted(self._providers[seam])) or "none"
            raise UnknownProviderError(
                f"No {_singular(seam)} is named {name!r}. Installed: {known}. "
                f"Install the package that provides it, or see what is loaded with `memori plugins`."
            ) from None

    def load(self, provider: Provider) -> Any:
        """Import what a provider points to. Raises `MissingDependencyError`, `BrokenPluginError`."""
        module_name, _, attribute = provider.target.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            how = f" Install it with: {provider.install}" if provider.install else ""
            raise MissingDependencyError(f"{provider.name!r} needs a package that is missing: {error}.{how}") from error
        except ImportError as error:
            raise BrokenPluginError(f"Provider {provider.name!r} cannot be imported: {error}.") from error
        except AttributeError as error:
            raise BrokenPluginError(
                f"Provider {provider.name!r} names {provider.target!r}, and there is no such class."
            ) from error

    def loaded(self) -> list[LoadedPlugin]:
        """What is loaded, ours first."""
        found = []
        for name, plugin in self._manager.list_name_plugin():
            if plugin is None:
                continue
            hooks = tuple(sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ()))
            offered = tuple(
                sorted(
                    f"{_singular(seam)}:{p.name}" for seam in SEAMS for owner, p in self._offers(seam) if owner == name
                )
            )
            found.append(LoadedPlugin(name, self._distributions.get(name, "given in code"), hooks, offered))
        return found

    def _load(self, entry: EntryPoint) -> None:
        if entry.name in self._blocked:
            return
        try:
            plugin = entry.load()
        except Exception as error:
            raise BrokenPluginError(
                f"Plugin {entry.name!r} ({_origin(entry)}) cannot be imported: {type(error).__name__}: {error}. "
                f"Repair or uninstall it, or go on without it: {_DISABLE}={entry.name}"
            ) from error
        self._distributions[entry.name] = _origin(entry)
        self._register(plugin, entry.name)

    def _register(self, plugin: object, name: str) -> None:
        if name in self._blocked:
            return
        self._check_hooks(plugin, name)
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise BrokenPluginError(
                f"Plugin {name!r} cannot be registered: {error}. Go on without it: {_DISABLE}={name}"
            ) from error

    def _check_hooks(self, plugin: object, name: str) -> None:
        known = {hook for hook, _ in inspect.getmembers(hookspecs) if hook.startswith("memori_")}
        for attribute, value in inspect.getmembers(plugin):
            marked = getattr(value, "memori_impl", None) is not None
            if not callable(value) or (not marked and not attribute.startswith("memori_")):
                continue
            if attribute not in known:
                raise UnknownHookError(
                    f"Plugin {name!r} implements {attribute!r}, which is not a hook. Hooks: {', '.join(sorted(known))}."
                )
            allowed = set(inspect.signature(getattr(hookspecs, attribute)).parameters)
            wrong = set(inspect.signature(value).parameters) - allowed - {"self"}
            if wrong:
                raise UnknownHookError(
                    f"Plugin {name!r}: {attribute} takes {', '.join(sorted(wrong))}; "
                    f"the hook offers {', '.join(sorted(allowed)) or 'no arguments'}."
                )
            if not marked:
                raise UnknownHookError(
                    f"Plugin {name!r}: {attribute} is not marked; decorate it with @memori.hookimpl."
                )

    def _offers(self, seam: Seam) -> list[tuple[str, Provider]]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, f"memori_{seam}")
        offers = []
        for implementation in caller.get_hookimpls():
            try:
                offered = list(cast("Iterable[object]", implementation.function()))
            except Exception as error:
                raise BrokenPluginError(
                    f"Plugin {implementation.plugin_name!r} fails in memori_{seam}: {type(error).__name__}: {error}. "
                    f"Go on without it: {_DISABLE}={implementation.plugin_name}"
                ) from error
            for provider in offered:
                if not isinstance(provider, Provider):
                    raise BrokenPluginError(
                        f"Plugin {implementation.plugin_name!r}: memori_{seam} returned {provider!r}, not a Provider. "
                        f"Go on without it: {_DISABLE}={implementation.plugin_name}"
                    )
                offers.append((implementation.plugin_name, provider))
        return offers

    def _collect(self, seam: Seam) -> dict[str, Provider]:
        found: dict[str, tuple[str, Provider]] = {}
        for owner, provider in self._offers(seam):
            if provider.name in found:
                first = found[provider.name][0]
                raise DuplicateProviderError(
                    f"Both {first!r} and {owner!r} provide the {_singular(seam)} {provider.name!r}. "
                    f"Keep one: {_DISABLE}={owner}"
                )
            found[provider.name] = owner, provider
        return {name: provider for name, (_, provider) in found.items()}


def _singular(seam: Seam) -> str:
    return "vector index" if seam == "vector_indexes" else seam.removesuffix("s").replace("_", " ")


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
