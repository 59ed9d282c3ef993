"""What a recall asks of the database: it writes nothing, and other entities' facts cost it nothing."""

from contextlib import contextmanager

import pytest
from memori import Attribution
from sqlalchemy import event

ADA = Attribution("ada", "bot")
READS = ("SELECT", "BEGIN", "PRAGMA")


@contextmanager
def counted(memori):
    statements = []

    def note(connection, cursor, statement, *_):
        statements.append(" ".join(statement.split()))

    engine = memori._storage._database._engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def steps(memori, statements):
    """How many steps of its virtual machine SQLite takes for those statements."""
    taken = []
    with memori._storage._database._engine.connect() as connection:
        raw = connection.connection.driver_connection
        for statement, parameters in statements:
            count = 0

            def step():
                nonlocal count
                count += 1

            raw.set_progress_handler(step, 1)
            raw.execute(statement, parameters).fetchall()
            raw.set_progress_handler(None, 0)
            taken.append(count)
    return taken


@contextmanager
def recorded(memori):
    statements = []

    def note(connection, cursor, statement, parameters, *_):
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append((statement, parameters))

    engine = memori._storage._database._engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("call", ["recall", "context"])
def test_a_recall_writes_nothing(memori, call):
    for n in range(30):
        memori.remember(f"fact {n} about tea", attribution=ADA)
    for _ in range(2):
        with counted(memori) as statements:
            assert getattr(memori, call)("tea", attribution=ADA)

        assert statements
        assert [statement for statement in statements if not statement.upper().startswith(READS)] == []


def test_the_facts_of_others_add_no_statement_and_no_step_to_a_recall(memori):
    for n in range(20):
        memori.remember(f"fact {n} about tea", attribution=ADA)

    def cost():
        memori._recall.clear()
        took = []
        for _ in ("building the index", "using it"):
            with recorded(memori) as statements:
                assert len(memori.recall("tea", attribution=ADA, limit=10)) == 10
            took.append((len(statements), sum(steps(memori, statements))))
        return took

    def others(first, count):
        for number in range(first, first + count):
            for n in range(20):
                memori.remember(f"fact {n} about tea", attribution=Attribution(f"other {number}", "bot"))

    # Beside nobody's facts a range ends where the table does, which saves a step; so a few come first.
    others(0, 5)
    few = cost()
    others(5, 20)

    assert cost() == few
