"""Vectors in PostgreSQL are found as exactly as in this process, by their tenant alone, and go with their facts."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from memori import Attribution, Memori
from memori.conformance import SharedIndexConformance
from memori.conformance.samples import ADA, BOB, NOW, SPACE, new_fact
from memori.errors import UnsupportedError
from memori.importing.source import Source
from memori.importing.transfer import copy_facts, copy_messages
from memori.recall.entity_index import EntityIndex
from memori.recall.index.faiss import FaissIndex
from memori.recall.shared import FAILED, SharedCandidates
from memori.storage.records import FactChanges, Retirement, StorageOptions
from memori.storage.sql.pgvector import PgvectorIndex
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import event
from sqlalchemy.engine import make_url

from tests.core.storage.servers import postgresql
from tests.core.test_from_memori import ROWS, SCHEMA


@pytest.fixture(scope="module")
def lasting():
    with postgresql().database() as made:
        opened = SQLStorage(made, StorageOptions())
        yield opened
        opened.close()


class TestExact(SharedIndexConformance):
    @pytest.fixture
    def storage(self, lasting):
        yield lasting
        for who in (ADA, BOB, replace(ADA, namespace="another")):
            lasting.erase(who)

    @pytest.fixture
    def shared_index(self, storage):
        return PgvectorIndex(storage)


class TestGraph(TestExact):
    """Whatever an entity has, the graph is asked first."""

    least_recall = 0.9

    @pytest.fixture
    def shared_index(self, storage):
        index = PgvectorIndex(storage)
        index.node = 0
        return index


ANN, BEN = Attribution("ann"), Attribution("ben")
TEXTS = ("Ann lives in Lisbon", "Ann drinks green tea", "Her sister moved to Porto", "The river is near", "A red boat")
QUESTIONS = ("Where does Ann live?", "green tea", "Who is in Porto?", "river boat")
QUERY = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)


@pytest.fixture
def url():
    with postgresql().database() as made:
        yield made


@pytest.fixture
def storage(url):
    opened = SQLStorage(url, StorageOptions())
    yield opened
    opened.close()


@pytest.fixture
def index(storage):
    return PgvectorIndex(storage)


def fill(storage, who, count=200, seed=1):
    vectors = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    facts = tuple(new_fact(f"memory number {at}", vector=vectors[at].tolist()) for at in range(count))
    storage.apply(who, FactChanges(facts, space=SPACE), expected=None, now=NOW)
    return [one.fact.id for one in facts]


def follow(storage, index, who):
    SharedCandidates(storage, index).follow(who, SPACE)


def in_process(storage, who, limit):
    whole = EntityIndex(FaissIndex(SPACE.dimension))
    whole.apply(storage.changes_since(who, SPACE, -1))
    numbers, _ = whole.nearest(QUERY, limit, whole.allowed(kinds=None, as_of=None))
    return [whole.rows[number].fact_id for number in numbers.tolist()]


def test_few_vectors_are_found_in_the_same_order_as_in_this_process(storage, index):
    fill(storage, ADA)
    follow(storage, index, ADA)

    assert index.search(ADA, SPACE, QUERY, 50) == in_process(storage, ADA, 50)
    assert index.state(ADA, SPACE) == storage.state(ADA)


@pytest.mark.parametrize("node", [0, 20], ids=["graph", "exact"])
def test_a_tenant_gets_its_own_and_as_many_as_it_has(storage, index, node):
    index.node = node
    mine, theirs = fill(storage, ADA, 20), fill(storage, BOB, 300)
    for who in (ADA, BOB):
        follow(storage, index, who)

    assert set(index.search(ADA, SPACE, QUERY, 50)) == set(mine)
    assert set(index.search(BOB, SPACE, QUERY, 300)) == set(theirs)
    assert index.search(replace(ADA, namespace="another"), SPACE, QUERY, 50) == []


def test_many_vectors_are_found_by_the_graph(storage, index, url):
    index.node = 0
    fill(storage, ADA, 300)
    follow(storage, index, ADA)

    found = index.search(ADA, SPACE, QUERY, 20)
    with storage._read() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    storage.close()

    assert len(set(found) & set(in_process(storage, ADA, 20))) >= 18
    scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname ~ '_hnsw$'"
    deadline = time.monotonic() + 10
    while not (used := postgresql().execute(scans, database=url)[0][0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert used > 0


@pytest.mark.parametrize(("own", "others", "graph"), [(300, 100, True), (100, 300, False), (9, 0, False)])
def test_a_graph_is_asked_where_it_answers_sooner(storage, index, url, own, others, graph):
    """Where most vectors near the query are those of others, an entity's own are compared one by one."""
    index.node, index.width, statements = 1, 50, []
    for who, count in ((ADA, own), (BOB, others)):
        fill(storage, who, count)
        follow(storage, index, who)
    for (table,) in postgresql().execute("SELECT tablename FROM pg_tables WHERE tablename ~ 'pgvector'", database=url):
        postgresql().execute(f"ANALYZE {table}", database=url)
    event.listen(storage._database._engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    index.search(ADA, SPACE, QUERY, 40)

    assert any("hnsw" in statement for statement in statements) == graph


def test_following_twice_changes_nothing_and_an_old_delta_is_passed_over(storage, index):
    mine = fill(storage, ADA, 5)
    old = storage.changes_since(ADA, SPACE, -1)
    storage.apply(ADA, FactChanges(retire=(Retirement(mine[0], "forgotten"),)), expected=None, now=NOW)
    follow(storage, index, ADA)
    follow(storage, index, ADA)
    index.update(ADA, SPACE, old)

    assert set(index.search(ADA, SPACE, QUERY, 50)) == set(mine[1:])


def test_erasing_an_entity_leaves_nothing_whoever_erases_it(storage, index, url):
    fill(storage, ADA, 5)
    theirs = fill(storage, BOB, 5)
    late = storage.changes_since(ADA, SPACE, -1)
    for who in (ADA, BOB):
        follow(storage, index, who)

    other = SQLStorage(url, StorageOptions())
    other.erase(ADA)
    other.close()
    index.update(ADA, SPACE, late)

    tables = postgresql().execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^memori_pgvector_'", database=url)
    assert len(tables) == 2
    for (table,) in tables:
        (rows,) = postgresql().execute(f"SELECT count(DISTINCT entity_id) FROM {table}", database=url)
        assert rows[0] == 1
    assert index.search(ADA, SPACE, QUERY, 50) == []
    assert set(index.search(BOB, SPACE, QUERY, 50)) == set(theirs)


def test_the_index_alone_can_be_emptied_of_an_entity(storage, index):
    mine = fill(storage, ADA, 5)
    follow(storage, index, ADA)

    index.erase(ADA)
    assert index.search(ADA, SPACE, QUERY, 50) == []

    follow(storage, index, ADA)
    assert set(index.search(ADA, SPACE, QUERY, 50)) == set(mine)


def test_kinds_are_chosen_inside_the_search(storage, index):
    fill(storage, ADA, 60)
    one = new_fact("likes tea", vector=(0, 0, 0, -1), kind="preference")
    storage.apply(ADA, FactChanges((one,), space=SPACE), expected=None, now=NOW)
    follow(storage, index, ADA)

    assert index.search(ADA, SPACE, QUERY, 5, kinds=["preference"]) == [one.fact.id]


@pytest.mark.parametrize("opened", ["sqlite", "function"])
def test_another_database_is_refused_at_once_with_what_to_do(opened, url, tmp_path):
    plain = url.replace("+psycopg", "")
    given = f"sqlite:///{tmp_path / 'memory.db'}" if opened == "sqlite" else lambda: psycopg.connect(plain)

    with pytest.raises(UnsupportedError, match=r"postgresql:// URL or an SQLAlchemy Engine.*faiss"):
        Memori(given, vector_index="pgvector")


def gather(storage, index):
    return SharedCandidates(storage, index).around(
        "green", ADA, SPACE, lambda _: QUERY, limit=5, kinds=None, as_of=None
    )


def test_what_is_not_indexed_yet_is_a_candidate_all_the_same(storage, index):
    fill(storage, ADA, 100)
    follow(storage, index, ADA)
    late = new_fact("likes tea", vector=(0, 0, 0, -1))
    storage.apply(ADA, FactChanges((late,), space=SPACE), expected=None, now=NOW)

    found, _, failed = gather(storage, index)

    assert late.fact.id in {row.fact_id for row in found.rows}
    assert failed is None


def test_gathering_again_takes_few_statements_and_weighs_no_word_again(storage, index):
    fill(storage, ADA, 700)
    follow(storage, index, ADA)
    shared, statements = SharedCandidates(storage, index), []

    def around():
        return shared.around("memory number 7", ADA, SPACE, lambda _: QUERY, limit=50, kinds=None, as_of=None)[0]

    first = around()
    event.listen(storage._database._engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    again = around()

    assert len(statements) <= 8
    assert [row.fact_id for row in again.rows] == [row.fact_id for row in first.rows]
    assert 50 <= len(again.rows) <= 100
    assert np.array_equal(again.words.scores(["number", "7"]), first.words.scores(["number", "7"]))


def test_an_index_that_fails_leaves_the_words(storage, index, url):
    fill(storage, ADA, 100)
    green = new_fact("likes green tea", vector=(0, 0, 0, -1))
    storage.apply(ADA, FactChanges((green,), space=SPACE), expected=None, now=NOW)
    follow(storage, index, ADA)
    for (table,) in postgresql().execute(
        "SELECT tablename FROM pg_tables WHERE tablename ~ 'pgvector_[0-9a-f]{16}'", database=url
    ):
        postgresql().execute(f"DROP TABLE {table}", database=url)

    found, _, failed = gather(storage, index)

    assert {row.fact_id for row in found.rows} == {green.fact.id}
    assert failed == FAILED


class Newer(PgvectorIndex):
    """Wants a version that no server has."""

    least = (99, 0)


def test_an_extension_that_is_too_old_is_named_when_the_tables_are_made(url):
    with Memori(url, embedder="hashing", extractor="none", vector_index=Newer) as memori:
        with pytest.raises(UnsupportedError, match=r"vector, 99\.0 or later.*it is 0\..*CREATE EXTENSION vector"):
            memori.config.storage.build()
        with pytest.raises(UnsupportedError, match="99"):
            memori.record([("user", "I like tea")], attribution=ANN)


def test_an_extension_that_may_not_be_made_is_named_with_what_to_do(url):
    with Memori(url) as memori:
        memori.config.storage.build()

    told = pytest.raises(UnsupportedError, match=r"not installed in this database.*CREATE EXTENSION vector")
    with Memori(url, vector_index="pgvector", migrate="check") as memori, told:
        memori.config.storage.build()
    with Memori(url, vector_index="pgvector") as memori:
        memori.config.storage.build()


def test_a_user_who_may_make_no_extension_is_told_so(url):
    name = f"weak_{uuid4().hex}"
    granted = (f"CREATE ROLE {name} LOGIN PASSWORD 'secret'", f"GRANT ALL ON SCHEMA public TO {name}")
    postgresql().execute(*granted, database=url)
    weak = make_url(url).set(username=name, password="secret").render_as_string(hide_password=False)
    try:
        with Memori(weak, vector_index="pgvector") as memori, pytest.raises(UnsupportedError) as told:
            memori.config.storage.build()
    finally:
        postgresql().execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}", database=url)

    assert "permission denied to create extension" in str(told.value)
    assert "secret" not in str(told.value)


def indexed(url):
    """How many facts have a vector in the index, by table."""
    tables = postgresql().execute(
        "SELECT tablename FROM pg_tables WHERE tablename ~ 'pgvector_[0-9a-f]{16}' ORDER BY 1", database=url
    )
    return sorted(
        postgresql().execute(f"SELECT count(DISTINCT fact_id) FROM {table}", database=url)[0][0] for (table,) in tables
    )


def test_reindexing_brings_the_index_along(url):
    with Memori(url, embedder="hashing/64", extractor="none", vector_index="pgvector") as memori:
        for text in TEXTS:
            memori.remember(text, attribution=ANN)

    with Memori(url, embedder="hashing/128", extractor="none", vector_index="pgvector") as memori:
        memori.reindex(batch=2)
        who = Attribution("ann", namespace="default")
        index, space = memori._shared_index, memori.embedder.space
        assert index.state(who, space) == memori.config.storage.state(who)
        assert indexed(url) == [len(TEXTS)] * 2

        memori.reindex(drop_old=True)
        assert indexed(url) == [0, len(TEXTS)]
        assert len(memori.recall("green tea", attribution=ANN, limit=9)) > 0


def test_what_is_copied_from_another_database_is_indexed(url, tmp_path):
    theirs = tmp_path / "theirs.db"
    with closing(sqlite3.connect(theirs)) as made:
        made.executescript(SCHEMA + ROWS)
    source = Source(f"sqlite:///{theirs}")

    with Memori(url, embedder="hashing", extractor="none", vector_index="pgvector") as memori:
        for entity in source.inventory().entities:
            copied = copy_messages(source, memori, entity, lambda n: None)
            memori.augmentation.wait(30)
            copy_facts(source, memori, entity, copied, lambda n: None)
        for entity in source.inventory().entities:
            who = Attribution(entity.id, namespace="default")
            stored = memori.config.storage.state(who)
            assert memori._shared_index.state(who, memori.embedder.space) == stored
    assert indexed(url)[0] > 3


WORKER = """
import sys
from memori import Attribution, Memori

url, name = sys.argv[1:]
both, own = Attribution("both"), Attribution(name)
with Memori(url, embedder="hashing", extractor="none", vector_index="pgvector") as memori:
    for number in range(5):
        memori.remember(f"{name} saw comet number {number}", attribution=both)
        memori.record([("user", f"{name} hid key number {number}")], attribution=own)
        found = memori.recall(f"{name} comet number {number}", attribution=both, limit=50)
        assert f"{name} saw comet number {number}" in [one.text for one in found], number
        assert not [one for one in memori.recall("key", attribution=both, limit=50) if "key" in one.text]
    assert memori.augmentation.wait(60)
"""


def test_two_processes_write_and_recall_through_it_and_lose_nothing(url):
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, url, name]) for name in ("ann", "ben")]
    assert [worker.wait(120) for worker in workers] == [0, 0]

    with Memori(url, embedder="hashing", extractor="none", vector_index="pgvector") as memori:
        index, space = memori._shared_index, memori.embedder.space
        for name, count in (("both", 10), ("ann", 5), ("ben", 5)):
            who = Attribution(name, namespace="default")
            # As recall does before a search: the last write of each process may have met the other's.
            memori.follow(who)
            found = index.search(who, space, memori.embedder.embed_query("number"), 100)
            facts = memori.config.storage.facts(who, limit=100)
            assert set(found) == {fact.id for fact in facts}
            assert len(facts) == count
            assert name == "both" or all(name in fact.text for fact in facts)


def remembered(url, vector_index):
    """What each question finds, where memories are written and read with that index."""
    with Memori(url, embedder="hashing", extractor="none", vector_index=vector_index) as memori:
        answers = [memori.recall(question, attribution=ANN, limit=10) for question in QUESTIONS]
    return [[(one.text, pytest.approx(one.score, abs=1e-5)) for one in answer] for answer in answers]


def test_recall_ranks_as_it_does_with_faiss_and_tenants_never_meet(url):
    with Memori(url, embedder="hashing", extractor="none", vector_index="pgvector") as memori:
        for text in TEXTS:
            memori.remember(text, attribution=ANN)
        secret = memori.remember("Ben hides green tea in Porto", attribution=BEN)
        (indexed,) = postgresql().execute("SELECT count(*) FROM memori_pgvector_state", database=url)
        forgotten = memori.recall("Which boat?", attribution=ANN)[0]
        memori.forget(forgotten.id, attribution=ANN)

    shared, local = remembered(url, "pgvector"), remembered(url, "faiss")

    assert indexed[0] == 2
    assert [[text for text, _ in answer] for answer in shared] == [[text for text, _ in answer] for answer in local]
    assert [[score.expected for _, score in answer] for answer in shared] == [
        [score for _, score in answer] for answer in local
    ]
    assert all(shared)
    for answer in shared:
        assert not {secret.text, forgotten.text}.intersection(text for text, _ in answer)
