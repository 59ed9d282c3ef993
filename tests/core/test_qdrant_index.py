"""Vectors in Qdrant: every promise of a shared index, and words where the server is not there.

On qdrant-client's own engine in this process; MEMORI_TEST_QDRANT_URL names a server instead.
"""

import os
import socket
import sys
from uuid import uuid4

import pytest
from memori import Attribution, Memori
from memori.conformance import SharedIndexConformance
from memori.conformance.samples import ADA, SPACE, new_fact
from memori.conformance.shared_index import QUERY, added, filled, retire, unit
from memori.errors import ConfigurationError, MissingDependencyError, StorageError
from memori.recall.index.base import IndexServer
from memori.recall.index.qdrant import QdrantIndex
from memori.recall.shared import FAILED
from memori.settings import Settings
from memori.storage.records import Retirement
from qdrant_client import QdrantClient

ANN, BEN = Attribution("ann"), Attribution("ben")
TEXTS = ("Ann lives in Lisbon", "Ann drinks green tea", "Her sister moved to Porto", "The river is near", "A red boat")
SECRET = "sk-very-secret"


class TestQdrant(SharedIndexConformance):
    @pytest.fixture
    def shared_index(self, storage):
        url = os.environ.get("MEMORI_TEST_QDRANT_URL", ":memory:")
        index = QdrantIndex(storage, IndexServer(url, os.environ.get("MEMORI_TEST_QDRANT_KEY", ""), f"t{uuid4().hex}"))
        yield index
        for name in index._collections(index._connect()):
            index._connect().delete_collection(name)
        index.close()

    def test_a_slow_process_leaves_nothing_of_an_erased_entity(self, storage, shared_index, monkeypatch):
        """An entity erased while a delta is being written is gone from the server too."""
        filled(storage, shared_index, ADA, unit(3))
        added(storage, ADA, [new_fact("late")])
        delta, make = storage.changes_since(ADA, SPACE, -1), shared_index._make

        def erased_meanwhile(*given):
            monkeypatch.setattr(shared_index, "_make", make)
            storage.erase(ADA)
            shared_index.erase(ADA)
            make(*given)

        monkeypatch.setattr(shared_index, "_make", erased_meanwhile)
        shared_index.update(ADA, SPACE, delta)

        client = shared_index._connect()
        assert client.count(shared_index._collection(SPACE)).count == 0

    def test_a_delta_overtaken_while_it_is_written_takes_nothing_back(self, storage, shared_index, monkeypatch):
        """The newer one has all that the older one has; what the older one wrote goes."""
        filled(storage, shared_index, ADA, unit(2))
        known = storage.state(ADA).revision
        (late,) = added(storage, ADA, [new_fact("late", vector=(1, 0, 0, 0))])
        old = storage.changes_since(ADA, SPACE, known)
        retire(storage, ADA, Retirement(late, "forgotten"))
        new, upsert = storage.changes_since(ADA, SPACE, known), QdrantClient.upsert

        def overtaken(client, name, points):
            monkeypatch.setattr(QdrantClient, "upsert", upsert)
            shared_index.update(ADA, SPACE, new)
            return client.upsert(name, points)

        monkeypatch.setattr(QdrantClient, "upsert", overtaken)
        shared_index.update(ADA, SPACE, old)

        assert late not in shared_index.search(ADA, SPACE, QUERY, 9)
        assert shared_index.state(ADA, SPACE) == storage.state(ADA)


def opened(database, url, **more):
    settings = Settings(index_url=url, index_api_key=SECRET, cache_dir="off")
    return Memori(database, embedder="hashing", extractor="none", vector_index="qdrant", settings=settings, **more)


def test_recall_ranks_as_it_does_with_faiss_and_tenants_never_meet(database, tmp_path):
    with opened(database, str(tmp_path / "points")) as memori:
        for text in TEXTS:
            memori.remember(text, attribution=ANN)
        secret = memori.remember("Ben hides green tea in Porto", attribution=BEN)
        shared = [memori.recall(question, attribution=ANN, limit=9) for question in ("green tea", "Where is Porto?")]
    with opened(database, str(tmp_path / "points")) as memori:
        kept = memori._shared_index.state(Attribution("ann", namespace="default"), memori.embedder.space)
        assert kept == memori.config.storage.state(Attribution("ann", namespace="default"))
        memori.erase("ann")
        assert memori._shared_index._connect().count(
            memori._shared_index._collection(memori.embedder.space)
        ).count == 2  # fmt: skip
    with Memori(database, embedder="hashing", extractor="none") as memori:
        assert memori.recall("green tea", attribution=ANN) == []
    assert all(shared)
    assert secret.text not in {one.text for answer in shared for one in answer}
    assert shared[0][0].text == "Ann drinks green tea"


def test_without_the_server_words_answer_and_no_secret_is_told(database, caplog):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://user:{SECRET}@127.0.0.1:{probe.getsockname()[1]}"
    with opened(database, dead) as memori:
        for text in TEXTS:
            memori.remember(text, attribution=ANN)
        assert memori.recall("green tea", attribution=ANN)[0].text == "Ann drinks green tea"
        assert memori.context("green tea", attribution=ANN).degraded == FAILED
        memori.erase("ann")
        with pytest.raises(StorageError, match=r"127\.0\.0\.1") as told:
            memori._shared_index.state(ADA, SPACE)

    assert SECRET not in str(told.value) + caplog.text + repr(memori.settings) + repr(memori._shared_index._server)
    assert told.value.__suppress_context__


def test_a_server_must_be_named(database):
    with pytest.raises(ConfigurationError, match="MEMORI_INDEX_URL"):
        opened(database, "")


def test_a_missing_client_is_named_with_what_to_install(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    monkeypatch.delitem(sys.modules, "memori.recall.index.qdrant")
    with pytest.raises(MissingDependencyError, match=r"memori-core\[qdrant\]"):
        opened(database, ":memory:")
