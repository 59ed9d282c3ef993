"""What every vector index that processes share must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..client import Memori
from ..embedding.base import Space
from ..model import Attribution
from ..recall.index.base import SharedIndex
from ..recall.shared import SharedCandidates
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges, FactVectors, NewFact, Retirement
from .samples import ADA, BOB, NOW, SPACE, new_fact

OTHER = Space("test", "unit", 3)
QUERY = np.array([1, 0, 0, 0], dtype=np.float32)
DAY = timedelta(days=1)


class SharedIndexConformance:
    """Subclass it and supply the fixture `shared_index`: an index on the fixture `storage` that holds nothing yet.

    `storage` is an empty SQLite file; give another where the index belongs to a database.
    """

    least_recall = 1.0
    """The share of the true nearest neighbours that a search must find. Below 1 for an approximate index only."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        """Where the facts are."""
        with Memori(f"sqlite:///{tmp_path / 'facts.db'}", embedder="hashing", extractor="none") as memori:
            yield memori.config.storage

    @pytest.fixture
    def shared_index(self, storage: Storage) -> SharedIndex:
        """The index to test."""
        raise NotImplementedError("Supply a fixture `shared_index` that returns an empty SharedIndex on `storage`.")

    def test_knows_nothing_at_first(self, shared_index: SharedIndex) -> None:
        """Before the first write nothing is there, and asking, searching and erasing is no error."""
        assert shared_index.state(ADA, SPACE) == EntityState()
        assert shared_index.search(ADA, SPACE, QUERY, 5) == []
        shared_index.erase(ADA)

    def test_finds_the_nearest_best_first(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Compare by inner product, and order from the highest down."""
        vectors = unit(200)
        ids = filled(storage, shared_index, ADA, vectors)
        found = 0
        for query in unit(10, seed=2):
            truth = dict(zip(ids, (vectors @ query).tolist(), strict=True))
            answer = shared_index.search(ADA, SPACE, query, 10)

            assert len(answer) == 10
            assert [truth[one] for one in answer] == sorted((truth[one] for one in answer), reverse=True)
            found += len(set(answer) & set(sorted(ids, key=lambda one: -truth[one])[:10]))

        assert found >= self.least_recall * 10 * 10

    @pytest.mark.parametrize(("limit", "expected"), [(1, 1), (3, 3), (100, 3), (10_000, 3), (0, 0), (-1, 0)])
    def test_returns_no_more_than_there_is_or_was_asked_for(
        self, storage: Storage, shared_index: SharedIndex, limit: int, expected: int
    ) -> None:
        """A limit beyond what there is, or of 0 or less, is no error."""
        filled(storage, shared_index, ADA, unit(3))

        assert len(shared_index.search(ADA, SPACE, QUERY, limit)) == expected

    def test_an_entity_sees_its_own_and_all_it_has(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Put the entity and its namespace into the query: what is filtered afterwards takes places meanwhile."""
        far, near = np.tile(-QUERY, (5, 1)), np.tile(QUERY, (60, 1))
        namesake = replace(ADA, namespace="another")
        mine, theirs = filled(storage, shared_index, ADA, far), filled(storage, shared_index, BOB, near)
        other = filled(storage, shared_index, namesake, near[:2])

        assert set(shared_index.search(ADA, SPACE, QUERY, 5)) == set(mine)
        assert set(shared_index.search(BOB, SPACE, QUERY, 100)) == set(theirs)
        assert set(shared_index.search(namesake, SPACE, QUERY, 100)) == set(other)
        assert shared_index.search(Attribution("nobody", namespace="conformance"), SPACE, QUERY, 5) == []

    def test_says_what_it_is_current_to(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Note the delta's revision and generation, of this entity and this space alone."""
        filled(storage, shared_index, ADA, unit(3))

        assert shared_index.state(ADA, SPACE) == storage.state(ADA)
        assert shared_index.state(BOB, SPACE) == shared_index.state(ADA, OTHER) == EntityState()

    def test_the_same_delta_again_changes_nothing(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Make ids of points from the facts, so that two processes that write the same write it once."""
        ids = filled(storage, shared_index, ADA, unit(5))
        delta = storage.changes_since(ADA, SPACE, -1)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: shared_index.update(ADA, SPACE, delta), range(8)))

        assert sorted(shared_index.search(ADA, SPACE, QUERY, 50)) == sorted(ids)
        assert shared_index.state(ADA, SPACE) == delta.state

    def test_an_older_delta_is_passed_over(self, storage: Storage, shared_index: SharedIndex) -> None:
        """A slow process must not bring back what another has taken out meanwhile."""
        ids = filled(storage, shared_index, ADA, unit(5))
        old = storage.changes_since(ADA, SPACE, -1)
        retire(storage, ADA, Retirement(ids[0], "forgotten"))
        follow(storage, shared_index, ADA)
        shared_index.update(ADA, SPACE, old)

        assert sorted(shared_index.search(ADA, SPACE, QUERY, 50)) == sorted(ids[1:])
        assert shared_index.state(ADA, SPACE) == storage.state(ADA)

    def test_what_changed_is_enough(self, storage: Storage, shared_index: SharedIndex) -> None:
        """A delta from the index's revision adds and takes out; what it does not name stays."""
        ids = filled(storage, shared_index, ADA, unit(5))
        known = shared_index.state(ADA, SPACE).revision
        retire(storage, ADA, Retirement(ids[1], "forgotten"))
        (late,) = added(storage, ADA, [new_fact("late", vector=(0, 0, 0, 1))])
        shared_index.update(ADA, SPACE, storage.changes_since(ADA, SPACE, known))

        assert sorted(shared_index.search(ADA, SPACE, QUERY, 50)) == sorted([ids[0], *ids[2:], late])

    def test_another_generation_begins_anew(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Something was deleted for good: what the index had of the entity goes first, of the others it stays."""
        filled(storage, shared_index, ADA, unit(5))
        theirs = filled(storage, shared_index, BOB, unit(2))
        storage.erase(ADA)
        ids = added(storage, ADA, [new_fact("anew", vector=(0, 1, 0, 0))])
        shared_index.update(ADA, SPACE, storage.changes_since(ADA, SPACE, -1))

        assert shared_index.search(ADA, SPACE, QUERY, 50) == ids
        assert shared_index.state(ADA, SPACE) == storage.state(ADA)
        assert sorted(shared_index.search(BOB, SPACE, QUERY, 50)) == sorted(theirs)

    def test_a_delta_of_a_former_generation_is_passed_over(self, storage: Storage, shared_index: SharedIndex) -> None:
        """A process that read before the entity was erased must not put back what it read."""
        filled(storage, shared_index, ADA, unit(5))
        old = storage.changes_since(ADA, SPACE, -1)
        storage.erase(ADA)
        ids = added(storage, ADA, [new_fact("anew", vector=(0, 1, 0, 0))])
        for _ in range(2):
            shared_index.update(ADA, SPACE, old)
            follow(storage, shared_index, ADA)

        assert shared_index.search(ADA, SPACE, QUERY, 50) == ids

    def test_vectors_dropped_from_another_space_go_too(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Deleting an embedder's vectors for good is a new generation: no space keeps what it had of the former."""
        filled(storage, shared_index, ADA, unit(1))
        added(storage, ADA, [replace(new_fact("x"), vectors=np.eye(1, 3, dtype=np.float32))], space=OTHER)
        shared_index.update(ADA, OTHER, storage.changes_since(ADA, OTHER, -1))
        one = np.eye(1, 3, dtype=np.float32)
        missing = [FactVectors(fact, one) for fact in storage.unembedded(ADA, OTHER, window=0, limit=9)]
        storage.add_vectors(ADA, missing, OTHER)
        storage.activate(ADA, OTHER, drop_old=True)
        shared_index.update(ADA, OTHER, storage.changes_since(ADA, OTHER, -1))

        assert shared_index.search(ADA, SPACE, QUERY, 50) == []
        assert len(shared_index.search(ADA, OTHER, np.eye(1, 3, dtype=np.float32)[0], 50)) == 2

    def test_erasing_leaves_nothing_and_can_be_made_good(self, storage: Storage, shared_index: SharedIndex) -> None:
        """The entity goes in every space, and nobody else's. What is stored can be indexed again."""
        ids = filled(storage, shared_index, ADA, unit(5))
        theirs = filled(storage, shared_index, BOB, unit(2))
        shared_index.erase(ADA)

        assert shared_index.state(ADA, SPACE) == EntityState()
        assert shared_index.search(ADA, SPACE, QUERY, 50) == []
        assert sorted(shared_index.search(BOB, SPACE, QUERY, 50)) == sorted(theirs)
        follow(storage, shared_index, ADA)
        assert sorted(shared_index.search(ADA, SPACE, QUERY, 50)) == sorted(ids)

    def test_spaces_are_kept_apart(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Vectors of another embedder are not compared, whatever their dimension."""
        (here,) = filled(storage, shared_index, ADA, unit(1))
        (there,) = added(storage, ADA, [replace(new_fact("x"), vectors=np.eye(1, 3, dtype=np.float32))], space=OTHER)
        for space in (SPACE, OTHER):
            shared_index.update(ADA, space, storage.changes_since(ADA, space, -1))

        assert shared_index.search(ADA, SPACE, QUERY, 50) == [here]
        assert shared_index.search(ADA, OTHER, np.eye(1, 3, dtype=np.float32)[0], 50) == [there]
        shared_index.erase(ADA)
        assert shared_index.search(ADA, OTHER, np.eye(1, 3, dtype=np.float32)[0], 50) == []

    def test_kinds_take_no_place_from_each_other(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Filter inside the search: the one of the kind is found, however many others are nearer."""
        filled(storage, shared_index, ADA, np.tile(QUERY, (60, 1)))
        (liked,) = added(storage, ADA, [new_fact("likes tea", vector=(-1, 0, 0, 0), kind="preference")])
        follow(storage, shared_index, ADA)

        assert shared_index.search(ADA, SPACE, QUERY, 3, kinds=["preference"]) == [liked]
        assert shared_index.search(ADA, SPACE, QUERY, 3, kinds=["event"]) == []
        assert shared_index.search(ADA, SPACE, QUERY, 3, kinds=[]) == []

    def test_as_of_finds_what_was_true_then(self, storage: Storage, shared_index: SharedIndex) -> None:
        """From `valid_from`, else when it was said, on and before `valid_to`; superseded facts too."""
        old, new = new_fact("lives in Rome", said_at=NOW - 9 * DAY), new_fact("lives in Lima", valid_from=NOW)
        always = new_fact("was born", said_at=None)
        added(storage, ADA, [old, always])
        added(storage, ADA, [new])
        retire(storage, ADA, Retirement(old.fact.id, "superseded", new.fact.id, NOW))
        follow(storage, shared_index, ADA)

        def found(**moment: Any) -> set[str]:
            return set(shared_index.search(ADA, SPACE, QUERY, 9, **moment))

        assert found() == {new.fact.id, always.fact.id}
        assert found(as_of=NOW) == {new.fact.id, always.fact.id}
        assert found(as_of=NOW - DAY) == {old.fact.id, always.fact.id}
        assert found(as_of=NOW - 10 * DAY) == {always.fact.id}

    def test_within_finds_what_began_then(self, storage: Storage, shared_index: SharedIndex) -> None:
        """The first moment belongs to it and the second does not; to the microsecond."""
        days = [new_fact(f"day {n}", said_at=NOW + n * DAY) for n in range(4)]
        undated = new_fact("undated", said_at=None)
        ids = added(storage, ADA, [*days, undated])
        follow(storage, shared_index, ADA)
        moment = timedelta(microseconds=1)

        def found(start: timedelta, end: timedelta) -> set[str]:
            return set(shared_index.search(ADA, SPACE, QUERY, 9, within=(NOW + start, NOW + end)))

        assert found(DAY, 3 * DAY) == {ids[1], ids[2]}
        assert found(DAY + moment, 3 * DAY + moment) == {ids[2], ids[3]}

    def test_a_fact_is_as_near_as_its_best_passage(self, storage: Storage, shared_index: SharedIndex) -> None:
        """Each fact once, wherever its passages rank, and as many facts as were asked for."""
        axes = np.eye(4, dtype=np.float32)
        many = replace(new_fact("long"), vectors=np.concatenate([np.tile(QUERY, (30, 1)), -axes[:1]]))
        last = replace(new_fact("last"), vectors=np.stack([axes[3], axes[0] * np.float32(0.9)]))
        ids = added(storage, ADA, [many, last, new_fact("far", vector=(-1, 0, 0, 0))])
        follow(storage, shared_index, ADA)

        assert shared_index.search(ADA, SPACE, QUERY, 3) == ids
        assert shared_index.search(ADA, SPACE, QUERY, 2) == ids[:2]
        retire(storage, ADA, Retirement(ids[0], "forgotten"))
        follow(storage, shared_index, ADA)
        assert shared_index.search(ADA, SPACE, QUERY, 3) == ids[1:]

    def test_a_fact_without_vectors_is_left_to_its_words(self, storage: Storage, shared_index: SharedIndex) -> None:
        """No error, nothing found, and the index is current all the same."""
        added(storage, ADA, [replace(new_fact("not embedded"), vectors=None)])
        follow(storage, shared_index, ADA)

        assert shared_index.search(ADA, SPACE, QUERY, 5) == []
        assert shared_index.state(ADA, SPACE) == storage.state(ADA)

    def test_a_query_of_a_megabyte_is_answered(self, storage: Storage, shared_index: SharedIndex) -> None:
        """What is asked of the database doesn't grow with the query, and its telling words are found all the same."""
        filled(storage, shared_index, ADA, unit(9))
        (green,) = added(storage, ADA, [new_fact("likes green tea", vector=(-1, 0, 0, 0))])
        follow(storage, shared_index, ADA)
        asked = " ".join([*(f"{number:0199}" for number in range(5000)), "green tea"])

        found, _, failed = SharedCandidates(storage, shared_index).around(
            asked, ADA, SPACE, lambda _: QUERY, limit=3, kinds=None, as_of=None
        )

        assert failed is None
        assert green in {row.fact_id for row in found.rows}


def added(storage: Storage, who: Attribution, facts: Sequence[NewFact], *, space: Space = SPACE) -> list[str]:
    """Store facts, and return their ids."""
    storage.apply(who, FactChanges(tuple(facts), space=space), expected=None, now=NOW)
    return [one.fact.id for one in facts]


def retire(storage: Storage, who: Attribution, what: Retirement) -> None:
    """Take a fact out."""
    storage.apply(who, FactChanges(retire=(what,)), expected=None, now=NOW)


def follow(storage: Storage, index: SharedIndex, who: Attribution) -> None:
    """Bring the index to what is stored, as Memori does after a write."""
    known, stored = index.state(who, SPACE), storage.state(who)
    since = known.revision if known.generation == stored.generation else -1
    index.update(who, SPACE, storage.changes_since(who, SPACE, since))


def filled(storage: Storage, index: SharedIndex, who: Attribution, vectors: NDArray[np.float32]) -> list[str]:
    """Store and index a fact for each vector; return their ids."""
    facts = [new_fact(f"memory number {at}", vector=vector.tolist()) for at, vector in enumerate(vectors)]
    ids = added(storage, who, facts)
    follow(storage, index, who)
    return ids


def unit(count: int, *, seed: int = 1) -> NDArray[np.float32]:
    """`count` vectors of length 1, the same for the same seed."""
    vectors = np.random.default_rng(seed).standard_normal((count, SPACE.dimension))
    scaled: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled
