"""Small reads go straight to SQLite's driver, and nobody can tell."""

import pytest
from memori.storage.sql.direct import rows
from sqlalchemy import bindparam, create_engine, event, literal, literal_column, select
from sqlalchemy.exc import OperationalError

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
