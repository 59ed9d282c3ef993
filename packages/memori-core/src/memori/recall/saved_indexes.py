"""Indexes of large entities kept on disk between processes. A file in doubt is removed, and SQL asked again."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from .. import telemetry
from ..embedding.base import Space
from ..keys import derived_key, new_key
from ..model import Attribution
from ..storage.records import Codec, EntityState
from . import index_file
from .background import in_background
from .entity_index import EntityIndex
from .index.base import VectorIndex

logger = logging.getLogger("memori.recall")

SAVED_FROM = 1000
"""Memories of an entity from which its index is saved: a smaller one is built in a moment."""
_FORMAT = 1
_KEPT = {"*.tmp": 3600.0, "*.index": 30 * 86_400.0}
"""Seconds after which an unfinished file belongs to nobody, and a finished one is of somebody who has not been back."""
_OFF = ("", "off")


def folder(setting: str) -> Path | None:
    """Where the setting `cache_dir` has indexes saved: "auto" is the user's cache directory, "off" or "" nowhere."""
    if setting.strip().casefold() in _OFF:
        return None
    if setting != "auto":
        return Path(setting).expanduser()
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "memori"


def saved_indexes(setting: str, database: str, codec: Codec | None) -> SavedIndexes | None:
    """Where to save, or None: what a codec encodes in the database, or what only memory holds, goes in no file."""
    directory = folder(setting)
    in_memory = database.startswith("sqlite") and (database.endswith("://") or "memory:" in database)
    if directory is None or codec is not None or in_memory or "mode=memory" in database:
        return None
    return SavedIndexes(directory)


class SavedIndexes:
    """Files of one directory that only its owner may read. Their names and contents name no one: ids are hashed.

    Nothing here raises for what is wrong with the directory or a file: it is logged, and the index built from SQL.
    """

    def __init__(self, directory: Path) -> None:
        # A directory of our own: the one that was named may have other things in it, and other readers.
        self._directory = directory / "indexes"
        self._lock = threading.Lock()
        self._saving: dict[Path, threading.Thread | None] = {}
        self._closed = False

    def restore(
        self,
        index: EntityIndex,
        attribution: Attribution,
        space: Space,
        state: EntityState,
        make_vectors: Callable[[int], VectorIndex],
    ) -> None:
        """Give an empty index what was saved of the entity, if it is of this database's past. Hold the index's lock."""
        path = self._path(attribution, space)
        try:
            found, content = index_file.about(path)
            wanted = {"format": _FORMAT, "tenant": _tenant(attribution), "space": space.key}
            if {name: found.get(name) for name in wanted} != wanted:
                raise ValueError("it is of another entity, embedding space or format")
            if found["generation"] != state.generation:
                raise ValueError("it is of another database, or of memories deleted since")
            if found["revision"] > state.revision:
                # Saved by another process just now, or the database is back from a backup: this one is not touched.
                return
            made = EntityIndex(make_vectors(space.dimension))
            made.restore(index_file.arrays(found, content), EntityState(found["revision"], found["generation"]))
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the database has it all
            telemetry.failure(logger, "reading a saved index (building it again)", error)
            self._remove(path)
            return
        index.become(made)

    def offer(self, index: EntityIndex, attribution: Attribution, space: Space) -> None:
        """Save an index in the background if it is worth it and much of it has changed since it was saved."""
        if index.unsaved < max(SAVED_FROM, len(index) // 10) or len(index) < SAVED_FROM:
            return
        path = self._path(attribution, space)
        with self._lock:
            if self._closed or path in self._saving:
                return
            self._saving[path] = None
            about = {"format": _FORMAT, "tenant": _tenant(attribution), "space": space.key}
            self._saving[path] = in_background(
                self._save(index, path, about),
                wanted=lambda: path in self._saving,
                failed=lambda error: telemetry.failure(logger, "saving an index", error),
                begin=lambda: None,
            )

    def forget(self, attribution: Attribution) -> None:
        """Remove an entity's files, of every space."""
        with self._lock:
            prefix = _tenant(attribution)
            for path in [path for path in self._saving if path.name.startswith(prefix)]:
                del self._saving[path]
            try:
                files = list(self._directory.glob(f"{prefix}-*"))
            except OSError:
                files = []
            for path in files:
                self._remove(path)

    def close(self, timeout: float = 10.0) -> None:
        """Wait for what is being saved, at most `timeout` seconds, then give it up."""
        deadline = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            threads = [thread for thread in self._saving.values() if thread is not None and thread.is_alive()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._saving.clear()

    def after_fork(self) -> None:
        """What the parent was saving it goes on saving."""
        self._lock = threading.Lock()
        self._saving = {}

    def _save(self, index: EntityIndex, path: Path, about: dict[str, object]) -> Generator[None, None, None]:
        unfinished = path.with_name(f"{path.name}.{new_key()}.tmp")
        try:
            while not index.vectors.settled and not self._closed:
                time.sleep(0.02)
                yield
            with index.lock:
                pieces = index.saved()
                about |= {"revision": index.revision, "generation": index.generation}
            if pieces is None:
                return
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            self._sweep()
            yield from index_file.write(unfinished, about, pieces)
            with self._lock:
                if path in self._saving:
                    unfinished.replace(path)
        finally:
            self._remove(unfinished)
            with self._lock:
                self._saving.pop(path, None)

    def _sweep(self) -> None:
        """Remove what processes that were killed left unfinished, and what was not saved again for a long time."""
        for pattern, seconds in _KEPT.items():
            for path in self._directory.glob(pattern):
                try:
                    if time.time() - path.stat().st_mtime > seconds:
                        path.unlink()
                except OSError:
                    continue

    def _path(self, attribution: Attribution, space: Space) -> Path:
        return self._directory / f"{_tenant(attribution)}-{derived_key('space', space.key)}.index"

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            telemetry.failure(logger, "removing a saved index", error)


def _tenant(attribution: Attribution) -> str:
    return derived_key("saved index", attribution.namespace, attribution.entity_id)
