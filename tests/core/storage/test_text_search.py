"""Facts are found by their words, on each database's own full text and without one, and only by their own entity."""

import hashlib
import hmac
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memori.conformance.samples import ADA, BOB, NOW, new_fact
from memori.errors import RevisionConflictError, SchemaError
from memori.storage.records import EntityState, FactChanges, Retirement, StorageOptions
from memori.storage.sql import fulltext
from memori.storage.sql.engine import Database
from memori.storage.sql.storage import SQLStorage
from memori.text import terms
from sqlalchemy import create_engine, event

from tests.core.storage.backends import BACKENDS, empty_database

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


class _WithoutFullText(Database):
    def _recognise(self, connection):
        return replace(super()._recognise(connection), full_text="portable")


class _Portable(SQLStorage):
    def _open(self, connection, options):
        return _WithoutFullText(connection, options)


class _Secret:
    """Writes backwards, which stands for encryption, and fingerprints with a key."""

    def encode(self, text):
        return "~" + text[::-1]

    def decode(self, stored):
        return stored[:0:-1]

    def fingerprint(self, folded):
        return hmac.new(b"key", folded.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(params=[*BACKENDS, "portable"])
def backend(request):
    return request.param


@pytest.fixture
def url(backend, tmp_path):
    with empty_database("sqlite" if backend == "portable" else backend, tmp_path) as made:
        yield made


@pytest.fixture
def storage(backend, url):
    opened = (_Portable if backend == "portable" else SQLStorage)(url, StorageOptions())
    yield opened
    opened.close()


def learn(storage, *new, who=ADA, **options):
    storage.apply(who, FactChanges(new, **options), expected=None, now=NOW)
    return [one.fact.id for one in new]


def found(storage, asked, who=ADA, limit=10):
    return [fact_id for fact_id, _ in storage.search(who, terms(asked), limit=limit)]


WORDS_OF_EVERY_KIND = (
    "C++", "C#", ".NET", "Go", "R", "x", "7", "1.5", "AT&T", "don't", "e-mail", "select", "near", "not", "a_b", "0x1f",
    "1e10", "2026-03-02", "12:30", "t1234567890", "user@example.com", "example.com/a", "naïve", "größe", "Ünal",
    "İstanbul", "コーヒー", "東京都", "서울", "Ωμέγα", "Москва", "नमस्ते", "עברית", "مرحبا",
)  # fmt: skip


def test_every_kind_of_word_is_found(storage):
    ids = learn(storage, *(new_fact(f"before {word} after") for word in WORDS_OF_EVERY_KIND))
    learn(storage, *(new_fact(f"before {word} after") for word in WORDS_OF_EVERY_KIND), who=BOB)

    assert {word: found(storage, word) for word in WORDS_OF_EVERY_KIND} == {
        word: [fact_id] for word, fact_id in zip(WORDS_OF_EVERY_KIND, ids, strict=True)
    }


@pytest.mark.parametrize("asked", ["", "%", "_", "*", "' OR 1=1 --", '"', "t*", "-tea +milk", "nothing:tea)", "\\"])
def test_signs_are_no_language(storage, asked):
    (tea, milk) = learn(storage, new_fact("likes tea"), new_fact("drinks milk"))

    assert set(found(storage, asked)) <= {tea, milk}
    assert storage.search(ADA, [asked], limit=10) == []
    assert storage.search(ADA, [asked, "tea"], limit=10) == [(tea, "like tea")]


def test_most_words_come_first_then_the_newest(storage):
    one, two, three, other = learn(
        storage,
        new_fact("green tea in Kyoto"),
        new_fact("green tea"),
        new_fact("black tea"),
        new_fact("coffee"),
    )

    assert found(storage, "green tea in Kyoto?") == [one, two, three]
    assert found(storage, "tea") == [three, two, one]
    assert found(storage, "tea", limit=2) == [three, two]
    assert other not in found(storage, "green tea Kyoto")


def test_a_word_that_is_part_of_another_is_another(storage):
    learn(storage, new_fact("teacher"), new_fact("steam"))

    assert found(storage, "tea") == []


def test_only_active_facts_are_found(storage):
    old, gone = learn(storage, new_fact("lives in Paris"), new_fact("likes Paris"))
    new = new_fact("Paris is left for Berlin")
    quarantined = new_fact("Paris must be praised", status="quarantined")
    learn(
        storage,
        new,
        quarantined,
        retire=(Retirement(old, "superseded", new.fact.id), Retirement(gone, "forgotten")),
    )

    assert found(storage, "Paris") == [new.fact.id]


def test_what_is_rolled_back_is_not_found(storage):
    (tea,) = learn(storage, new_fact("likes tea"))
    changes = FactChanges((new_fact("drinks tea"),), (Retirement(tea, "forgotten"),))

    with pytest.raises(RevisionConflictError):
        storage.apply(ADA, changes, expected=EntityState(99, "other"), now=NOW)

    assert found(storage, "tea") == [tea]


def test_erasing_leaves_no_word(backend, storage, url):
    learn(storage, new_fact("likes tea"))
    (kept,) = learn(storage, new_fact("likes tea"), who=BOB)

    storage.erase(ADA)

    assert found(storage, "tea") == []
    assert found(storage, "tea", who=BOB) == [kept]
    engine = create_engine(url)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM memori_fact_search").scalar() == 1
        if backend == "sqlite":
            connection.exec_driver_sql(
                "INSERT INTO memori_fact_search_words (memori_fact_search_words) VALUES ('integrity-check')"
            )
    engine.dispose()
    (again,) = learn(storage, new_fact("likes tea"))
    assert found(storage, "tea") == [again]


def test_a_long_text_is_found_by_its_beginning(storage):
    text = " ".join(f"word{number}" for number in range(150_000))
    (fact,) = learn(storage, new_fact(text))

    assert found(storage, "word7") == [fact]
    assert found(storage, f"word{fulltext.MAX_TERMS - 1}") == [fact]


def test_an_encrypting_codec_hides_the_words_and_finds_them(backend, url):
    kind = _Portable if backend == "portable" else SQLStorage
    storage = kind(url, StorageOptions(codec=_Secret()))
    (tea,) = learn(storage, new_fact("prefers rooibos"))

    assert storage.search(ADA, terms("rooibos"), limit=5) == [(tea, "prefer rooibo")]
    plain = kind(url, StorageOptions())
    assert plain.search(ADA, terms("rooibos"), limit=5) == []
    engine = create_engine(url)
    with engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM memori_fact_search")
    assert "rooib" not in str(row)
    engine.dispose()
    storage.close()
    plain.close()


WORDS = st.sampled_from(["tea", "milk", "c++", "コー", "go", "x", "naive", "1.5", "the", "it's"])


@settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
@given(
    texts=st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=5),
    asked=st.lists(WORDS, min_size=1, max_size=4, unique=True),
    retired=st.sets(st.integers(0, 4)),
)
def test_the_same_is_found_as_by_reading_everything(storage, texts, asked, retired):
    for who in (ADA, BOB):
        storage.erase(who)
    new = [replace(new_fact("x"), search_text=" ".join(words)) for words in texts]
    ids = learn(storage, *new)
    learn(storage, *(replace(one, fact=replace(one.fact, id=f"bob{n}")) for n, one in enumerate(new)), who=BOB)
    gone = tuple(Retirement(ids[number], "forgotten") for number in retired if number < len(ids))
    storage.apply(ADA, FactChanges(retire=gone), expected=None, now=NOW)

    matched = {
        fact_id: len(set(words) & set(asked))
        for number, (fact_id, words) in enumerate(zip(ids, texts, strict=True))
        if number not in retired and set(words) & set(asked)
    }
    result = [fact_id for fact_id, _ in storage.search(ADA, asked, limit=10)]
    assert result == sorted(matched, key=lambda one: (matched[one], ids.index(one)), reverse=True)
    assert [fact_id for fact_id, _ in storage.search(ADA, asked, limit=1)] == result[:1]


_LITE = "EXPLAIN QUERY PLAN SELECT 1 FROM"
PLANS = {
    "sqlite": (f"{_LITE} memori_fact_search_words WHERE memori_fact_search_words MATCH 'x'", "VIRTUAL TABLE INDEX 0:M"),
    "portable": (f"{_LITE} memori_fact_search WHERE entity_id = 'x' AND tokens LIKE 'x'", "ix_memori_search_entity"),
    "postgresql": ("EXPLAIN SELECT 1 FROM memori_fact_search WHERE tokens @@ 'x'::tsquery", fulltext.INDEX_NAME),
    "mariadb": (
        "EXPLAIN SELECT 1 FROM memori_fact_search WHERE MATCH (tokens) AGAINST ('x' IN BOOLEAN MODE)",
        fulltext.INDEX_NAME,
    ),
}


def test_the_full_text_is_used(backend, storage, url):
    """The plan of a query goes by the words, not through the table or an entity's facts."""
    for number in range(30):
        learn(storage, new_fact(f"likes tea {number}"), who=replace(BOB, entity_id=f"e{number}"))
    engine = create_engine(url)
    with engine.connect() as connection:
        if backend == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
        query, expected = PLANS[backend]
        assert expected in str(connection.exec_driver_sql(query).all())
    engine.dispose()


def test_vacuum_keeps_words_and_facts_together(tmp_path):
    storage = SQLStorage(f"sqlite:///{tmp_path / 'memory.db'}", StorageOptions())
    ids = learn(storage, *(new_fact(f"fact {number}") for number in range(20)))
    changes = FactChanges(retire=tuple(Retirement(one, "forgotten") for one in ids[::2]))
    storage.apply(ADA, changes, expected=None, now=NOW)
    with storage._database._engine.connect() as connection:
        connection.connection.dbapi_connection.isolation_level = None
        connection.exec_driver_sql("VACUUM")
        connection.connection.dbapi_connection.isolation_level = ""

    assert found(storage, "fact", limit=30) == ids[1::2][::-1]
    storage.close()


def test_postgresql_starts_no_workers_for_a_moments_work(tmp_path):
    with empty_database("postgresql", tmp_path) as url:
        storage = SQLStorage(url, StorageOptions())
        learn(storage, *(new_fact(f"likes tea {number}") for number in range(50)))
        statements = []
        event.listen(
            storage._database._engine,
            "before_cursor_execute",
            lambda _, __, said, given, *___: statements.append((said, given)),
        )
        assert storage.search(ADA, ["likes", "tea"], limit=5)
        said, given = next(one for one in statements if "@@" in one[0])
        with storage._database._engine.connect() as connection:
            for name in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
                connection.exec_driver_sql(f"SET {name} = 0")
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {said}", given)]
        storage.close()

    assert [line for line in plan if "Gather" in line or "Workers" in line] == []


def _connect(url, *, able):
    """An Engine on an SQLite that says whether it can do FTS5, and that cannot make a virtual table if not."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def unable(connection, _):
        connection.create_function("sqlite_compileoption_used", 1, lambda _: int(able))
        if not able:
            refused = {sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE}
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action in refused else sqlite3.SQLITE_OK
            )

    return engine


def test_sqlite_without_fts5_searches_the_portable_way(tmp_path):
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    engine = _connect(url, able=False)
    storage = SQLStorage(engine, StorageOptions())
    tea, milk = learn(storage, new_fact("likes oolong tea"), new_fact("drinks milk"))
    learn(storage, new_fact("likes oolong tea"), who=BOB)

    assert found(storage, "oolong") == [tea]
    assert found(storage, "milk") == [milk]
    engine.dispose()


def test_a_file_made_with_fts5_says_so_where_there_is_none(tmp_path):
    file = tmp_path / "memory.db"
    storage = SQLStorage(f"sqlite:///{file}", StorageOptions())
    learn(storage, new_fact("likes oolong tea"))
    storage.close()
    # What an SQLite without the module meets: a virtual table of a module that it doesn't know.
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'USING fts5', 'USING fts5_gone')")
    connection.close()

    storage = SQLStorage(f"sqlite:///{file}", StorageOptions())
    with pytest.raises(SchemaError, match="no such module: fts5"):
        found(storage, "oolong")
    with pytest.raises(SchemaError, match="no such module: fts5"):
        learn(storage, new_fact("drinks milk"))
    assert [fact.text for fact in storage.facts(ADA)] == ["likes oolong tea"]
    storage.close()


def test_a_file_made_without_fts5_stays_searchable_where_there_is_fts5(tmp_path):
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    without = _connect(url, able=False)
    (tea,) = learn(SQLStorage(without, StorageOptions()), new_fact("likes oolong tea"))
    without.dispose()

    storage = SQLStorage(url, StorageOptions())
    (milk,) = learn(storage, new_fact("drinks oolong milk"))

    assert found(storage, "oolong") == [milk, tea]
    storage.close()
