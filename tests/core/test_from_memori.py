"""`memori import --from-memori` brings a Memori 3 database over: everything, to whom it belongs, once."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from memori import Attribution, Memori, MemoriError, hookimpl
from memori.cli.app import build
from memori.errors import StorageError
from memori.importing.source import Source
from memori.importing.transfer import copy_facts, copy_messages
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from tests.core.storage import servers

SCHEMA = """
CREATE TABLE memori_schema_version (num INTEGER PRIMARY KEY);
CREATE TABLE memori_entity (id INTEGER PRIMARY KEY, uuid TEXT, external_id TEXT UNIQUE, date_created DATETIME);
CREATE TABLE memori_process (id INTEGER PRIMARY KEY, uuid TEXT, external_id TEXT UNIQUE, date_created DATETIME);
CREATE TABLE memori_session (
    id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, entity_id INTEGER, process_id INTEGER, date_created DATETIME
);
CREATE TABLE memori_conversation (
    id INTEGER PRIMARY KEY, uuid TEXT, session_id INTEGER, summary TEXT, date_created DATETIME
);
CREATE TABLE memori_conversation_message (
    id INTEGER PRIMARY KEY, uuid TEXT, conversation_id INTEGER, role TEXT, type TEXT, content TEXT,
    date_created DATETIME
);
CREATE TABLE memori_entity_fact (
    id INTEGER PRIMARY KEY, uuid TEXT, entity_id INTEGER, content TEXT, content_embedding BLOB, num_times INTEGER,
    date_last_time DATETIME, uniq TEXT, date_created DATETIME
);
CREATE TABLE memori_entity_fact_mention (id INTEGER PRIMARY KEY, fact_id INTEGER, message_id INTEGER, date TEXT);
CREATE TABLE memori_process_attribute (id INTEGER PRIMARY KEY, process_id INTEGER, content TEXT);
CREATE TABLE memori_subject (id INTEGER PRIMARY KEY, name TEXT, type TEXT);
CREATE TABLE memori_predicate (id INTEGER PRIMARY KEY, content TEXT);
CREATE TABLE memori_object (id INTEGER PRIMARY KEY, name TEXT, type TEXT);
CREATE TABLE memori_knowledge_graph (
    id INTEGER PRIMARY KEY, entity_id INTEGER, subject_id INTEGER, predicate_id INTEGER, object_id INTEGER,
    num_times INTEGER, date_created DATETIME
);
"""
ROWS = """
INSERT INTO memori_entity (id, uuid, external_id) VALUES (1, 'e-1', 'ada'), (2, 'e-2', '1'), (3, 'e-3', 'quiet');
INSERT INTO memori_process (id, uuid, external_id) VALUES (1, 'p-1', 'bot');
INSERT INTO memori_session VALUES
    (1, 'session-ada', 1, 1, '2025-03-01 10:00:00'), (2, 'session-one', 2, NULL, '2025-03-02 10:00:00');
INSERT INTO memori_conversation VALUES
    (1, 'c-1', 1, 'Ada moved.', '2025-03-01 10:00:00'), (2, 'c-2', 1, NULL, '2025-03-05 09:00:00'),
    (3, 'c-3', 2, NULL, '2025-03-02 10:00:00');
INSERT INTO memori_conversation_message VALUES
    (1, 'm-1', 1, 'user', 'text', 'I moved to Berlin.', '2025-03-01 10:00:00'),
    (2, 'm-2', 1, 'model', 'text', 'How is it there?', '2025-03-01 10:00:05'),
    (3, 'm-3', 2, 'user', 'text', 'I drink oolong now.', '2025-03-05 09:00:00'),
    (4, 'm-4', 2, 'oracle', 'text', 'So be it.', '2025-03-05 09:00:01'),
    (5, 'm-5', 3, 'user', 'text', '日本語を勉強しています。', '2025-03-02 10:00:00');
INSERT INTO memori_entity_fact VALUES
    (1, 'f-1', 1, 'Ada lives in Berlin', x'00', 3, '2025-03-05', 'u1', '2025-03-01 10:00:07'),
    (2, 'f-2', 1, 'Ada drinks oolong', x'00', 1, '2025-03-05', 'u2', '2025-03-05 09:00:02'),
    (3, 'f-3', 1, 'ada drinks  oolong.', x'00', 2, '2025-03-04', 'u3', '2025-03-04 09:00:02'),
    (4, 'f-4', 2, 'Learns Japanese', x'00', 1, NULL, 'u4', '2025-03-02 10:00:01'),
    (5, 'f-5', 1, '   ', x'00', 1, NULL, 'u5', NULL);
INSERT INTO memori_entity_fact_mention (id, fact_id, message_id) VALUES (1, 1, 1), (2, 1, 3), (3, 2, 3);
INSERT INTO memori_process_attribute VALUES (1, 1, 'polite');
INSERT INTO memori_subject VALUES (1, 'Ada', 'person'), (2, 'Grace', 'person');
INSERT INTO memori_predicate VALUES (1, 'lives_in'), (2, 'works_with');
INSERT INTO memori_object VALUES (1, 'Berlin', 'city'), (2, 'compilers', 'thing');
INSERT INTO memori_knowledge_graph VALUES
    (1, 1, 1, 1, 1, 2, '2025-03-01 10:00:07'), (2, 1, 2, 2, 2, 4, '2025-03-03 08:00:00');
"""
ADA = Attribution("ada")
ONE = Attribution("1")


def make(path: Path, *statements: str) -> str:
    connection = sqlite3.connect(path)
    for script in statements or (SCHEMA, ROWS):
        connection.executescript(script)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


@pytest.fixture
def theirs(tmp_path: Path) -> str:
    return make(tmp_path / "memori3.db")


@pytest.fixture
def ours(database: str) -> Iterator[Memori]:
    with Memori(database, embedder="hashing", extractor="none") as memori:
        yield memori


def bring(source: str, memori: Memori) -> dict[str, int]:
    """Copy everything; return what was new."""
    reading = Source(source)
    entities = reading.inventory().entities
    copied = [copy_messages(reading, memori, entity, lambda _: None) for entity in entities]
    memori.augmentation.wait()
    for entity, done in zip(entities, copied, strict=True):
        copy_facts(reading, memori, entity, done, lambda _: None)
    return {
        "messages": sum(one.messages for one in copied),
        "facts": sum(one.facts for one in copied),
        "triples": sum(one.triples for one in copied),
    }


def everything(memori: Memori) -> list[object]:
    """All that is kept of both people, without what depends on the time of copying."""
    return [
        part
        for who in (ADA, ONE)
        for part in (
            [(one.message.id, one.position, one.conversation_id) for one in memori.messages(attribution=who)],
            sorted((one.id, one.text, one.mentions, one.revision) for one in facts(memori, who)),
            sorted(memori.graph(attribution=who), key=str),
        )
    ]


def facts(memori: Memori, who: Attribution):
    return memori.facts(attribution=who, kinds=None)


def fact(memori: Memori, who: Attribution, text: str):
    [found] = [one for one in facts(memori, who) if one.text == text]
    return found


def command(*arguments: str) -> Result:
    return CliRunner().invoke(build(), ["import", *arguments])


def test_messages_come_over_with_their_session_process_order_role_and_time(theirs, ours) -> None:
    bring(theirs, ours)

    stored = ours.messages(attribution=Attribution("ada", "bot", "session-ada"))
    assert [(one.message.role, one.message.content) for one in stored] == [
        ("user", "I moved to Berlin."),
        ("assistant", "How is it there?"),
        ("user", "I drink oolong now."),
    ]
    assert stored[0].message.created_at == datetime(2025, 3, 1, 10, tzinfo=UTC)
    assert [one.conversation_id for one in stored] == ["c-1", "c-1", "c-2"]


def test_facts_come_over_with_their_date_their_mentions_and_the_message_that_said_them(theirs, ours) -> None:
    bring(theirs, ours)

    berlin = fact(ours, ADA, "Ada lives in Berlin")
    first = ours.messages(attribution=Attribution("ada", "bot", "session-ada"))[0]
    assert berlin.said_at == datetime(2025, 3, 1, 10, 0, 7, tzinfo=UTC)
    assert berlin.mentions == 3
    assert (berlin.message_key, berlin.session_id, berlin.position) == (first.key, "session-ada", 0)


def test_facts_of_the_same_words_become_one_whose_mentions_add_up(theirs, ours) -> None:
    bring(theirs, ours)

    oolong = [one for one in facts(ours, ADA) if "oolong" in one.text]
    assert [(one.mentions, one.said_at) for one in oolong] == [(3, datetime(2025, 3, 4, 9, 0, 2, tzinfo=UTC))]


def test_a_triple_joins_the_fact_that_says_it_and_else_becomes_one(theirs, ours) -> None:
    bring(theirs, ours)

    found = {(one.subject, one.predicate, one.object) for one in ours.graph(attribution=ADA)}
    assert found == {("Ada", "lives_in", "Berlin"), ("Grace", "works_with", "compilers")}
    alone = fact(ours, ADA, "Grace works with compilers")
    assert (alone.kind, alone.mentions) == ("relationship", 4)
    assert len([one for one in facts(ours, ADA) if "Berlin" in one.text]) == 1


def test_what_came_over_is_recalled_and_what_was_said_is_too(theirs, ours) -> None:
    bring(theirs, ours)

    assert ours.recall("Where does Ada live? Berlin", attribution=ADA)[0].text in (
        "Ada lives in Berlin",
        "I moved to Berlin.",
    )
    assert {"I drink oolong now.", "Ada drinks oolong"} & {
        one.text for one in ours.recall("oolong", attribution=ADA, kinds=["episode"])
    }
    assert [one.text for one in ours.recall("日本語", attribution=ONE)] == ["日本語を勉強しています。"]


def test_nobody_gets_what_is_another_s_even_where_an_id_looks_like_a_row_number(theirs, ours) -> None:
    bring(theirs, ours)

    assert [one.text for one in facts(ours, ONE)] == ["Learns Japanese"]
    assert [one.message.content for one in ours.messages(attribution=ONE)] == ["日本語を勉強しています。"]
    assert ours.graph(attribution=ONE) == []


def test_bringing_it_over_twice_brings_it_once(theirs, ours) -> None:
    bring(theirs, ours)
    before = everything(ours)

    again = bring(theirs, ours)

    assert again == {"messages": 0, "facts": 0, "triples": 0}
    assert everything(ours) == before
    assert ours.augmentation.status().pending == 0


@pytest.mark.parametrize("reached", range(1, 6))
def test_a_run_that_was_cut_off_anywhere_is_gone_on_with(theirs, ours, tmp_path, reached, monkeypatch) -> None:
    with Memori(f"sqlite:///{tmp_path / 'whole.db'}", embedder="hashing", extractor="none") as whole:
        bring(theirs, whole)
        expected = [contents(whole, who) for who in (ADA, ONE)]
    writes = 0
    storage = ours.config.storage

    def cut(method):
        def run(*given, **named):
            nonlocal writes
            writes += 1
            if writes == reached:
                raise KeyboardInterrupt
            return method(*given, **named)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", cut(storage.append))
        patch.setattr(storage, "apply", cut(storage.apply))
        with pytest.raises(KeyboardInterrupt):
            bring(theirs, ours)

    bring(theirs, ours)

    assert [contents(ours, who) for who in (ADA, ONE)] == expected


def contents(memori: Memori, who: Attribution) -> list[object]:
    kinds = ("fact", "relationship", "episode")
    return [
        [(one.message.id, one.position) for one in memori.messages(attribution=who)],
        sorted((one.text, one.mentions) for one in memori.facts(attribution=who, kinds=kinds)),
        sorted(map(str, memori.graph(attribution=who))),
    ]


def test_what_was_forgotten_here_does_not_come_back(theirs, ours) -> None:
    bring(theirs, ours)
    for text in ("Ada lives in Berlin", "Grace works with compilers"):
        ours.forget(fact(ours, ADA, text).id, attribution=ADA)

    bring(theirs, ours)

    assert [one.text for one in facts(ours, ADA)] == ["ada drinks  oolong."]


def test_a_fact_known_here_already_is_not_doubled(theirs, ours) -> None:
    ours.remember("ADA lives in Berlin.", attribution=ADA)

    bring(theirs, ours)

    assert len([one for one in facts(ours, ADA) if "berlin" in one.text.casefold()]) == 1


def test_two_namespaces_can_each_bring_the_same_database_over(theirs, ours, database) -> None:
    bring(theirs, ours)
    with Memori(database, namespace="second", embedder="hashing", extractor="none") as second:
        copied = bring(theirs, second)

        assert copied["facts"] == 4
        assert len(facts(second, ADA)) == len(facts(ours, ADA)) == 3


def test_a_plugin_may_veto_and_quarantine_what_comes_over(theirs, database) -> None:
    class Gatekeeper:
        @hookimpl
        def memori_fact_proposed(self, fact):
            return {"Ada lives in Berlin": "veto", "Learns Japanese": "quarantine"}.get(fact.text)

    with Memori(database, embedder="hashing", extractor="none", plugins=[Gatekeeper()]) as memori:
        bring(theirs, memori)

        assert "Ada lives in Berlin" not in [one.text for one in facts(memori, ADA)]
        assert facts(memori, ONE) == []
        assert [one.text for one in memori.facts(attribution=ONE, statuses=["quarantined"])] == ["Learns Japanese"]


def test_their_database_is_not_changed_by_a_byte(theirs, ours, tmp_path) -> None:
    file = tmp_path / "memori3.db"
    before = hashlib.sha256(file.read_bytes()).hexdigest()

    bring(theirs, ours)

    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    with Source(theirs)._database.read() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM memori_entity")


def test_a_database_in_write_ahead_mode_is_read(tmp_path, ours) -> None:
    source = make(tmp_path / "wal.db", "PRAGMA journal_mode = WAL;", SCHEMA, ROWS)

    assert bring(source, ours)["facts"] == 4


def test_other_names_and_types_of_columns_are_understood(tmp_path, ours) -> None:
    source = make(
        tmp_path / "other.db",
        """
        CREATE TABLE memori_entity (id BLOB PRIMARY KEY, external_id TEXT);
        CREATE TABLE memori_session (id BLOB PRIMARY KEY, entity_id BLOB);
        CREATE TABLE memori_conversation (id BLOB PRIMARY KEY, session_id BLOB);
        CREATE TABLE memori_conversation_message (
            id BLOB, conversation_id BLOB, role TEXT, text TEXT, created_at INTEGER
        );
        CREATE TABLE memori_entity_fact (id BLOB, entity_id BLOB, fact TEXT, mention_count TEXT, created_at REAL);
        INSERT INTO memori_entity VALUES (x'00112233445566778899aabbccddeeff', 'ada');
        INSERT INTO memori_session VALUES (x'ff112233445566778899aabbccddeeff', x'00112233445566778899aabbccddeeff');
        INSERT INTO memori_conversation VALUES (x'01', x'ff112233445566778899aabbccddeeff');
        INSERT INTO memori_conversation_message VALUES (x'02', x'01', 'HUMAN', 'hello', 1740823200000);
        INSERT INTO memori_entity_fact VALUES
            (x'03', x'00112233445566778899aabbccddeeff', 'Ada says hello', '7', 1740823200.0);
        """,
    )

    bring(source, ours)

    [message] = ours.messages(attribution=ADA)
    assert message.session_id == "ff112233-4455-6677-8899-aabbccddeeff"
    assert message.message.created_at == datetime(2025, 3, 1, 10, tzinfo=UTC)
    hello = fact(ours, ADA, "Ada says hello")
    assert (hello.mentions, hello.said_at) == (7, datetime(2025, 3, 1, 10, tzinfo=UTC))


def test_text_that_is_not_utf_8_and_ids_that_cannot_be_used_cost_nobody_else_anything(tmp_path, ours) -> None:
    source = make(
        tmp_path / "odd.db",
        SCHEMA,
        ROWS,
        "INSERT INTO memori_entity (id, external_id) VALUES (4, ''), (5, printf('%.300c', 'x'));"
        "INSERT INTO memori_entity_fact (id, entity_id, content) VALUES"
        " (6, 4, 'nobody'), (7, 1, CAST(x'ff41' AS TEXT)), (8, 99, 'orphan');",
    )

    assert bring(source, ours)["facts"] == 5
    assert Source(source).inventory().left_behind[0] == "1 facts belong to no entity."


def test_a_dry_run_shows_what_there_is_by_entity_and_writes_nothing(theirs, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    shown = command("--from-memori", theirs)

    assert shown.exit_code == 0, shown.output
    rows = {line.split()[0]: line.split()[1:] for line in shown.output.splitlines() if line.strip()}
    assert rows["Entity"] == ["Facts", "Mentions", "Conversations", "Messages", "Triples"]
    assert rows["ada"] == ["4", "3", "2", "4", "2"]
    assert rows["1"] == ["1", "0", "1", "1", "0"]
    assert rows["quiet"] == ["0"] * 5
    assert "1 attributes of processes" in shown.output
    assert "1 summaries of conversations" in shown.output
    assert "--apply" in shown.output
    assert [path.name for path in tmp_path.iterdir()] == ["memori3.db"]


def test_the_dry_run_says_which_tables_and_columns_it_did_not_find(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = make(
        tmp_path / "less.db",
        "CREATE TABLE memori_entity (id INTEGER, external_id TEXT);"
        "CREATE TABLE memori_entity_fact (id INTEGER, entity_id INTEGER, content TEXT);"
        "CREATE TABLE memori_session (id INTEGER, somebody INTEGER);",
    )

    shown = command("--from-memori", source)

    assert shown.exit_code == 0, shown.output
    assert "There is no table memori_conversation_message" in shown.output
    assert "memori_entity_fact has no column for its count (num_times" in shown.output
    assert "memori_session has no column for its entity (entity_id): the table is not read" in shown.output


def test_the_command_copies_when_told_to_and_says_what_it_left(theirs, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMORI_EMBEDDER", "hashing")
    target = f"sqlite:///{tmp_path / 'new.db'}"

    done = command("--from-memori", theirs, "--apply", "--database", target)
    again = command("--from-memori", theirs, "--apply", "--database", target)

    assert done.exit_code == again.exit_code == 0, done.output + again.output
    rows = [
        {line.split()[0]: line.split()[1:] for line in one.output.splitlines() if line.strip()} for one in (done, again)
    ]
    assert rows[0]["ada"] == ["3", "0", "3", "0", "2"]
    assert rows[1]["ada"] == ["0", "3", "0", "3", "0"]
    assert "1 messages with the role 'oracle'" in done.output
    assert "1 facts without a text" in done.output
    with Memori(target, embedder="hashing") as memori:
        assert len(memori.facts(attribution=ADA, kinds=["episode"])) == 3
        assert {one.extractor for one in facts(memori, ADA)} == {"memori 3"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from-memori", "sqlite:///nowhere.db"), "There is no database at nowhere.db"),
        (("--from-memori", "nonsense"), "cannot be read"),
        (("--from-memori", "mongodb://localhost/x"), "SQLite, PostgreSQL, MySQL or MariaDB"),
        (("--from-memori", "sqlite:///empty.db"), "has no table memori_entity"),
        (("--from-memori", "sqlite:///ours.db"), "made by this Memori"),
        (("--from-memori", "postgresql://ada:secret@127.0.0.1:1/x"), "127.0.0.1"),
        (("--from-memori", "sqlite:///theirs.db", "--apply", "--database", "sqlite:///theirs.db"), "another database"),
        (("--from-memori", "sqlite:///theirs.db", "chat.jsonl"), "leave out FILE"),
        (("--apply", "chat.jsonl", "--entity", "ada"), "--apply goes with --from-memori"),
        ((), "name a FILE"),
    ],
)
def test_what_cannot_be_brought_over_is_refused_with_the_way_out(tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    make(tmp_path / "theirs.db")
    make(tmp_path / "empty.db", "CREATE TABLE something (id INTEGER);")
    with Memori("sqlite:///ours.db", embedder="hashing", extractor="none") as memori:
        memori.config.storage.build()

    shown = command(*arguments)

    assert shown.exit_code in (1, 2)
    assert said in shown.output
    assert "secret" not in shown.output
    assert "Traceback" not in shown.output


def test_a_database_of_theirs_can_be_opened_only_when_it_is_one(tmp_path) -> None:
    with pytest.raises(MemoriError, match="no table memori_entity"):
        Source(make(tmp_path / "x.db", "CREATE TABLE x (id INTEGER);"))


@pytest.mark.parametrize("server", [servers.postgresql, servers.mariadb])
def test_a_database_on_a_server_is_read_and_not_written(server, ours) -> None:
    with server().database() as url:
        script = SCHEMA + ROWS
        on_this_server = {"DATETIME": "TIMESTAMP NULL", "x'00'": "NULL", "TEXT UNIQUE": "VARCHAR(99) UNIQUE"}
        if url.startswith("postgresql"):
            on_this_server["BLOB"] = "BYTEA"
        else:
            script = f"ALTER DATABASE {make_url(url).database} CHARACTER SET utf8mb4; {script}"
        for there, here in on_this_server.items():
            script = script.replace(there, here)
        server().execute(*(one for one in script.split(";") if one.strip()), database=url)

        copied = bring(url, ours)

        assert copied == {"messages": 4, "facts": 4, "triples": 2}
        assert fact(ours, ADA, "Ada lives in Berlin").said_at == datetime(2025, 3, 1, 10, 0, 7, tzinfo=UTC)
        with pytest.raises(StorageError, match=r"(?i)read.only"), Source(url)._database.read() as connection:
            connection.exec_driver_sql("DELETE FROM memori_entity")
