"""What a recall reads costs what it finds: neither the entity's other facts nor other tenants' make it dearer.

Counted in steps of SQLite's virtual machine, which do not depend on the machine; SQLite has no statistics, so its
plans are the worst ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from memori import Attribution, Fact
from memori.keys import derived_key
from memori.storage.records import FactChanges, NewFact, StorageOptions
from memori.storage.sql.storage import SQLStorage
from sqlalchemy import create_engine, event

ADA = Attribution("ada", namespace="default")
FOUND = 20
STEPS = 50


class Meter:
    """Counts steps, fifty at a time."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self) -> int:
        self.steps += STEPS
        return 0


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def storage(tmp_path, meter) -> Iterator[SQLStorage]:
    engine = create_engine(f"sqlite:///{tmp_path / 'memory.db'}")
    event.listen(engine, "connect", lambda connection, _: connection.set_progress_handler(meter, STEPS))
    made = SQLStorage(engine, StorageOptions())
    yield made
    engine.dispose()


def fill(storage: SQLStorage, entity: str, word: str, number: int) -> list[str]:
    """Give an entity facts that say a word; return their ids."""
    ids = [derived_key(entity, word, place) for place in range(number)]
    facts = tuple(
        NewFact(Fact(key, f"{word} {place}", "fact", slot=f"{word} {place}"), f"{word} {place}", f"{word} {place}")
        for place, key in enumerate(ids)
    )
    storage.apply(
        Attribution(entity, namespace="default"), FactChanges(add=facts), expected=None, now=datetime.now(UTC)
    )
    return ids


def cost(meter: Meter, operation: Callable[[], object]) -> int:
    operation()
    before = meter.steps
    operation()
    return meter.steps - before


@pytest.mark.parametrize("whose", ["ada", "other"])
def test_reading_some_facts_and_finding_words_does_not_cost_more_when_there_are_more_facts(
    storage, meter, whose
) -> None:
    wanted = fill(storage, "ada", "oolong", FOUND)
    fill(storage, "ada", "sencha", 200)
    fill(storage, "other", "oolong", 200)
    operations = {
        "state": lambda: storage.state(ADA),
        "by id": lambda: storage.facts(ADA, ids=wanted),
        "by id, as of": lambda: storage.facts(ADA, ids=wanted, as_of=datetime.now(UTC)),
        "by fingerprint": lambda: storage.facts_by_fingerprint(ADA, ["oolong 1", "oolong 2"]),
        "by slot": lambda: storage.facts(ADA, slots=["oolong 1", "oolong 2"]),
        "by word": lambda: storage.search(ADA, ["oolong"], limit=FOUND),
        "the newest": lambda: storage.facts(ADA, limit=FOUND),
        "the newest of some kinds": lambda: storage.facts(ADA, kinds=["rule", "fact"], limit=FOUND),
        "the newest, as of": lambda: storage.facts(ADA, as_of=datetime.now(UTC), limit=FOUND),
        "none of a kind": lambda: storage.facts(ADA, kinds=["rule"], limit=FOUND),
    }
    assert len(operations["by id"]()) == len(operations["by word"]()) == FOUND
    few = {name: cost(meter, operation) for name, operation in operations.items()}

    fill(storage, whose, "matcha", 5000)

    many = {name: cost(meter, operation) for name, operation in operations.items()}
    assert {name: (few[name], steps) for name, steps in many.items() if steps > 1.5 * few[name] + 2 * STEPS} == {}
