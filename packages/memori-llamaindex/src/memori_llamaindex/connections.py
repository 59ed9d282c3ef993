"""Find the Memori object that a component, which may have been restored from a file, works with."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from memori import Memori
from memori.errors import ConfigurationError

DEFAULT = "default"
URL_VARIABLE = "MEMORI_DATABASE_URL"

# Plain dictionaries, touched by single operations only: a lock might be held by another thread at a fork.
_registered: MutableMapping[str, Memori] = {}
_by_url: MutableMapping[str, Memori] = {}


def register(core: Memori, name: str = DEFAULT) -> Memori:
    """Make a Memori object known to this process under a name, and return it.

    Components name their connection and hold no client, so that an agent's state can be saved anywhere and restored
    in any process that registered the name. Registering a name again replaces what it stood for.
    """
    if not isinstance(core, Memori):
        raise TypeError(f"register takes a Memori object, got {type(core).__name__}: register(Memori('sqlite:///…')).")
    _registered[check_name(name)] = core
    return core


def connected(name: str = DEFAULT) -> Memori:
    """The Memori object registered under the name; for "default" also one for MEMORI_DATABASE_URL, made once.

    Raises `ConfigurationError`.
    """
    if (core := _registered.get(name)) is not None:
        return core
    url = os.environ.get(URL_VARIABLE, "") if name == DEFAULT else ""
    if url:
        # The loser of a race has opened nothing yet and is simply dropped.
        return _by_url.get(url) or _by_url.setdefault(url, Memori(url))
    known = ", ".join(map(repr, sorted(_registered))) or "none"
    call = "register(Memori(...))" if name == DEFAULT else f"register(Memori(...), name={name!r})"
    instead = f", or set {URL_VARIABLE}" if name == DEFAULT else ""
    raise ConfigurationError(
        f"No Memori object is registered as {name!r} in this process; registered: {known}. "
        f"Call memori_llamaindex.{call} when the process starts{instead}."
    )


def check_name(name: str) -> str:
    """Return `name` if a connection can be called that. Raises `ValueError`: it is saved with an agent's state."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError("a connection's name must be a non-blank string, such as 'default'.")
    if "://" in name:
        raise ValueError(
            "a connection is named, never given as a URL, which may hold a password and would be saved with the "
            "agent's state: register(Memori(url), name='eu') and connection='eu'."
        )
    return name
