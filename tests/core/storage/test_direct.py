"""Small reads and writes go straight to SQLite's driver, and nobody can tell."""

import pytest
from memori.storage.sql.direct import rows, write
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    literal,
    literal_column,
    select,
)
from sqlalchemy.exc import IntegrityError, OperationalError

ECHO = select(literal("said").label("what"), bindparam("given", type_=literal("").type).label("back"))


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'memory.db'}")
    yield engine
    engine.dispose()


def test_it_gives_the_rows_that_sqlalchemy_gives(engine):
    with engine.connect() as connection:
        usual = connection.execute(ECHO, {"given": "it's; --"}).all()

        assert [tuple(row) for row in rows(connection, ECHO, {"given": "it's; --"})] == [tuple(row) for row in usual]


def test_a_failure_is_sqlalchemys_and_shows_no_value(engine):
    with engine.connect() as connection, pytest.raises(OperationalError) as raised:
        rows(connection, select(literal_column("nothing"), bindparam("given")), {"given": "secret"})

    assert "nothing" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_who_listens_to_sqlalchemy_hears_of_it(engine):
    heard = []
    event.listen(engine, "before_cursor_execute", lambda *given: heard.append(given[2]))

    with engine.connect() as connection:
        rows(connection, ECHO, {"given": "x"})

    assert len(heard) == 1


KEPT = Table("kept", MetaData(), Column("id", Integer, primary_key=True), Column("text", String, nullable=False))
ADD, CHANGE = KEPT.insert(), KEPT.update().where(KEPT.c.id == bindparam("key"))


@pytest.fixture
def table(engine):
    KEPT.metadata.create_all(engine)
    return engine


@pytest.mark.parametrize("listening", [False, True])
def test_what_is_written_goes_with_the_transaction(table, listening):
    if listening:
        event.listen(table, "before_cursor_execute", lambda *given: None)
    with table.connect() as connection:
        write(connection, ADD, [{"id": 1, "text": "milk"}, {"id": 2, "text": "it's; --"}])
        write(connection, CHANGE, [{"key": 1, "text": "tea"}])
        connection.commit()
        write(connection, CHANGE, [{"key": 2, "text": "gone"}])
        connection.rollback()

        assert [tuple(row) for row in rows(connection, select(KEPT).order_by(KEPT.c.id), {})] == [
            (1, "tea"),
            (2, "it's; --"),
        ]


def test_a_refused_row_is_sqlalchemys_error_and_shows_no_value(table):
    with table.connect() as connection, pytest.raises(IntegrityError) as raised:
        write(connection, ADD, [{"id": 1, "text": "secret"}, {"id": 1, "text": "secret"}])

    assert "kept.id" in str(raised.value)
    assert "secret" not in str(raised.value)
