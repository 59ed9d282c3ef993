"""What every storage promises about embedding spaces. A part of `StorageConformance`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ..embedding.base import Space
from ..keys import new_key
from ..model import Attribution, Fact, Message
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges, FactVectors, NewFact, Retirement, Turn, Unembedded
from ..text import fold, terms

_NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
_ADA = Attribution("ada", "bot", "s1", namespace="conformance")
_BOB = Attribution("bob", "bot", "s1", namespace="conformance")
OLD, NEW = Space("test", "models/old", 4), Space("test", "new", 2)


def _fact(text: str, space: Space | None = OLD, window: Sequence[str] = (), **fields: object) -> NewFact:
    values = {"id": new_key(), "text": text, "kind": "fact", "said_at": _NOW, **fields}
    vectors = None if space is None else _unit(space)
    return NewFact(Fact(**values), " ".join(terms(text)), fold(text).encode().hex()[:64], vectors, tuple(window))  # type: ignore[arg-type]


def _unit(space: Space) -> NDArray[np.float32]:
    return np.eye(1, space.dimension, dtype=np.float32)


def _add(storage: Storage, who: Attribution, *facts: NewFact, space: Space = OLD) -> EntityState:
    return storage.apply(who, FactChanges(facts, space=space), expected=None, now=_NOW)


def _episodes(storage: Storage, who: Attribution, *lines: str) -> list[NewFact]:
    """Episodes of a session, each with up to two before it in its window, as augmentation makes them."""
    storage.append(who, Turn(tuple(Message("user", line) for line in lines), resent=0, now=_NOW))
    made: list[NewFact] = []
    for position, line in enumerate(lines):
        window = [one.fact.id for one in made[-2:]]
        made.append(
            _fact(line, OLD, window, kind="episode", speaker="Ada", session_id=who.session_id, position=position)
        )
    _add(storage, who, *made)
    return made


def _missing(storage: Storage, who: Attribution, space: Space, limit: int = 100) -> list[Unembedded]:
    return storage.unembedded(who, space, window=2, limit=limit)


def _embedded(storage: Storage, who: Attribution, space: Space) -> list[str]:
    return [row.text for row in storage.changes_since(who, space, -1).rows if row.vectors is not None]


def _embed(storage: Storage, who: Attribution, missing: Sequence[Unembedded], space: Space = NEW) -> int:
    return storage.add_vectors(who, [FactVectors(one, _unit(space)) for one in missing], space)


class SpaceConformance:
    """Vectors of two spaces lie side by side, are never mixed, and an entity goes over from one to the other whole."""

    def test_entities_are_paged_each_exactly_once(self, storage: Storage) -> None:
        """Check that pages neither overlap nor leave out, and that other namespaces' entities are in none."""
        ids = {"ada", "Ada", "1", "bob", "Zoë"}
        for entity in ids:
            _add(storage, replace(_ADA, entity_id=entity), _fact("likes tea"))
        _add(storage, replace(_ADA, entity_id="elsewhere", namespace="conformance "), _fact("likes tea"))

        pages: list[list[str]] = []
        while page := storage.entities("conformance", after=pages[-1][-1] if pages else None, limit=2):
            pages.append(page)

        found = [entity for page in pages for entity in page]
        assert sorted(found) == sorted(ids)
        assert [len(page) for page in pages] == [2, 2, 1]

    def test_the_first_space_is_the_active_one_until_another_is_activated(self, storage: Storage) -> None:
        """Check that a write in another space stores its vectors there, and leaves the active space alone."""
        first = _add(storage, _ADA, _fact("likes tea"))
        second = _add(storage, _ADA, _fact("drinks milk", NEW), space=NEW)

        assert (first.space, second.space) == (OLD, OLD)
        assert storage.state(_ADA).space == OLD
        assert [one.fact.text for one in _missing(storage, _ADA, NEW)] == ["likes tea"]
        assert [one.fact.text for one in _missing(storage, _ADA, OLD)] == ["drinks milk"]

    def test_what_is_searched_and_has_no_vector_is_listed_with_what_was_said_before_it(self, storage: Storage) -> None:
        """Check status (active and superseded), the limit, and that a window holds active episodes of one session."""
        made = _episodes(storage, _ADA, "one", "two", "three", "four")
        _episodes(storage, _ADA.with_session("s2"), "elsewhere")
        _episodes(storage, replace(_ADA, process_id="other"), "another agent's")
        paris, berlin, secret = _fact("lives in Paris"), _fact("lives in Berlin"), _fact("a secret", None)
        _add(storage, _ADA, paris, berlin, secret, _fact("unreviewed", status="quarantined"))
        _add(storage, _BOB, _fact("likes tea"))
        retire = (
            Retirement(paris.fact.id, "superseded", berlin.fact.id),
            Retirement(secret.fact.id, "forgotten"),
            Retirement(made[1].fact.id, "forgotten"),
        )
        storage.apply(_ADA, FactChanges(retire=retire), expected=None, now=_NOW)

        before = {one.fact.text: [other.text for other in one.before] for one in _missing(storage, _ADA, NEW)}

        assert before == {
            "one": [],
            "three": ["one"],
            "four": ["one", "three"],
            "elsewhere": [],
            "another agent's": [],
            "lives in Paris": [],
            "lives in Berlin": [],
        }
        assert storage.count_unembedded(_ADA, NEW) == 7
        assert len(_missing(storage, _ADA, NEW, limit=3)) == 3
        assert storage.count_unembedded(_BOB, OLD) == 0

    def test_vectors_are_added_once_and_are_in_the_next_delta(self, storage: Storage) -> None:
        """Check that vectors get their space and passages, the revision moves, and a repetition changes nothing."""
        _add(storage, _ADA, _fact("likes tea"))
        (missing,) = _missing(storage, _ADA, NEW)
        before = storage.state(_ADA)
        passages = np.array([[0, 1], [1, 0]], dtype=np.float32)

        added = storage.add_vectors(_ADA, [FactVectors(missing, passages)], NEW)

        state = storage.state(_ADA)
        (row,) = storage.changes_since(_ADA, NEW, before.revision).rows
        assert (added, state.generation, state.space) == (1, before.generation, OLD)
        assert row.vectors is not None
        assert row.vectors.tolist() == passages.tolist()
        assert len(_embedded(storage, _ADA, OLD)) == 1
        assert _embed(storage, _ADA, [missing]) == 0
        assert storage.state(_ADA) == state
        assert _missing(storage, _ADA, NEW) == []

    def test_vectors_of_what_is_no_longer_so_are_passed_over(self, storage: Storage) -> None:
        """Check a fact forgotten, changed, of another entity or erased, and one whose window was forgotten."""
        made = _episodes(storage, _ADA, "one", "two")
        tea = _fact("likes tea")
        _add(storage, _ADA, tea)
        seen = {one.fact.text: one for one in _missing(storage, _ADA, NEW)}
        retire = (Retirement(tea.fact.id, "forgotten"), Retirement(made[0].fact.id, "forgotten"))
        storage.apply(_ADA, FactChanges(retire=retire), expected=None, now=_NOW)
        other = replace(seen["two"], fact=replace(seen["two"].fact, text="other words"), before=())

        assert [one.text for one in seen["two"].before] == ["one"]
        assert _embed(storage, _ADA, [*seen.values(), other]) == 0
        assert _embed(storage, _BOB, [replace(seen["two"], before=())]) == 0
        assert _embed(storage, _ADA, _missing(storage, _ADA, NEW)) == 1
        storage.erase(_ADA)
        assert _embed(storage, _ADA, [replace(seen["two"], before=())]) == 0
        assert storage.facts(_ADA, statuses=()) == []

    def test_a_space_is_activated_only_when_nothing_is_missing_in_it(self, storage: Storage) -> None:
        """Check that `activate` says how much is missing and changes nothing then; and that caches see the change."""
        _add(storage, _ADA, _fact("likes tea"), _fact("drinks milk"))
        _add(storage, _BOB, _fact("likes tea"))
        assert storage.activate(_ADA, NEW) == 2
        assert storage.state(_ADA).space == OLD

        _embed(storage, _ADA, _missing(storage, _ADA, NEW))
        before = storage.state(_ADA)
        assert storage.activate(_ADA, NEW) == 0

        after = storage.state(_ADA)
        assert after.space == NEW
        assert after.revision > before.revision
        assert len(_embedded(storage, _ADA, OLD)) == len(_embedded(storage, _ADA, NEW)) == 2
        assert storage.activate(_ADA, NEW) == 0
        assert storage.state(_ADA) == after
        assert storage.state(_BOB).space == OLD
        assert storage.activate(replace(_ADA, entity_id="nobody"), NEW) == 0

    def test_old_vectors_are_dropped_with_the_change_and_only_then(self, storage: Storage) -> None:
        """Check that other entities keep theirs, and that what caches hold is void."""
        for who in (_ADA, _BOB):
            _add(storage, who, _fact("likes tea"))
        assert storage.activate(_ADA, NEW, drop_old=True) == 1
        assert len(_embedded(storage, _ADA, OLD)) == 1

        _embed(storage, _ADA, _missing(storage, _ADA, NEW))
        before = storage.state(_ADA)
        assert storage.activate(_ADA, NEW, drop_old=True) == 0

        assert storage.state(_ADA).generation != before.generation
        assert _embedded(storage, _ADA, OLD) == []
        assert len(_embedded(storage, _ADA, NEW)) == 1
        assert len(_embedded(storage, _BOB, OLD)) == 1

    def test_forgetting_what_was_said_takes_the_vectors_it_went_into(self, storage: Storage) -> None:
        """Check the windows: in every space, in the same transaction, of the neighbours and of nobody else."""
        made = _episodes(storage, _ADA, "one", "two", "three", "four")
        _embed(storage, _ADA, _missing(storage, _ADA, NEW))
        before = storage.state(_ADA)

        gone = FactChanges(retire=(Retirement(made[0].fact.id, "forgotten"),))
        storage.apply(_ADA, gone, expected=None, now=_NOW)

        for space in (OLD, NEW):
            found = {one.fact.text: [other.text for other in one.before] for one in _missing(storage, _ADA, space)}
            assert found == {"two": [], "three": ["two"]}
            changed = {row.fact_id: row for row in storage.changes_since(_ADA, space, before.revision).rows}
            assert set(changed) == {one.fact.id for one in made[:3]}
            assert changed[made[1].fact.id].vectors is None
            assert len(_embedded(storage, _ADA, space)) == 1

    def test_a_superseded_episode_keeps_its_neighbours_vectors(self, storage: Storage) -> None:
        """Check that only what must not be found any more takes vectors with it."""
        made = _episodes(storage, _ADA, "one", "two")

        changes = FactChanges(retire=(Retirement(made[0].fact.id, "superseded"),))
        storage.apply(_ADA, changes, expected=None, now=_NOW)

        assert _missing(storage, _ADA, OLD) == []
