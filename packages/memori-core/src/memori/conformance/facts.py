"""What every storage promises about facts and triples. A part of `StorageConformance`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ..embedding.base import Space
from ..errors import UnknownFactError
from ..model import Triple
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges, Placement, Retirement
from ..text import terms
from .samples import ADA, BOB, NOW, SPACE, new_fact, texts


class FactConformance:
    """Facts change in one transaction, and are read by filter, by revision and by their words."""

    def test_every_change_moves_the_revision_and_is_in_the_delta(self, storage: Storage) -> None:
        """Check that adding, mentioning and retiring bump the revision and come with the next delta."""
        tea, milk = new_fact("likes tea"), new_fact("drinks milk", vector=(0, 1, 0, 0))
        first = storage.apply(ADA, FactChanges((tea, milk), space=SPACE), expected=EntityState(), now=NOW)
        built = storage.changes_since(ADA, SPACE, -1)

        second = storage.apply(ADA, FactChanges(mentions=((tea.fact.id, None),)), expected=first, now=NOW)
        gone = FactChanges(retire=(Retirement(milk.fact.id, "forgotten"),))
        third = storage.apply(ADA, gone, expected=second, now=NOW)

        assert built.state == first
        assert {row.fact_id for row in built.rows} == {tea.fact.id, milk.fact.id}
        assert all(row.vectors is not None and row.vectors.shape == (1, 4) for row in built.rows)
        assert first.revision < second.revision < third.revision
        assert [row.fact_id for row in storage.changes_since(ADA, SPACE, first.revision).rows] == [
            tea.fact.id,
            milk.fact.id,
        ]
        assert [(r.fact_id, r.status) for r in storage.changes_since(ADA, SPACE, second.revision).rows] == [
            (milk.fact.id, "forgotten")
        ]
        assert storage.facts(ADA, ids=[tea.fact.id])[0].mentions == 2

    def test_a_delta_says_what_a_fact_is_about_and_how_much_it_weighs(self, storage: Storage) -> None:
        """Check that rows of a delta carry importance, mentions and the nodes of the fact's triples, sorted."""
        sister, tea = new_fact("Ada's sister is Bea"), new_fact("likes tea")
        triples = (Triple("Ada", "sister", "Bea"), Triple("Bea", "sister of", "Ada"))
        sister = replace(sister, fact=replace(sister.fact, importance=0.75), triples=triples)
        storage.apply(
            ADA, FactChanges((sister, tea), mentions=((tea.fact.id, None),), space=SPACE), expected=None, now=NOW
        )

        rows = {row.fact_id: row for row in storage.changes_since(ADA, SPACE, -1).rows}

        assert (rows[sister.fact.id].importance, rows[sister.fact.id].nodes) == (0.75, ("Ada", "Bea"))
        assert (rows[tea.fact.id].mentions, rows[tea.fact.id].nodes) == (2, ())

    def test_spaces_never_mix(self, storage: Storage) -> None:
        """Check that a delta in another space carries the facts without vectors."""
        storage.apply(ADA, FactChanges((new_fact("likes tea"),), space=SPACE), expected=None, now=NOW)

        (row,) = storage.changes_since(ADA, Space("test", "other", 4), -1).rows

        assert row.vectors is None

    def test_a_superseded_fact_still_answers_as_of_its_time(self, storage: Storage) -> None:
        """Check world time: valid_from and valid_to bound what `as_of` returns, and nothing is deleted."""
        paris = new_fact("lives in Paris", slot="ada|lives in", valid_from=NOW - timedelta(days=900))
        berlin = new_fact("lives in Berlin", slot="ada|lives in", valid_from=NOW - timedelta(days=30))
        storage.apply(ADA, FactChanges((paris,), space=SPACE), expected=None, now=NOW)
        moved = Retirement(paris.fact.id, "superseded", berlin.fact.id, berlin.fact.valid_from)
        storage.apply(ADA, FactChanges((berlin,), (moved,), space=SPACE), expected=None, now=NOW)

        assert texts(storage, ADA) == ["lives in Berlin"]
        assert texts(storage, ADA, as_of=NOW - timedelta(days=100)) == ["lives in Paris"]
        assert texts(storage, ADA, as_of=NOW) == ["lives in Berlin"]
        assert texts(storage, ADA, as_of=NOW - timedelta(days=2000)) == []
        assert texts(storage, ADA, slots=["ada|lives in"]) == ["lives in Berlin"]
        (old,) = storage.facts(ADA, ids=[paris.fact.id], statuses=())
        assert (old.status, old.superseded_by, old.valid_to) == ("superseded", berlin.fact.id, berlin.fact.valid_from)

    def test_facts_are_filtered_and_paged(self, storage: Storage) -> None:
        """Check kinds, statuses, limit and offset, newest first."""
        for n in range(5):
            changes = FactChanges((new_fact(f"fact {n}", kind="event" if n % 2 else "fact"),), space=SPACE)
            storage.apply(ADA, changes, expected=None, now=NOW + timedelta(seconds=n))

        assert [fact.text for fact in storage.facts(ADA, limit=2)] == ["fact 4", "fact 3"]
        assert [fact.text for fact in storage.facts(ADA, limit=2, offset=2)] == ["fact 2", "fact 1"]
        assert texts(storage, ADA, kinds=["event"]) == ["fact 1", "fact 3"]
        assert texts(storage, ADA, ids=[]) == []

    def test_an_unknown_fact_cannot_be_retired(self, storage: Storage) -> None:
        """Check that retiring another entity's fact, or none, raises and changes nothing."""
        tea = new_fact("likes tea")
        storage.apply(ADA, FactChanges((tea,), space=SPACE), expected=None, now=NOW)

        with pytest.raises(UnknownFactError):
            storage.apply(BOB, FactChanges(retire=(Retirement(tea.fact.id, "forgotten"),)), expected=None, now=NOW)

        assert texts(storage, ADA) == ["likes tea"]

    @pytest.mark.parametrize(
        ("stored", "asked"),
        [
            ("drinks コーヒー every day", "コーヒー"),
            ("a naïve plan", "naive"),
            ("writes C++ and C#", "C++"),
            ("1.5 km", "1.5"),
        ],
    )
    def test_words_find_facts_in_any_script(self, storage: Storage, stored: str, asked: str) -> None:
        """Check that search matches whole normalised terms, and only those: % and _ are no wildcards."""
        storage.apply(ADA, FactChanges((new_fact(stored), new_fact("unrelated"))), expected=None, now=NOW)

        found = storage.search(ADA, terms(asked), limit=10)

        assert [text for _, text in found] == [" ".join(terms(stored))]
        assert storage.search(ADA, ["%", "_"], limit=10) == []
        assert storage.search(BOB, terms(asked), limit=10) == []

    def test_triples_belong_to_their_fact(self, storage: Storage) -> None:
        """Check that a triple is read with its fact's id and goes when the fact is retired."""
        tea = new_fact("Ada likes tea")
        tea = replace(tea, triples=(Triple("Ada", "likes", "tea", "PERSON", "FOOD"),))
        storage.apply(ADA, FactChanges((tea,), space=SPACE), expected=None, now=NOW)

        assert storage.triples(ADA) == [(tea.fact.id, tea.triples[0])]
        assert storage.triples(BOB) == []
        storage.apply(ADA, FactChanges(retire=(Retirement(tea.fact.id, "forgotten"),)), expected=None, now=NOW)
        assert storage.triples(ADA) == []

    def test_a_fact_has_its_place_in_a_tier(self, storage: Storage) -> None:
        """Check that a tier is listed by itself, that its end is kept, and that nobody else's fact is placed."""
        tea, bees = new_fact("Ada likes tea"), new_fact("Ada keeps bees")
        storage.apply(ADA, FactChanges((tea, bees), space=SPACE), expected=None, now=NOW)
        storage.apply(BOB, FactChanges((new_fact("Bob rows"),), space=SPACE), expected=None, now=NOW)
        ends = NOW + timedelta(days=7)
        for who in (BOB, ADA):
            placed = FactChanges(place=(Placement(tea.fact.id, "short", ends),))
            storage.apply(who, placed, expected=storage.state(who), now=NOW)

        (found,) = storage.facts(ADA, tier="short")
        assert (found.id, found.tier, found.expires_at) == (tea.fact.id, "short", ends)
        assert [fact.id for fact in storage.facts(ADA, tier="long")] == [bees.fact.id]
        assert storage.facts(BOB, tier="short") == []
        gone = Retirement(tea.fact.id, "forgotten")
        storage.apply(ADA, FactChanges(retire=(gone,)), expected=None, now=NOW)
        assert storage.facts(ADA, tier="short") == []

    def test_facts_said_before_a_moment_are_listed(self, storage: Storage) -> None:
        """Check that age goes by when a fact was said, and by when it was stored where that is not known."""
        old = new_fact("long ago", said_at=NOW - timedelta(days=400))
        new = new_fact("just now", said_at=NOW)
        unknown = new_fact("some day", said_at=None)
        storage.apply(ADA, FactChanges((old, new, unknown)), expected=None, now=NOW - timedelta(days=1))

        before = storage.facts(ADA, said_before=NOW - timedelta(days=30))
        assert [fact.text for fact in before] == ["long ago"]
        assert {fact.text for fact in storage.facts(ADA, said_before=NOW)} == {"long ago", "some day"}
        assert storage.facts(ADA, said_before=NOW, kinds=["event"], limit=5) == []

    def test_triples_as_of_a_moment_are_those_of_facts_that_held_then(self, storage: Storage) -> None:
        """Check that the graph of the past has what was superseded since, and not what came later."""
        lisbon = replace(new_fact("Ada lives in Lisbon"), triples=(Triple("Ada", "lives in", "Lisbon"),))
        porto = new_fact("Ada lives in Porto")
        moved = NOW + timedelta(days=10)
        porto = replace(
            porto, fact=replace(porto.fact, valid_from=moved), triples=(Triple("Ada", "lives in", "Porto"),)
        )
        storage.apply(ADA, FactChanges((lisbon,), space=SPACE), expected=None, now=NOW)
        gone = Retirement(lisbon.fact.id, "superseded", porto.fact.id, moved)
        storage.apply(ADA, FactChanges((porto,), (gone,), space=SPACE), expected=None, now=moved)

        assert [one.object for _, one in storage.triples(ADA)] == ["Porto"]
        assert [one.object for _, one in storage.triples(ADA, as_of=NOW + timedelta(days=5))] == ["Lisbon"]
        assert [one.object for _, one in storage.triples(ADA, as_of=moved)] == ["Porto"]
