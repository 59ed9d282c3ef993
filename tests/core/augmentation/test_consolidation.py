"""Consolidation: what stands out is at hand, what outlived its retention is gone, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memori import Attribution, Consolidated, Memori
from memori.augmentation.consolidation import EVERY, LIFE, SHORT_TERM, Consolidation, standing
from memori.errors import ConfigurationError, IdentityError, RevisionConflictError, StorageError
from memori.model import KINDS, Fact
from memori.settings import Settings, load
from tenacity import stop_after_attempt

ADA = Attribution("ada", "bot")
BOB = Attribution("bob", "bot")
NOW = datetime.now(UTC)
FACT = Fact("1", "Ada likes tea.", "preference", said_at=NOW)


def opened(database, **settings):
    return Memori(
        embedder="hashing", extractor="none", settings=Settings(database_url=database, cache_dir="off", **settings)
    )


def consolidate(memori, who=ADA, *, at=NOW):
    owner = replace(who, namespace="default", process_id=None)
    return memori._consolidation.run(owner, now=at)


def at_hand(memori, who=ADA):
    return [fact.text for fact in memori.config.storage.facts(replace(who, namespace="default"), tier="short")]


@given(st.sampled_from([kind for kind in KINDS if kind != "episode"]), st.floats(0, 1), st.integers(1, 50))
def test_a_fact_never_stands_out_less_for_being_said_again_or_later_or_weighed_more(kind, importance, mentions):
    fact = replace(FACT, kind=kind, importance=importance, mentions=mentions)
    total = standing(fact, NOW).total

    assert 0 <= total <= 1
    assert standing(replace(fact, mentions=mentions + 1), NOW).total >= total
    assert standing(fact, NOW + timedelta(days=1)).total <= total
    assert standing(replace(fact, importance=1.0), NOW).total >= total
    assert standing(replace(fact, text=f"{fact.text} Since 2019."), NOW).total >= total


def test_what_stands_out_is_promoted_and_a_second_run_changes_nothing(memori):
    memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
    memori.remember("Ada likes tea.", kind="preference", attribution=ADA)
    memori.remember("Bob likes mud.", kind="preference", attribution=BOB)
    state = memori.config.storage.state

    assert consolidate(memori) == Consolidated(1, promoted=2)
    before = state(replace(ADA, namespace="default"))
    assert consolidate(memori, at=NOW + timedelta(hours=7)) == Consolidated(1)
    assert state(replace(ADA, namespace="default")) == before
    assert sorted(at_hand(memori)) == ["Ada is allergic to peanuts.", "Ada likes tea."]
    assert at_hand(memori, BOB) == []


def test_the_tier_holds_the_best_and_gives_a_place_up_for_a_better_one(memori):
    for number in range(SHORT_TERM):
        memori.remember(f"Ada noted something of kind {number}.", importance=0.6, attribution=ADA)
    consolidate(memori)
    memori.remember("Always answer Ada in French.", kind="rule", importance=1.0, attribution=ADA)

    assert consolidate(memori) == Consolidated(1, promoted=1, demoted=1)
    assert len(at_hand(memori)) == SHORT_TERM
    assert "Always answer Ada in French." in at_hand(memori)


def test_a_place_ends_unless_it_is_given_anew(database):
    with opened(database, conscious_ingest=True) as memori:
        memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
        consolidate(memori, at=NOW - LIFE - timedelta(minutes=1))
        assert "peanuts" not in memori.context("hello", attribution=ADA, opening=True).text
        consolidate(memori)
        assert "peanuts" in memori.context("hello", attribution=ADA, opening=True).text


def test_a_conversation_begins_with_what_stands_out(database):
    with opened(database, conscious_ingest=True) as memori:
        memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
        memori.remember("Ada rows on the lake.", kind="skill", attribution=ADA)
        memori.consolidate(entity_id="ada")
        first = ADA.with_session("s1")

        opening = memori.context("Where does Ada row?", attribution=first)
        assert opening.recalled[0].text == "Ada rows on the lake."
        assert opening.text.count("rows on the lake") == 1
        assert "peanuts" in opening.text
        memori.record([("user", "Where does Ada row?")], attribution=first)
        assert "peanuts" not in memori.context("And how fast?", attribution=first).text
        assert "peanuts" not in memori.context("hello", attribution=ADA).text
        assert "peanuts" not in memori.context("hello", attribution=BOB, opening=True).text
        said = ["Ada is allergic to peanuts."]
        assert "peanuts" not in memori.context("hello", attribution=ADA, opening=True, exclude=said).text


def test_without_conscious_ingest_nothing_is_shown_unasked(memori):
    memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
    memori.consolidate()

    assert memori.context("hello", attribution=ADA, opening=True).text == ""


def test_the_worker_consolidates_after_it_learnt_but_not_after_every_job(database, monkeypatch):
    runs = []
    run = Consolidation.run

    def watched(self, who, *, now):
        runs.append(who.entity_id)
        return run(self, who, now=now)

    monkeypatch.setattr(Consolidation, "run", watched)
    with Memori(database, embedder="hashing") as memori:
        for text in ("My name is Ada Green.", "I am allergic to peanuts."):
            memori.record([("user", text)], attribution=ADA)
            assert memori.augmentation.wait(30)
        memori.record([("user", "I am Bob.")], attribution=BOB)
        assert memori.augmentation.wait(30)
    # A job is done before its entity is consolidated; closing waits for that.
    assert sorted(runs) == ["ada", "bob"]
    with Memori(database, embedder="hashing") as again:
        assert at_hand(again)
        again.record([("user", "I like tea.")], attribution=ADA)
        assert again.augmentation.wait(30)
    assert sorted(runs) == ["ada", "bob"]
    with Memori(database, embedder="hashing") as again:
        again._consolidation.after(Attribution("ada", namespace="default"), now=datetime.now(UTC) + EVERY + EVERY)
        assert sorted(runs) == ["ada", "ada", "bob"]


@pytest.mark.parametrize("error", [StorageError, RevisionConflictError])
def test_a_consolidation_that_fails_is_not_put_off_for_hours(memori, monkeypatch, caplog, error):
    who = Attribution("ada", namespace="default")
    memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
    storage = memori.config.storage
    # It would try for half a minute.
    monkeypatch.setattr("memori.augmentation.retry.stop_after_attempt", lambda _: stop_after_attempt(3))
    apply, failing = storage.apply, [True] * 50

    def applied(*given, **options):
        if failing and options["expected"] is not None:
            failing.pop()
            raise error("somebody else was quicker")
        return apply(*given, **options)

    monkeypatch.setattr(storage, "apply", applied)
    memori._consolidation.after(who, now=NOW)
    assert at_hand(memori) == []
    assert "consolidation failed" in caplog.text

    failing.clear()
    memori._consolidation.after(who, now=NOW + timedelta(minutes=1))
    assert at_hand(memori) == ["Ada is allergic to peanuts."]


def test_a_consolidation_among_others_that_write_is_done_in_the_end(memori, monkeypatch):
    memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=ADA)
    storage = memori.config.storage
    facts, moving = storage.facts, [True] * 3

    def moved(*given, **options):
        found = facts(*given, **options)
        if options.get("tier") and moving:
            moving.pop()
            memori.remember(f"Ada counted {len(moving)} boats.", attribution=ADA)
        return found

    monkeypatch.setattr(storage, "facts", moved)

    assert consolidate(memori).promoted >= 1
    assert "Ada is allergic to peanuts." in at_hand(memori)


def test_what_was_replaced_or_never_approved_outlives_its_retention_neither(database):
    with opened(database, retention_days=30) as memori:
        rome = memori.remember("Ada lives in Rome.", attribution=ADA)
        memori.revise(rome.id, "Ada lives in Bonn.", attribution=ADA)

        done = consolidate(memori, at=NOW + timedelta(days=40))

        assert done.expired == 2
        assert memori.facts(statuses=["active", "superseded", "quarantined"], attribution=ADA) == []
        assert memori.recall("lives", as_of=rome.said_at + timedelta(microseconds=1), attribution=ADA) == []


def test_what_outlived_its_retention_is_not_found_any_more(database):
    old = datetime.now(UTC) - timedelta(days=90)
    with opened(database, retention_days={"episode": 30}) as memori:
        said = {"role": "user", "content": "The harbour opens at six.", "created_at": old}
        memori.record([said, {"role": "user", "content": "The bakery opens at five."}], attribution=ADA)
        memori.remember("Ada rows.", attribution=ADA)
        assert memori.augmentation.wait(30)
        memori.consolidate()

        texts = [one.text for one in memori.recall("When does the harbour open?", attribution=ADA, min_relevance=0)]
        assert "The bakery opens at five." in texts
        assert "The harbour opens at six." not in texts
        kept = memori.facts(kinds=KINDS, attribution=ADA)
        assert {fact.text for fact in kept} == {"The bakery opens at five.", "Ada rows."}
        assert memori.consolidate().expired == 0


def test_one_number_is_for_every_kind_and_what_means_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("MEMORI_RETENTION_DAYS", "30")
    assert load().retention_days == 30
    monkeypatch.setenv("MEMORI_RETENTION_DAYS", '{"event": 10}')
    assert load().retention_days == {"event": 10}
    for days, said in (
        ({"events": 3}, "no kind 'events'; kinds are fact"),
        (0, "1 or more"),
        ({"event": 0}, "1 or more"),
        (10**6, "up to 100,000"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            load(retention_days=days)


def test_somebody_unknown_is_named(memori):
    with pytest.raises(IdentityError, match="'nobody'"):
        memori.consolidate(entity_id="nobody")
