"""How many statements an operation takes does not grow with how much it is given."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from memori.conformance.samples import ADA, NOW, SPACE, new_fact, said, turn
from memori.model import Triple
from memori.storage.records import FactChanges, Retirement, StorageOptions
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import event


@pytest.fixture
def storage(tmp_path):
    opened = SQLStorage(f"sqlite:///{tmp_path / 'memory.db'}", StorageOptions())
    opened.append(ADA, turn(*said("first")))
    yield opened
    opened.close()


@contextmanager
def counted(storage):
    statements = []

    def note(connection, cursor, statement, *_):
        statements.append(statement)

    event.listen(storage._database._engine, "before_cursor_execute", note)
    yield statements
    event.remove(storage._database._engine, "before_cursor_execute", note)


def facts(count, **fields):
    new = (new_fact(f"fact {n} of {count}", **fields) for n in range(count))
    return tuple(replace(one, triples=tuple(Triple(f"s{n}", f"p{n}", one.fact.text) for n in range(3))) for one in new)


def test_appending_one_message_or_many(storage):
    counts = []
    for number, size in enumerate((1, 50)):
        messages = said(*(f"{number}.{n}" for n in range(size)), ids=[f"{number}.{n}" for n in range(size)])
        with counted(storage) as statements:
            assert storage.append(ADA, turn(*messages)).stored == size
        counts.append(len(statements))

    assert counts[0] == counts[1] <= 10


def test_a_turn_that_is_new_for_certain_is_not_compared_with_what_is_stored(storage):
    with counted(storage) as statements:
        assert storage.append(ADA, turn(*said("and", "now"), resent=0)).stored == 2

    assert len(statements) <= 7


@pytest.mark.parametrize("more", [1, 50])
def test_learning_one_fact_or_many(storage, more):
    storage.lease(limit=5, seconds=60, now=NOW + timedelta(seconds=1))
    with counted(storage) as statements:
        storage.apply(ADA, FactChanges(facts(more), space=SPACE), expected=None, now=NOW)

    assert len(statements) <= 16


@pytest.mark.parametrize("more", [1, 50])
def test_retiring_and_mentioning_one_fact_or_many(storage, more):
    old, kept = facts(more), facts(more)
    storage.apply(ADA, FactChanges((*old, *kept), space=SPACE), expected=None, now=NOW)
    changes = FactChanges(
        retire=tuple(Retirement(one.fact.id, "superseded", new.fact.id) for one, new in zip(old, kept, strict=True)),
        mentions=tuple((one.fact.id, f"message {n}") for n, one in enumerate(kept)),
    )

    with counted(storage) as statements:
        storage.apply(ADA, changes, expected=None, now=NOW)

    assert len(statements) <= 12
    found = {fact.id: fact for fact in storage.facts(ADA, statuses=())}
    assert all(found[one.fact.id].superseded_by == new.fact.id for one, new in zip(old, kept, strict=True))
    assert all(found[one.fact.id].mentions == 2 for one in kept)


def test_a_fact_mentioned_twice_counts_twice(storage):
    (tea,) = facts(1)
    storage.apply(ADA, FactChanges((tea,), space=SPACE), expected=None, now=NOW)
    mentions = ((tea.fact.id, "m1"), (tea.fact.id, "m2"), (tea.fact.id, "m2"), (tea.fact.id, None))

    storage.apply(ADA, FactChanges(mentions=mentions), expected=None, now=NOW)

    assert storage.facts(ADA)[0].mentions == 5


def test_leasing_takes_one_statement_more_per_job(storage):
    counts = []
    for size in (2, 8):
        for n in range(size):
            storage.append(ADA, turn(*said(f"{size}.{n}"), resent=0))
        with counted(storage) as statements:
            jobs = storage.lease(limit=size, seconds=60, now=NOW + timedelta(seconds=1))
        counts.append(len(statements) - len(jobs))
        storage.lease(limit=100, seconds=60, now=NOW + timedelta(seconds=1))

    assert counts[0] == counts[1] <= 6
