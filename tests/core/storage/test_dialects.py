"""The databases without a server here: their strategies keep the promises on another server, and their SQL is pinned.

Every statement that a full workload runs is compiled for the dialect and compared with `snapshots/<product>.sql`.
MEMORI_UPDATE_SNAPSHOTS=1 writes the files anew; read the difference before committing it.
"""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from memori.conformance import ItemConformance, ProvenanceConformance, StorageConformance, TranscriptConformance
from memori.conformance.items import put
from memori.conformance.samples import ADA, NOW, SPACE, new_fact, said, turn
from memori.embedding.base import Space
from memori.model import Triple
from memori.storage.records import FactChanges, FactVectors, NewAttribute, Restoration, Retirement, StorageOptions
from memori.storage.sql import locks, migrations
from memori.storage.sql.dialects import PRODUCTS, recognise
from memori.storage.sql.engine import Database
from memori.storage.sql.migrations import MIGRATIONS
from memori.storage.sql.opening import rewrite
from memori.storage.sql.schema import metadata, schema_version
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateTable

from tests.core.storage.backends import empty_database

SNAPSHOTS = Path(__file__).parent / "snapshots"
URLS = {
    "cockroachdb": "cockroachdb://root@localhost:26257/memori",
    "oracle": "oracle://memori@localhost/?service_name=FREEPDB1",
    "tidb": "tidb://root@localhost:4000/memori",
    "oceanbase": "oceanbase://root@localhost:2881/memori",
}
# Where the strategies of a product can be run for real.
STAND_INS = {"cockroachdb": "postgresql", "oracle": "mariadb", "tidb": "mariadb", "oceanbase": "mariadb"}


class _AsIf(SQLStorage):
    """Does everything as for another product. PostgreSQL's tokens have a type that only its own full text reads."""

    def __init__(self, url, product):
        self.traits = PRODUCTS[product]
        if product == "cockroachdb":
            self.traits = replace(self.traits, full_text="tsvector")
        super().__init__(url, StorageOptions(pool_size=10))

    def _open(self, connection, options):
        traits = self.traits

        class AsIf(Database):
            def _recognise(self, connection):
                return traits

        database = AsIf(connection, options)
        database._engine = database._engine.execution_options(isolation_level=traits.isolation)
        return database


@pytest.mark.parametrize("product", ["cockroachdb", "oracle", "oceanbase"])
class TestStrategies(StorageConformance, ProvenanceConformance, TranscriptConformance, ItemConformance):
    """TiDB's are OceanBase's, but for the lock that MariaDB's migrations use too."""

    @pytest.fixture
    def connect(self, product, tmp_path):
        with empty_database(STAND_INS[product], tmp_path) as url:
            yield lambda: _AsIf(url, product)


def workload(storage):
    """Every operation of a storage, in ways that reach every statement."""
    other = replace(ADA, session_id=None)
    storage.append(ADA, turn(*said("a", "b", ids=["1", "2"])))
    storage.append(ADA, turn(*said("a", "b", "c", ids=["1", "2", "3"]), conversation_id="named"))
    storage.append(other, turn(*said("d", "e"), resent=1))
    storage.append(other, turn(*said("d", "e", "f"), resent=2, join_recent=True))
    storage.append(other, turn(*said("x"), resent=0, join_recent=True))
    for who in (ADA, other, replace(other, process_id=None)):
        storage.messages(who, limit=2, before=9)
        storage.messages(who, conversation_id="named")
        storage.conversations(who, limit=5, offset=1)
        storage.open_jobs(who)
        storage.queue_status(who, now=NOW)
        storage.retry(who, now=NOW)
    storage.open_jobs(None)
    later = NOW + timedelta(seconds=1)
    job, failing, *_ = storage.lease(limit=5, seconds=60, now=later)
    storage.extend(job, seconds=60, now=later)
    storage.fail(failing, "broken", retry_at=None, now=later)
    storage.retry(ADA, now=later)
    tea = replace(new_fact("likes tea", slot="ada|likes"), triples=(Triple("Ada", "likes", "tea"),))
    storage.complete(job, FactChanges((tea,), space=SPACE), expected=storage.state(ADA), now=later)
    storage.job_states([job.id])
    mentions = ((tea.fact.id, "message"),)
    storage.apply(ADA, FactChanges((new_fact("likes milk"),), mentions=mentions, space=SPACE), expected=None, now=later)
    storage.facts(ADA, kinds=["fact"], as_of=later, process_id="bot", limit=3, offset=1)
    storage.facts(ADA, ids=[tea.fact.id], statuses=())
    storage.facts(ADA, slots=["ada|likes"])
    storage.facts_by_fingerprint(ADA, [tea.fingerprint])
    storage.changes_since(ADA, SPACE, -1)
    storage.changes_since(ADA, SPACE, 1)
    storage.search(ADA, ["tea", "milk"], limit=5)
    storage.triples(ADA)
    storage.apply(ADA, FactChanges(retire=(Retirement(tea.fact.id, "forgotten"),)), expected=None, now=later)
    first, second, third = (
        new_fact(line, kind="episode", session_id="s1", position=place) for place, line in enumerate(("a", "b", "c"))
    )
    second = replace(second, window=(first.fact.id,))
    storage.apply(ADA, FactChanges((first, second, third), space=SPACE), expected=None, now=later)
    storage.apply(ADA, FactChanges(retire=(Retirement(first.fact.id, "forgotten"),)), expected=None, now=later)
    storage.entities(ADA.namespace, after="somebody", limit=5)
    for source in ("nothing", first.fact.id):
        storage.sources(ADA, source)
    storage.mentions(ADA, facts=[tea.fact.id])
    storage.mentions(ADA, messages=["message"])
    storage.superseded_by(ADA, [tea.fact.id])
    learnt = NewAttribute("helps", "f", "message", "assistant", "test")
    for _ in range(2):
        storage.apply(ADA, FactChanges(attributes=(learnt,), summary=("message", "tea")), expected=None, now=later)
    storage.process_attributes(ADA)
    back = FactChanges(restore=(Restoration(third.fact.id),), unsaid=((tea.fact.id, "message"),), unlearnt=("message",))
    storage.apply(ADA, back, expected=None, now=later)
    wider = Space("test", "wider", 8)
    missing = storage.unembedded(ADA, wider, window=2, limit=5)
    vectors = [FactVectors(one, np.ones((1, 8), dtype=np.float32)) for one in missing]
    assert storage.activate(ADA, wider) == storage.add_vectors(ADA, vectors, wider) == 3
    assert storage.activate(ADA, wider, drop_old=True) == 0
    transcript = storage.transcript(ADA)
    storage.transcript(ADA, archived=None)
    storage.archive_messages(ADA, [transcript.messages[0].key])
    storage.replace_messages(ADA, said("new"), now=later)
    storage.delete_messages(ADA, [transcript.messages[1].key])
    storage.write_items(ADA, [put("k", {"n": 1}, ttl=60), put("gone", None)], now=NOW)
    storage.read_items(ADA, [(("notes",), "k")], now=NOW)
    storage.touch_items(ADA, [(("notes",), "k")], ttl=60, now=NOW)
    storage.search_items(ADA, ("notes",), space=SPACE, limit=1, now=NOW)
    storage.item_namespaces(ADA, now=NOW)
    storage.sweep_items(now=NOW)
    storage.erase(ADA)


class _Nothing:
    """What the inspector of an empty database says."""

    def has_table(self, name):
        return False

    def get_indexes(self, name):
        return []


def statements(product, url):
    """What the product would be sent: its tables, then each different statement of the workload, as first run."""
    dialect = create_engine(rewrite(make_url(URLS[product]))).dialect
    traits = PRODUCTS[product]
    ddl = [CreateTable(schema_version), *MIGRATIONS[0].statements(_Nothing(), traits)]
    if traits.migration_lock == "row":
        ddl.insert(0, CreateTable(locks.lock_row))
    written = [migrations._sql(one, dialect) for one in ddl]
    storage = SQLStorage(url, StorageOptions())
    storage.build()
    # The tables are those of the server at hand; what is done with them is the product's.
    database = storage._database
    database._engine = database._engine.execution_options(memori_traits=traits)

    def note(connection, clause, multiparams, params, options):
        rows = multiparams or ([params] if params else [])
        keys = sorted(rows[0]) if rows else None
        sql = str(clause.compile(dialect=dialect, column_keys=keys))
        written.append("\n".join(line.rstrip() for line in sql.splitlines()) + ";")

    engine = storage._database._engine
    event.listen(engine, "before_execute", note)
    workload(storage)
    event.remove(engine, "before_execute", note)
    storage.close()
    return list(dict.fromkeys(written))


@pytest.mark.parametrize("product", URLS)
def test_every_statement_is_as_it_was(product, tmp_path):
    with empty_database("mariadb" if STAND_INS[product] == "mariadb" else "sqlite", tmp_path) as url:
        sql = "\n\n".join(statements(product, url)) + "\n"
    snapshot = SNAPSHOTS / f"{product}.sql"
    if os.environ.get("MEMORI_UPDATE_SNAPSHOTS"):
        snapshot.write_text(sql, "utf-8")

    assert sql == snapshot.read_text("utf-8")


def test_no_name_is_too_long_for_oracle():
    names = {table.name for table in (*metadata.sorted_tables, locks.lock_row)}
    for table in metadata.sorted_tables:
        names |= {column.name for column in table.columns}
        names |= {str(index.name) for index in table.indexes}
        names |= {str(constraint.name) for constraint in table.constraints if constraint.name}

    assert {name for name in names if len(name) > 30} == set()


def test_no_statement_locks_what_it_sorts_or_limits():
    """Oracle refuses it, and MySQL locks more than it returns."""
    locking = [
        statement
        for snapshot in SNAPSHOTS.glob("*.sql")
        for statement in snapshot.read_text("utf-8").split(";\n")
        if "FOR UPDATE" in statement
    ]

    assert len(locking) >= 4 * 3
    assert [one for one in locking if "ORDER BY" in one or "LIMIT" in one or "FETCH" in one or "JOIN" in one] == []


@pytest.mark.parametrize(
    ("given", "rewritten"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg2://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
        ("mysql://u:p@h/d", "mysql+pymysql://u:p@h/d"),
        ("mariadb://u:p@h/d", "mariadb+pymysql://u:p@h/d"),
        ("mysql+mysqldb://u:p@h/d", "mysql+mysqldb://u:p@h/d"),
        ("tidb://u:p@h/d", "mysql+pymysql://u:p@h/d"),
        ("oceanbase+mysqldb://u:p@h/d", "mysql+mysqldb://u:p@h/d"),
        ("cockroachdb://u:p@h/d", "cockroachdb+psycopg://u:p@h/d"),
        ("cockroach://u:p@h/d", "cockroachdb+psycopg://u:p@h/d"),
        ("oracle://u:p@h/?service_name=s", "oracle+oracledb://u:p@h/?service_name=s"),
        ("sqlite:///memory.db", "sqlite:///memory.db"),
        ("mssql+pyodbc://u:p@h/d", "mssql+pyodbc://u:p@h/d"),
    ],
)
def test_a_url_gets_the_driver_that_is_installed(given, rewritten):
    assert rewrite(make_url(given)).render_as_string(hide_password=False) == rewritten


@pytest.mark.parametrize(
    ("dialect", "version", "product", "skip_locked"),
    [
        ("mysql", "8.4.2", "mysql", True),
        ("mysql", "5.7.44-log", "mysql", False),
        ("mysql", "10.11.19-MariaDB-0+deb12u1", "mariadb", True),
        ("mariadb", "5.5.5-10.11.2-MariaDB", "mariadb", True),
        ("mariadb", "10.5.8-MariaDB", "mariadb", False),
        ("mysql", "8.0.11-TiDB-v7.5.0", "tidb", False),
        ("mysql", "5.7.25-OceanBase-v4.2.1.0", "oceanbase", False),
        ("oracle", "", "oracle", True),
        ("mssql", "", "mssql", True),
    ],
)
def test_relatives_are_told_by_their_version(dialect, version, product, skip_locked):
    traits = recognise(dialect, version)

    assert (traits.product, traits.skip_locked) == (product, skip_locked)
