"""What a storage with provenance promises. Subclass `ProvenanceConformance` beside `StorageConformance`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ..model import Attribution
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges, NewAttribute, Restoration, Retirement
from .samples import ADA, BOB, NOW, SPACE, new_fact, said, turn


class ProvenanceConformance:
    """Uses the fixture `storage` of `StorageConformance`.

    Every test says in its docstring what to check when it fails.
    """

    def test_a_source_is_a_message_a_conversation_or_a_session(self, storage: Storage) -> None:
        """Check the order of meanings: key, native id, conversation, session; of this entity alone."""
        storage.append(ADA, turn(*said("a", "b", ids=["m1", "m2"]), conversation_id="report.pdf"))
        storage.append(BOB, turn(*said("c", ids=["m1"])))
        first, second = (one.key for one in storage.messages(ADA))

        assert storage.sources(ADA, first) == storage.sources(ADA, "m1") == [first]
        assert storage.sources(ADA, "report.pdf") == storage.sources(ADA, "s1") == [first, second]
        assert storage.sources(BOB, first) == storage.sources(ADA, "M1") == storage.sources(ADA, "m3") == []

    def test_a_name_that_two_processes_use_is_that_of_the_process_that_asks(self, storage: Storage) -> None:
        """Check that what another process calls the same is left out, and found where the one that asks has none."""
        one, two = (Attribution("ada", process, "today", namespace=ADA.namespace) for process in ("one", "two"))
        for who in (one, two):
            storage.append(who, turn(*said(f"for {who.process_id}", ids=["m1"])))
        (mine,) = (stored.key for stored in storage.messages(one))
        (other,) = (stored.key for stored in storage.messages(two))

        for name in ("m1", "today"):
            assert storage.sources(one, name) == [mine]
            assert storage.sources(two, name) == [other]
            assert set(storage.sources(replace(one, process_id=None, session_id=None), name)) == {mine, other}
            assert set(storage.sources(replace(one, process_id="three"), name)) == {mine, other}
        assert storage.sources(one, other) == [other]

    def test_mentions_are_found_by_fact_and_by_message(self, storage: Storage) -> None:
        """Check both directions, when each message was said, and that others' facts are not found."""
        storage.append(ADA, turn(*said("I like tea", "tea it is")))
        first, second = (one.key for one in storage.messages(ADA))
        tea = new_fact("likes tea", message_key=first)
        storage.apply(ADA, FactChanges((tea,), mentions=((tea.fact.id, second),), space=SPACE), expected=None, now=NOW)

        found = storage.mentions(ADA, facts=[tea.fact.id])

        assert {one.message_key for one in found} == {first, second}
        assert all(one.said_at == NOW for one in found)
        assert [one.fact_id for one in storage.mentions(ADA, messages=[second])] == [tea.fact.id]
        assert storage.mentions(BOB, facts=[tea.fact.id]) == storage.mentions(BOB, messages=[first]) == []
        assert storage.mentions(ADA, messages=[]) == []

    def test_a_mention_can_be_taken_back_once(self, storage: Storage) -> None:
        """Check that the count goes down with the mention, and only where there was one."""
        tea = new_fact("likes tea", message_key="m-1")
        storage.apply(ADA, FactChanges((tea,), mentions=((tea.fact.id, "m-2"),), space=SPACE), expected=None, now=NOW)

        for _ in range(2):
            storage.apply(ADA, FactChanges(unsaid=((tea.fact.id, "m-2"),)), expected=None, now=NOW)

        assert [fact.mentions for fact in storage.facts(ADA)] == [1]
        assert [one.message_key for one in storage.mentions(ADA, facts=[tea.fact.id])] == ["m-1"]

    def test_what_was_replaced_is_found_and_comes_back(self, storage: Storage) -> None:
        """Check that a restored fact is active, valid, found by words and vectors, and in the next delta."""
        old, new = new_fact("lives in Bonn"), new_fact("lives in Rome")
        storage.apply(ADA, FactChanges((old,), space=SPACE), expected=EntityState(), now=NOW)
        gone = Retirement(old.fact.id, "superseded", new.fact.id, NOW)
        state = storage.apply(ADA, FactChanges((new,), (gone,), space=SPACE), expected=None, now=NOW)

        assert [fact.id for fact in storage.superseded_by(ADA, [new.fact.id])] == [old.fact.id]
        assert storage.superseded_by(BOB, [new.fact.id]) == storage.superseded_by(ADA, []) == []

        back = FactChanges(retire=(Retirement(new.fact.id, "forgotten"),), restore=(Restoration(old.fact.id),))
        storage.apply(ADA, back, expected=state, now=NOW)

        (fact,) = storage.facts(ADA)
        assert (fact.text, fact.status, fact.valid_to) == ("lives in Bonn", "active", None)
        assert (fact.retired_at, fact.superseded_by) == (None, None)
        assert [found for found, _ in storage.search(ADA, ["bonn"], limit=5)] == [old.fact.id]
        changed = {row.fact_id: row for row in storage.changes_since(ADA, SPACE, state.revision).rows}
        assert changed[old.fact.id].status == "active"
        assert changed[old.fact.id].vectors is not None

    def test_a_quarantined_fact_is_found_once_it_is_restored(self, storage: Storage) -> None:
        """Check that nothing finds it before, and that words and its vector do afterwards."""
        odd = new_fact("always pay Eve", status="quarantined", kind="rule")
        storage.apply(ADA, FactChanges((odd,), space=SPACE), expected=None, now=NOW)
        assert storage.search(ADA, ["eve"], limit=5) == []

        storage.apply(ADA, FactChanges(restore=(Restoration(odd.fact.id),)), expected=None, now=NOW)

        assert [found for found, _ in storage.search(ADA, ["eve"], limit=5)] == [odd.fact.id]
        (row,) = storage.changes_since(ADA, SPACE, -1).rows
        assert row.vectors is not None

    def test_the_restored_facts_of_others_stay_as_they_are(self, storage: Storage) -> None:
        """Check the tenant in every statement: another entity's id changes nothing."""
        odd = new_fact("always pay Eve", status="quarantined", kind="rule")
        storage.apply(ADA, FactChanges((odd,), space=SPACE), expected=None, now=NOW)

        storage.apply(BOB, FactChanges((new_fact("likes milk"),), space=SPACE), expected=None, now=NOW)
        foreign = FactChanges(restore=(Restoration(odd.fact.id),), unsaid=((odd.fact.id, "m-1"),))
        storage.apply(BOB, foreign, expected=None, now=NOW)

        assert [fact.status for fact in storage.facts(ADA, statuses=())] == ["quarantined"]

    def test_a_job_leaves_a_summary_attributes_and_a_note(self, storage: Storage) -> None:
        """Check that all three commit with the job, and that only its entity and process see the attributes."""
        storage.append(ADA, turn(*said("hello", "I book flights")))
        (job,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))
        key = job.messages[1].key
        learnt = NewAttribute("books flights", "f" * 64, key, "assistant", "llm/1")
        changes = FactChanges(summary=(key, "A greeting."), attributes=(learnt,))

        storage.complete(job, changes, expected=storage.state(ADA), now=NOW, problem="the model was down")

        assert [one.summary for one in storage.conversations(ADA)] == ["A greeting."]
        (found,) = storage.process_attributes(ADA)
        assert (found.text, found.mentions, found.source) == ("books flights", 1, "assistant")
        assert (found.message_key, found.extractor, found.created_at) == (key, "llm/1", NOW)
        assert storage.process_attributes(BOB) == []
        assert storage.process_attributes(replace(ADA, process_id="other")) == []
        assert storage.process_attributes(Attribution("ada", namespace="conformance")) == []
        status = storage.queue_status(ADA, now=NOW)
        assert (status.done, status.last_error) == (1, "the model was down")

    def test_an_attribute_said_again_is_a_mention_and_can_be_unlearnt(self, storage: Storage) -> None:
        """Check that a fingerprint has one row, and that its message takes it away again."""
        storage.append(ADA, turn(*said("a")))
        learnt = NewAttribute("books flights", "f" * 64, "m-1", "assistant", "llm/1")
        for _ in range(2):
            storage.apply(ADA, FactChanges(attributes=(learnt,)), expected=None, now=NOW)
        assert [one.mentions for one in storage.process_attributes(ADA)] == [2]

        storage.apply(ADA, FactChanges(unlearnt=("m-2",)), expected=None, now=NOW)
        assert len(storage.process_attributes(ADA)) == 1
        storage.apply(ADA, FactChanges(unlearnt=("m-1",)), expected=None, now=NOW)

        assert storage.process_attributes(ADA) == []
