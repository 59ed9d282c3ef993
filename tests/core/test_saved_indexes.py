"""Indexes kept on disk: quick to come back, never trusted, never anybody else's."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from memori import Memori
from memori.conformance.samples import new_fact, said, turn
from memori.embedding.base import Space
from memori.model import Attribution
from memori.privacy.codec import PlainCodec
from memori.recall import index_file, saved_indexes
from memori.recall.entity_index import EntityIndex
from memori.recall.index.faiss import FaissIndex
from memori.recall.index_cache import IndexCache
from memori.recall.saved_indexes import SavedIndexes, folder
from memori.storage.records import FactChanges, Retirement, StorageOptions
from memori.storage.sql.storage import SQLStorage

ADA = Attribution("ada", "bot", namespace="default")
BOB = Attribution("bob", "bot", namespace="default")
SPACE = Space("test", "random", 16)
NOW = datetime(2024, 5, 1, tzinfo=UTC)
COUNT = 1200


def learn(storage, who, count=COUNT, *, word="fact", seed=1):
    """Facts with vectors, every tenth of two passages and every eleventh of none."""
    storage.append(who, turn(*said("first")))
    random = np.random.default_rng(seed)
    facts = []
    for n in range(count):
        vectors = random.standard_normal((1 + (n % 10 == 0), SPACE.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        facts.append(replace(new_fact(f"{word} {n} of {who.entity_id}"), vectors=None if n % 11 == 0 else vectors))
    storage.apply(who, FactChanges(tuple(facts), space=SPACE), expected=None, now=NOW)
    return facts


@pytest.fixture
def database(tmp_path):
    opened = SQLStorage(f"sqlite:///{tmp_path / 'memory.db'}", StorageOptions())
    yield opened
    opened.close()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


class Watched:
    """A storage that notes from which revision it was asked."""

    def __init__(self, storage):
        self._storage = storage
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def changes_since(self, attribution, space, revision):
        self.asked.append(revision)
        return self._storage.changes_since(attribution, space, revision)


def asked(storage, directory, who=ADA, space=SPACE):
    """The index as a new process would have it, saved again if it was built; and what it asked the database."""
    watched = Watched(storage)
    cache = IndexCache(FaissIndex, saved=SavedIndexes(directory))
    index = cache.current(watched, who, space)
    cache.close()
    return index, watched.asked


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def same(one: EntityIndex, other: EntityIndex) -> bool:
    """Whether two indexes answer alike, whatever the numbers of their rows."""

    def answers(index, vector, words):
        allowed = index.allowed(kinds=None, as_of=None)
        numbers, products = index.nearest(vector, 30, allowed)
        near = {(index.rows[n].fact_id, round(float(p), 4)) for n, p in zip(numbers, products, strict=True)}
        scores = index.words.scores(words) * allowed
        return near, {(index.rows[n].fact_id, round(float(scores[n]), 4)) for n in np.flatnonzero(scores)}

    vector = np.random.default_rng(5).standard_normal(SPACE.dimension).astype(np.float32)
    alive = [sorted((i.rows[n].fact_id, i.rows[n].text, i.rows[n].said_at, i.rows[n].valid_to, bool(i.embedded[n]))
                    for n in np.flatnonzero(i.allowed(kinds=None, as_of=None))) for i in (one, other)]  # fmt: skip
    words = ["17", "fact", "ada", "new", "1100"]
    return alive[0] == alive[1] and answers(one, vector, words) == answers(other, vector, words)


def test_a_large_index_comes_back_as_it_was_without_asking_for_its_rows(database, directory):
    learn(database, ADA)
    built, first = asked(database, directory)
    restored, again = asked(database, directory)

    assert first == [-1]
    assert again == []
    assert same(built, restored)
    assert restored.revision == built.revision


def test_what_changed_since_it_was_saved_is_fetched(database, directory):
    facts = learn(database, ADA)
    built, _ = asked(database, directory)
    retired = tuple(Retirement(one.fact.id, "forgotten") for one in facts[5:25])
    database.apply(ADA, FactChanges(retire=retired), expected=None, now=NOW)
    learn(database, ADA, 5, word="new", seed=2)
    restored, since = asked(database, directory)

    assert since == [built.revision]
    assert same(restored, IndexCache(FaissIndex).current(database, ADA, SPACE))
    assert len(restored) == COUNT - 20 + 5


def test_what_was_forgotten_is_not_in_a_file_saved_afterwards(database, directory):
    facts = learn(database, ADA, word="secret")
    cache = IndexCache(FaissIndex)
    cache.current(database, ADA, SPACE)
    gone = tuple(Retirement(one.fact.id, "forgotten") for one in facts)
    database.apply(ADA, FactChanges(retire=gone), expected=None, now=NOW)
    learn(database, ADA, word="harmless", seed=3)
    saved = SavedIndexes(directory)
    saved.offer(cache.current(database, ADA, SPACE), ADA, SPACE)
    saved.close()
    (file,) = files(directory)

    assert b"harmless" in file.read_bytes()
    assert b"secret" not in file.read_bytes()


def test_an_index_saved_before_its_training_was_over_is_saved_again_afterwards(database, directory):
    learn(database, ADA)
    asked(database, directory)
    cache = IndexCache(lambda dimension: FaissIndex(dimension, approximate_from=1000), saved=SavedIndexes(directory))
    index = cache.current(database, ADA, SPACE)
    assert index.vectors.wait()
    while cache._saved._saving:
        time.sleep(0.01)
    cache.close()

    assert asked(database, directory)[0].vectors.approximate


def test_small_entities_are_not_saved(database, directory):
    learn(database, ADA, saved_indexes.SAVED_FROM - 1)
    asked(database, directory)

    assert files(directory) == []


def test_files_are_for_their_owner_alone_and_name_no_one(database, directory):
    learn(database, ADA)
    asked(database, directory)
    (file,) = files(directory)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "ada" not in file.name
    head, _ = index_file.about(file)
    assert "ada" not in json.dumps({name: value for name, value in head.items() if name != "arrays"})


def damaged_at(place):
    def damage(file):
        content = bytearray(file.read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        file.write_bytes(content)

    return damage


def cut_to(share):
    def cut(file):
        os.truncate(file, int(share * file.stat().st_size))

    return cut


def of_another_format(file):
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)


DAMAGE = {
    **{f"a bit flipped at {place}": damaged_at(place) for place in (0, 0.001, 0.2, 0.4, 0.6, 0.8, 0.95, 1)},
    **{f"cut to {share}": cut_to(share) for share in (0, 0.0001, 0.5, 0.999)},
    "another format": of_another_format,
    "other text": lambda file: file.write_bytes(b"not an index at all" * 1000),
    "writable by others": lambda file: file.chmod(0o666),
    "a link": lambda file: (file.rename(file.with_suffix(".real")), file.symlink_to(file.with_suffix(".real"))),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_never_used_and_replaced(database, directory, caplog, damage):
    learn(database, ADA)
    built, _ = asked(database, directory)
    (file,) = files(directory)
    damage(file)
    again, first = asked(database, directory)
    _, then = asked(database, directory)

    assert same(built, again)
    assert first in ([-1], [])
    if first == []:
        # The bit was in the padding between two arrays, which nobody reads.
        assert "flipped" in next(name for name, one in DAMAGE.items() if one is damage)
    assert then == []


def test_every_byte_that_is_read_is_covered_by_a_checksum(database, directory):
    learn(database, ADA)
    asked(database, directory)
    (file,) = files(directory)
    found, _ = index_file.about(file)
    for name, (begin, length, _) in found["arrays"].items():
        if not length:
            continue
        content = bytearray(file.read_bytes())
        content[begin + length // 2] ^= 0x10
        bad = file.with_suffix(f".{name}")
        bad.write_bytes(content)
        bad.chmod(0o600)
        with pytest.raises(ValueError, match=f"its {name} are damaged"):
            index_file.arrays(*index_file.about(bad))


def test_the_file_of_another_entity_is_not_taken_for_ones_own(database, directory):
    learn(database, ADA)
    learn(database, BOB)
    for who in (ADA, BOB):
        asked(database, directory, who)
    saved = SavedIndexes(directory)
    ada, bob = saved._path(ADA, SPACE), saved._path(BOB, SPACE)
    shutil.copy(ada, bob)
    index, revisions = asked(database, directory, BOB)

    assert revisions == [-1]
    assert all("bob" in row.text for row in index.rows)


def test_the_file_of_another_space_is_not_used(database, directory):
    learn(database, ADA)
    asked(database, directory)
    other = Space("test", "another", SPACE.dimension)
    saved = SavedIndexes(directory)
    shutil.copy(saved._path(ADA, SPACE), saved._path(ADA, other))

    assert asked(database, directory, space=other)[1] == [-1]


def test_the_file_of_another_database_is_not_used(tmp_path, database, directory):
    learn(database, ADA)
    asked(database, directory)
    replaced = SQLStorage(f"sqlite:///{tmp_path / 'other.db'}", StorageOptions())
    learn(replaced, ADA, word="other")
    index, revisions = asked(replaced, directory)
    replaced.close()

    assert revisions == [-1]
    assert all("other" in row.text for row in index.rows)


def test_a_database_brought_back_from_a_backup_does_not_get_what_came_after_it(tmp_path, database, directory):
    learn(database, ADA)
    database.close()
    shutil.copy(tmp_path / "memory.db", tmp_path / "backup.db")
    learn(database, ADA, word="later", seed=2)
    asked(database, directory)
    backup = SQLStorage(f"sqlite:///{tmp_path / 'backup.db'}", StorageOptions())
    index, revisions = asked(backup, directory)
    backup.close()

    assert revisions == [-1]
    assert len(index) == COUNT


def test_erasing_an_entity_removes_its_files_and_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(saved_indexes, "SAVED_FROM", 1)
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", embedder="hashing", extractor="none") as memori:
        for who in (ADA, BOB):
            memori.remember(f"{who.entity_id} likes tea", attribution=who)
            assert memori.recall("tea", attribution=who)
    kept = files(tmp_path / "cache")
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", embedder="hashing", extractor="none") as memori:
        memori.erase("ada")
        left = files(tmp_path / "cache")
        assert memori.recall("tea", attribution=ADA) == []
        assert memori.recall("tea", attribution=BOB)

    assert len(kept) == 2
    assert len(left) == 1
    assert left[0] in kept


def test_what_is_being_saved_when_its_entity_is_erased_leaves_no_file(database, directory, monkeypatch):
    learn(database, ADA)
    saved = SavedIndexes(directory)
    written = index_file.write

    def erased_meanwhile(*given):
        yield from written(*given)
        saved.forget(ADA)

    monkeypatch.setattr(index_file, "write", erased_meanwhile)
    cache = IndexCache(FaissIndex, saved=saved)
    cache.current(database, ADA, SPACE)
    cache.close()

    assert files(directory) == []


@pytest.mark.parametrize("off", ["", "off", "OFF"])
def test_saving_can_be_turned_off(tmp_path, monkeypatch, off):
    monkeypatch.setattr(saved_indexes, "SAVED_FROM", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEMORI_CACHE_DIR", off)
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", embedder="hashing", extractor="none") as memori:
        memori.remember("likes tea", attribution=ADA)
        assert memori.recall("tea", attribution=ADA)

    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("what", ["codec", "memory"])
def test_what_is_encoded_or_only_in_memory_is_not_written_to_a_file(tmp_path, monkeypatch, what):
    monkeypatch.setattr(saved_indexes, "SAVED_FROM", 1)
    monkeypatch.setenv("MEMORI_CACHE_DIR", str(tmp_path / "cache"))
    url = "sqlite://" if what == "memory" else f"sqlite:///{tmp_path / 'memory.db'}"
    codec = PlainCodec() if what == "codec" else None
    with Memori(url, embedder="hashing", extractor="none", codec=codec) as memori:
        memori.remember("likes tea", attribution=ADA)
        assert memori.recall("tea", attribution=ADA)

    assert files(tmp_path / "cache") == []


def test_the_users_own_cache_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert folder("auto") == tmp_path / "memori"
    assert folder("~/here") == Path.home() / "here"
    assert folder("off") is None


def test_a_directory_that_takes_no_files_costs_a_warning_and_nothing_else(database, directory, caplog, monkeypatch):
    learn(database, ADA)
    directory.write_text("a file where the directory should be")
    monkeypatch.setattr("memori.telemetry._seen", set())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            index, revisions = asked(database, directory)
            assert revisions == [-1]
            assert len(index) == COUNT

    assert len([record for record in caplog.records if "saving an index" in record.getMessage()]) == 1


def test_a_full_disk_leaves_no_half_a_file(database, directory, monkeypatch):
    learn(database, ADA)
    written = index_file.write

    def full(*given):
        for number, _ in enumerate(written(*given)):
            if number == 3:
                raise OSError(28, "No space left on device")
            yield

    monkeypatch.setattr(index_file, "write", full)
    index, _ = asked(database, directory)

    assert len(index) == COUNT
    assert files(directory) == []


def test_a_recall_does_not_wait_for_a_file_to_be_written(database, directory, monkeypatch):
    learn(database, ADA)
    go_on, begun = threading.Event(), threading.Event()
    written = index_file.write

    def slow(*given):
        begun.set()
        assert go_on.wait(30)
        yield from written(*given)

    monkeypatch.setattr(index_file, "write", slow)
    cache = IndexCache(FaissIndex, saved=SavedIndexes(directory))
    cache.current(database, ADA, SPACE)
    assert begun.wait(30)
    learn(database, ADA, 20, word="new", seed=2)
    index = cache.current(database, ADA, SPACE)

    assert len(index) == COUNT + 20
    assert files(directory) == []
    go_on.set()
    cache.close()
    restored, since = asked(database, directory)
    assert since != [-1]
    assert same(restored, index)


def test_what_a_killed_process_left_or_nobody_came_back_for_is_removed_in_time(database, directory):
    learn(database, ADA)
    kept = directory / "indexes"
    kept.mkdir(parents=True)
    old, new = kept / "old.index.x.tmp", kept / "new.index.x.tmp"
    unused = kept / "unused.index"
    for path in (old, new, unused):
        path.write_text("unfinished")
    for path in (old, unused):
        os.utime(path, (1, 1))
    asked(database, directory)

    assert [path.exists() for path in (old, new, unused)] == [False, True, False]


def test_a_system_without_threads_to_give_costs_only_the_file(database, directory, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    learn(database, ADA)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    index, _ = asked(database, directory)

    assert len(index) == COUNT
    assert files(directory) == []


def test_a_file_of_a_moment_later_than_the_state_is_left_alone(database, directory):
    learn(database, ADA)
    before = database.state(ADA)
    learn(database, ADA, 10, word="new", seed=2)
    asked(database, directory)
    (file,) = files(directory)
    written = file.read_bytes()
    index = EntityIndex(FaissIndex(SPACE.dimension))
    SavedIndexes(directory).restore(index, ADA, SPACE, before, FaissIndex)

    assert index.revision == -1
    assert file.read_bytes() == written
