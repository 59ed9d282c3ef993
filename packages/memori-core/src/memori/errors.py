"""Every error Memori raises.

MemoriError
├── IdentityError
│   ├── InvalidAttributionError    (also ValueError)
│   └── MissingAttributionError
├── ConfigurationError
│   ├── UnknownConnectionError     (also TypeError)
│   ├── UnknownClientError         (also TypeError)
│   ├── UnknownProviderError
│   └── MissingDependencyError     (also ImportError)
├── PluginError
│   ├── BrokenPluginError
│   ├── DuplicateProviderError
│   └── UnknownHookError
├── StorageError
│   ├── StorageUnavailableError    the database cannot be reached, or went away
│   ├── StorageLockedError         somebody else holds the write lock for too long
│   ├── StorageReadOnlyError       the database accepts no writes
│   ├── SchemaError                the tables are missing, foreign, or newer than this code
│   ├── UnsupportedError           this storage lacks an optional group of operations
│   ├── VersionConflictError       somebody else wrote to the transcript
│   └── RevisionConflictError      the entity's facts changed while a change was being prepared
├── EmbeddingError
│   └── ModelIntegrityError        a model file has the wrong checksum
├── ExtractionError
├── TranscriptError                a transcript cannot be read; carries path, line and reason
├── UnknownFactError               (also LookupError)
├── UnknownSourceError             (also LookupError)
├── OverloadedError                too much of our own work is waiting; this piece was refused
└── ClosedError                    the Memori object was closed

A message says what is wrong, what exists, and what to type next. It never holds a password.
"""

from __future__ import annotations

from pathlib import Path


class MemoriError(Exception):
    """The root of every error raised by Memori."""


class IdentityError(MemoriError):
    """Who is speaking is unknown or malformed."""


class InvalidAttributionError(IdentityError, ValueError):
    """An entity, process, session or namespace id cannot be used."""


class MissingAttributionError(IdentityError):
    """A call needs to know whose memory it is about, and nobody said."""


class ConfigurationError(MemoriError):
    """Memori was set up with something it cannot use."""


class UnknownConnectionError(ConfigurationError, TypeError):
    """No storage recognises the given connection."""


class UnknownClientError(ConfigurationError, TypeError):
    """No LLM adapter recognises the given client."""


class UnknownProviderError(ConfigurationError):
    """No plugin provides the named storage, embedder, extractor, index, reranker or adapter."""


class MissingDependencyError(ConfigurationError, ImportError):
    """A provider is known but the package it needs is not installed."""


class PluginError(MemoriError):
    """A plugin cannot be used."""


class BrokenPluginError(PluginError):
    """A plugin failed to import or to register."""


class DuplicateProviderError(PluginError):
    """Two plugins provide the same name for the same seam."""


class UnknownHookError(PluginError):
    """A plugin implements a hook that does not exist, or with arguments that do not exist."""


class StorageError(MemoriError):
    """The database refused or failed an operation."""


class StorageUnavailableError(StorageError):
    """The database cannot be reached, or went away in the middle."""


class StorageLockedError(StorageError):
    """The database stayed locked for longer than the busy timeout."""


class StorageReadOnlyError(StorageError):
    """The database or its file accepts no writes."""


class SchemaError(StorageError):
    """Memori's tables are missing, half-made, foreign, or newer than this version."""


class RevisionConflictError(StorageError):
    """The entity's facts changed since they were read; read them again and retry."""


class UnsupportedError(StorageError):
    """The storage does not have this optional group of operations."""


class VersionConflictError(StorageError):
    """The transcript was written to since the version that was named; read it again and retry."""


class EmbeddingError(MemoriError):
    """An embedder failed or returned something that is not a vector."""


class ModelIntegrityError(EmbeddingError):
    """A model file is not the one that was expected."""


class ExtractionError(MemoriError):
    """An extractor failed."""


class TranscriptError(MemoriError):
    """A transcript cannot be read."""

    def __init__(self, path: Path | str, reason: str, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        self.reason = reason
        where = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(f"{where}: {reason}")


class UnknownFactError(MemoriError, LookupError):
    """The entity has no fact of that id."""


class UnknownSourceError(MemoriError, LookupError):
    """The entity has no message, conversation or session of that id."""


class OverloadedError(MemoriError):
    """Too much background work is waiting already; the caller goes on without this piece."""


class ClosedError(MemoriError):
    """The Memori object was closed; make a new one."""
