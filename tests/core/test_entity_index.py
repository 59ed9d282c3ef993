"""One entity's memories in memory: what may be returned, how close it is, and how much room it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from memori.conformance.samples import ADA, SPACE, new_fact, said, turn
from memori.model import Attribution
from memori.recall.entity_index import EntityIndex
from memori.recall.index.faiss import FaissIndex
from memori.recall.index_cache import IndexCache
from memori.storage.records import Delta, EntityState, FactChanges, IndexRow, StorageOptions
from memori.storage.sql.storage import SQLStorage

NOW = datetime(2024, 5, 1, tzinfo=UTC)
X, Y, Z = np.eye(3, dtype=np.float32)
EVERYTHING = {"kinds": None, "as_of": None}


def row(fact_id, text="tea", *, vectors=(X,), **fields):
    given = {
        "kind": "fact", "status": "active", "speaker": None, "session_id": None, "position": None,
        "said_at": NOW, "valid_from": None, "valid_to": None,
    }  # fmt: skip
    return IndexRow(fact_id, text, **{**given, **fields}, vectors=None if vectors is None else np.stack(vectors))


def index_of(*rows, revision=1):
    index = EntityIndex(FaissIndex(3))
    index.apply(Delta(EntityState(revision, "g"), rows))
    return index


def nearest(index, query, limit=10, **which):
    numbers, products = index.nearest(query, limit, index.allowed(**{**EVERYTHING, **which}))
    return [(index.rows[number].fact_id, round(product, 3)) for number, product in zip(numbers, products, strict=True)]


def test_a_row_of_several_passages_is_found_by_its_best_one_and_once():
    index = index_of(
        row("long", vectors=(X, Y, (X + Y) / 2)), row("short", vectors=(0.9 * Y,)), row("far", vectors=(Z,))
    )

    assert nearest(index, Y) == [("long", 1.0), ("short", 0.9), ("far", 0.0)]
    assert nearest(index, X, 1) == [("long", 1.0)]


def test_passages_take_no_places_from_other_rows():
    many = tuple(X * (1 - n / 100) for n in range(40))
    index = index_of(row("long", vectors=many), *(row(f"r{n}", vectors=(X * 0.1 + Y * n / 100,)) for n in range(5)))

    assert len(nearest(index, X, 4)) == 4
    assert len(nearest(index, X, 10)) == 6


def test_closeness_is_that_of_the_best_passage_and_nothing_without_vectors():
    index = index_of(row("a", vectors=(X, Y)), row("words only", vectors=None), row("b", vectors=(0.5 * Z, -Y)))

    assert index.closeness([2, 0, 1, 0], Y).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert index.closeness([2], -Y).tolist() == [1.0]
    assert index.closeness([0, 1], None).tolist() == [0.0, 0.0]
    assert index.closeness([], X).tolist() == []
    assert list(index.embedded) == [1, 0, 1]


def test_a_changed_row_loses_all_its_passages():
    index = index_of(row("a", vectors=(X, Y)), row("b", vectors=(Z,)))
    index.apply(Delta(EntityState(2, "g"), [row("a", vectors=(0.1 * X,))]))

    assert nearest(index, Y)[0][1] <= 0.0
    assert len(index.vectors) == 2
    index.apply(Delta(EntityState(3, "g"), [row("a", status="forgotten"), row("b", status="forgotten")]))
    assert nearest(index, X) == []
    assert len(index.vectors) == 0


def test_hidden_rows_take_no_places():
    hidden = [row(f"h{n}", status="superseded") for n in range(200)]
    others = [row(f"e{n}", kind="event") for n in range(200)]
    index = index_of(*hidden, *others, row("seen", vectors=(0.2 * X,)))

    assert nearest(index, X, 1, kinds=["fact"]) == [("seen", 0.2)]
    assert len(nearest(index, X, 250, as_of=NOW, kinds=["fact"])) == 201


def test_what_is_over_by_now_is_no_longer_allowed():
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    index = index_of(row("ends", valid_to=soon), row("stays"))
    before = index.allowed(**EVERYTHING)
    before[:] = False
    still = index.allowed(**EVERYTHING).tolist()
    while datetime.now(UTC) <= soon:
        pass

    assert still == [True, True]
    assert index.allowed(**EVERYTHING).tolist() == [False, True]
    assert index.allowed(kinds=None, as_of=NOW).tolist() == [True, True]


@pytest.fixture
def storage(tmp_path):
    opened = SQLStorage(f"sqlite:///{tmp_path / 'memory.db'}", StorageOptions())
    yield opened
    opened.close()


def fill(storage, who, count=50):
    storage.append(who, turn(*said("first")))
    facts = tuple(new_fact(f"fact {n} of {who.entity_id}") for n in range(count))
    storage.apply(who, FactChanges(facts, space=SPACE), expected=None, now=NOW)


def test_the_longest_unused_index_goes_when_there_is_no_more_room(storage):
    people = [Attribution(f"person {n}", "bot", namespace="default") for n in range(4)]
    for who in people:
        fill(storage, who)
    one = IndexCache(FaissIndex).current(storage, people[0], SPACE).size
    cache = IndexCache(FaissIndex, capacity=int(2.5 * one))
    kept = [cache.current(storage, who, SPACE) for who in people[:2]]
    assert cache.current(storage, people[0], SPACE) is kept[0]
    cache.current(storage, people[2], SPACE)

    assert len(cache) == 2
    assert cache.current(storage, people[0], SPACE) is kept[0]
    assert cache.current(storage, people[1], SPACE) is not kept[1]


def test_an_entity_larger_than_the_room_is_still_answered(storage):
    fill(storage, ADA)
    cache = IndexCache(FaissIndex, capacity=1)

    assert len(cache.current(storage, ADA, SPACE)) == 50
    assert cache.current(storage, ADA, SPACE) is cache.current(storage, ADA, SPACE)


def test_what_is_deleted_while_the_index_is_brought_up_to_date_is_not_kept(storage):
    fill(storage, ADA)
    cache = IndexCache(FaissIndex)
    cache.current(storage, ADA, SPACE)
    fill(storage, ADA, 1)

    class Erased:
        def state(self, who):
            state = storage.state(who)
            storage.erase(who)
            for _ in range(4):
                fill(storage, who, 2)
            return state

        changes_since = staticmethod(storage.changes_since)

    index = cache.current(Erased(), ADA, SPACE)

    assert len(index) == 8
    assert index.generation == storage.state(ADA).generation
