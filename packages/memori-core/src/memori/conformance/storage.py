"""What every storage promises. Subclass `StorageConformance` and supply the fixture `connect`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..embedding.base import Space
from ..errors import RevisionConflictError, StorageError, UnknownFactError
from ..keys import new_key
from ..model import Attribution, Fact, Message, ToolCall, Triple
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges, Job, NewFact, Placement, Retirement, Turn
from ..text import fold, terms
from .spaces import SpaceConformance

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ADA = Attribution("ada", "bot", "s1", namespace="conformance")
BOB = Attribution("bob", "bot", "s1", namespace="conformance")
SPACE = Space("test", "unit", 4)

# A suite that is subclassed shares its tests and fixtures between classes on purpose.
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]

# Text every database must hold unchanged; NUL and lone surrogates are replaced before a storage sees them.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)


def said(*lines: str, ids: Sequence[str] | None = None) -> tuple[Message, ...]:
    """Messages of a user and an assistant in turn."""
    roles = ("user", "assistant")
    return tuple(
        Message(roles[i % 2], line, id=ids[i] if ids else None)  # type: ignore[arg-type]
        for i, line in enumerate(lines)
    )


def turn(*messages: Message, resent: int | None = None, now: datetime = NOW, **options: Any) -> Turn:
    """A turn all of whose messages may have been sent before."""
    return Turn(messages, resent=len(messages) if resent is None else resent, now=now, **options)


def new_fact(text: str, *, vector: Sequence[float] = (1, 0, 0, 0), **fields: Any) -> NewFact:
    """A fact as the pipeline would hand it over, with one unit vector."""
    fact = Fact(**{"id": new_key(), "text": text, "kind": "fact", "said_at": NOW, **fields})
    vectors = np.array([vector], dtype=np.float32)
    return NewFact(fact, " ".join(terms(text)), fold(text).encode().hex()[:64], vectors)


def contents(storage: Storage, who: Attribution) -> list[str]:
    """What is stored of a session, oldest first."""
    return [stored.message.content for stored in storage.messages(who)]


def texts(storage: Storage, who: Attribution, **options: Any) -> list[str]:
    """The entity's active facts."""
    return sorted(fact.text for fact in storage.facts(who, **options))


class _Unstorable:
    """Neither JSON nor pickle takes it."""

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("this value cannot be stored")


class StorageConformance(SpaceConformance):
    """Subclass it in a test module and return from `connect` a function that opens the same, empty, database anew.

    Every test says in its docstring what to check when it fails. Tests name promises, never backends.
    """

    @pytest.fixture
    def connect(self) -> Callable[[], Storage]:
        """Return a function that opens a storage on one database that was empty before this test."""
        raise NotImplementedError("supply the fixture `connect`: a function that opens your storage")

    @pytest.fixture
    def storage(self, connect: Callable[[], Storage]) -> Iterator[Storage]:
        """One open storage, closed at the end."""
        opened = connect()
        yield opened
        opened.close()

    # conversations

    def test_a_turn_is_read_back_as_it_was_said(self, storage: Storage) -> None:
        """Check that every field of a message survives: role, name, ids, tool calls, payload, source, time, partial."""
        call = ToolCall("call-1", "look", '{"q": "naïve コーヒー"}')
        messages = (
            Message("user", "Grüße 👋\n\ttabs", name="Ada", created_at=NOW, id="m1", payload={"a": [1, None, "\x00"]}),
            Message("assistant", "", tool_calls=(call,), created_at=NOW),
            Message("tool", "42", tool_call_id="call-1", source="web", created_at=NOW),
            Message("assistant", "half an ans", partial=True, created_at=NOW),
        )

        receipt = storage.append(ADA, turn(*messages))

        stored = storage.messages(ADA)
        assert receipt.stored == 4
        assert [one.position for one in stored] == [0, 1, 2, 3]
        assert [replace(one.message, source=None) for one in stored] == [replace(m, source=None) for m in messages]
        assert [one.message.source_class for one in stored] == ["user_input", "assistant", "web", "assistant"]
        assert {one.session_id for one in stored} == {"s1"}

    def test_payloads_are_those_of_the_messages(self, storage: Storage) -> None:
        """Check `payloads`: the order, a message without one, the limit, the session, other tenants."""
        said = [Message("user", str(n), payload={"n": n, "x": ["é", None]} if n % 3 else None) for n in range(7)]
        session = ADA.with_session("one")
        storage.append(session, turn(*said))
        storage.append(ADA.with_session("two"), turn(Message("user", "else", payload={"n": "else"})))
        storage.append(BOB.with_session("one"), turn(Message("user", "not yours", payload={"n": "bob"})))

        for who, limit in [(session, None), (session, 3), (ADA, None), (ADA, 2), (BOB, None)]:
            messages = storage.messages(who, limit=limit)
            assert list(storage.payloads(who, limit=limit)) == [one.message.payload for one in messages]
        assert list(storage.payloads(session)) == [one.payload for one in said]

    def test_a_resent_history_is_stored_once(self, storage: Storage) -> None:
        """Check the alignment: the stored end of the session is the beginning of what was resent."""
        history = said("hi", "hello", "how are you", "fine", "bye", "see you")

        for upto in (2, 4, 6, 6):
            storage.append(ADA, turn(*history[:upto], resent=upto - 1))

        assert contents(storage, ADA)[:6] == [m.content for m in history]

    def test_a_sliding_window_is_stored_once(self, storage: Storage) -> None:
        """Check that an application which resends only its last messages is aligned at their beginning."""
        history = said("one", "two", "three", "four", "five", "six")
        storage.append(ADA, turn(*history[:4]))

        receipt = storage.append(ADA, turn(*history[2:]))

        assert (receipt.stored, receipt.repeated) == (2, 2)
        assert contents(storage, ADA) == [m.content for m in history]

    def test_what_was_said_twice_is_stored_twice(self, storage: Storage) -> None:
        """Check that equal words are only taken for repeats where the application resent them."""
        storage.append(ADA, turn(*said("yes", "ok"), resent=1))
        storage.append(ADA, turn(*said("yes", "ok"), resent=1))

        assert contents(storage, ADA) == ["yes", "ok", "yes", "ok"]

    def test_a_native_id_is_stored_once_and_only_within_its_session(self, storage: Storage) -> None:
        """Check that native ids beat content: the same id is a repeat, equal words under another id are not."""
        storage.append(ADA, turn(*said("yes", ids=["m1"])))
        storage.append(ADA, turn(*said("yes", ids=["m2"])))
        storage.append(ADA, turn(*said("edited", ids=["m1"])))
        storage.append(ADA.with_session("s2"), turn(*said("yes", ids=["m1"])))

        assert contents(storage, ADA) == ["yes", "yes"]
        assert contents(storage, ADA.with_session("s2")) == ["yes"]

    def test_an_unnamed_session_is_found_from_the_conversation(self, storage: Storage) -> None:
        """Check that two interleaved conversations of one entity stay two, each without repeats."""
        who = ADA.with_session(None)
        first, second = said("hi", "hello", "more", "sure"), said("other topic", "yes?", "go on", "fine")

        a = storage.append(who, turn(*first[:2], resent=1))
        b = storage.append(who, turn(*second[:2], resent=1))
        a2 = storage.append(who, turn(*first, resent=3))
        b2 = storage.append(who, turn(*second, resent=3))

        assert a.session_id == a2.session_id != b.session_id == b2.session_id
        assert contents(storage, who.with_session(a.session_id)) == [m.content for m in first]
        assert contents(storage, who.with_session(b.session_id)) == [m.content for m in second]

    def test_a_long_pause_begins_a_conversation(self, storage: Storage) -> None:
        """Check that a conversation ends after the gap, and that `conversation_id` overrides it."""
        storage.append(ADA, turn(*said("morning"), resent=0))
        storage.append(ADA, turn(*said("soon after"), resent=0, now=NOW + timedelta(minutes=10)))
        later = storage.append(ADA, turn(*said("evening"), resent=0, now=NOW + timedelta(hours=8)))
        named = storage.append(ADA, turn(*said("named"), resent=0, now=NOW + timedelta(hours=8), conversation_id="c"))

        found = storage.conversations(ADA)
        assert sorted(one.message_count for one in found) == [1, 1, 2]
        assert named.conversation_id == "c"
        assert [m.message.content for m in storage.messages(ADA, conversation_id="c")] == ["named"]
        assert [m.message.content for m in storage.messages(ADA, conversation_id=later.conversation_id)] == ["evening"]

    def test_messages_page_back_from_the_newest(self, storage: Storage) -> None:
        """Check `limit` (the newest) and `before` (below a position), both oldest first."""
        storage.append(ADA, turn(*said(*map(str, range(10)))))

        assert [m.message.content for m in storage.messages(ADA, limit=3)] == ["7", "8", "9"]
        assert [m.message.content for m in storage.messages(ADA, limit=3, before=7)] == ["4", "5", "6"]

    def test_sessions_and_processes_narrow_what_is_read(self, storage: Storage) -> None:
        """Check that a session belongs to its process, and that None reads all of the entity's."""
        storage.append(ADA, turn(*said("to bot")))
        storage.append(replace(ADA, process_id="other"), turn(*said("to other")))

        assert contents(storage, ADA) == ["to bot"]
        assert contents(storage, replace(ADA, process_id="other")) == ["to other"]
        assert contents(storage, replace(ADA, process_id=None)) == []
        everything = replace(ADA, process_id=None, session_id=None)
        assert sorted(contents(storage, everything)) == ["to bot", "to other"]

    def test_concurrent_duplicates_are_stored_once(self, storage: Storage) -> None:
        """Check that the session is locked while it is aligned: eight threads resend one history."""
        history = said("a", "b", "c", "d", ids=["1", "2", "3", "4"])

        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda _: storage.append(ADA, turn(*history)), range(8)))

        assert sum(receipt.stored for receipt in receipts) == 4
        assert contents(storage, ADA) == ["a", "b", "c", "d"]

    def test_a_megabyte_survives(self, storage: Storage) -> None:
        """Check the column types: a long text must come back whole."""
        text = "müde " * 200_000

        storage.append(ADA, turn(Message("user", text)))

        assert contents(storage, ADA) == [text]

    # the outbox

    def test_a_turn_and_its_job_commit_together(self, storage: Storage) -> None:
        """Check that the leased job carries the new messages, what came before them, and the attribution."""
        storage.append(ADA, turn(*said("a", "b"), resent=1))
        receipt = storage.append(ADA, turn(*said("a", "b", "c", "d"), resent=3))

        jobs = storage.lease(limit=10, seconds=60, now=NOW + timedelta(seconds=1))

        last = next(job for job in jobs if job.id == receipt.job_id)
        assert [m.message.content for m in last.messages] == ["c", "d"]
        assert [m.message.content for m in last.context] == ["a", "b"]
        assert last.attribution == ADA

    def test_nothing_new_makes_no_job(self, storage: Storage) -> None:
        """Check that a pure repeat and `augment=False` leave the outbox alone."""
        storage.append(ADA, turn(*said("a"), augment=False))
        receipt = storage.append(ADA, turn(*said("a")))

        assert receipt.job_id is None
        assert storage.open_jobs(None) == []

    def test_two_workers_never_share_a_job(self, storage: Storage) -> None:
        """Check the lease: a row taken by one worker is skipped or refused for the others."""
        for n in range(20):
            storage.append(ADA, turn(*said(f"line {n}"), resent=0))

        def work(_: int) -> list[str]:
            taken: list[str] = []
            while jobs := storage.lease(limit=2, seconds=60, now=NOW + timedelta(seconds=1)):
                taken += [job.id for job in jobs]
            return taken

        with ThreadPoolExecutor(4) as pool:
            leased = [job for taken in pool.map(work, range(4)) for job in taken]
        assert len(leased) == len(set(leased)) == 20

    def test_an_expired_lease_is_taken_over_and_the_first_holder_can_do_nothing(self, storage: Storage) -> None:
        """Check that completing, failing and extending compare the lease token, and that attempts count up."""
        storage.append(ADA, turn(*said("a")))
        (lost,) = storage.lease(limit=1, seconds=10, now=NOW + timedelta(seconds=1))
        assert storage.lease(limit=1, seconds=10, now=NOW + timedelta(seconds=5)) == []

        (held,) = storage.lease(limit=1, seconds=10, now=NOW + timedelta(seconds=30))

        assert (lost.attempt, held.attempt) == (1, 2)
        assert self._complete(storage, lost, new_fact("from the lost lease")) == ()
        assert not storage.extend(lost, seconds=60, now=NOW)
        assert not storage.fail(lost, "late", retry_at=None, now=NOW)
        assert len(self._complete(storage, held, new_fact("from the held lease"))) == 1
        assert texts(storage, ADA) == ["from the held lease"]

    def test_clocks_that_differ_cost_no_job_no_order_and_no_fact_twice(self, storage: Storage) -> None:
        """Check that order goes by position, a new job is due for every clock, and the token decides who writes."""
        ahead, behind = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
        storage.append(ADA, turn(*said("first"), now=ahead))
        storage.append(ADA, turn(*said("second"), resent=0, now=behind))
        assert contents(storage, ADA) == ["first", "second"]

        early = storage.lease(limit=10, seconds=60, now=behind)
        assert sorted(job.messages[0].message.content for job in early) == ["first", "second"]
        assert storage.lease(limit=10, seconds=60, now=behind - timedelta(hours=1)) == []
        late = {job.id: job for job in storage.lease(limit=10, seconds=60, now=ahead)}
        assert set(late) == {job.id for job in early}

        for job in early:
            assert self._complete(storage, job, new_fact("by the clock that is behind")) == ()
            assert len(self._complete(storage, late[job.id], new_fact(f"{job.id} by the clock that is ahead"))) == 1
        assert len(texts(storage, ADA)) == 2
        assert storage.lease(limit=10, seconds=60, now=ahead + timedelta(days=1)) == []

    def test_a_job_is_completed_exactly_once(self, storage: Storage) -> None:
        """Check that facts and the job's end commit together: completing again changes nothing."""
        storage.append(ADA, turn(*said("a")))
        (job,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))

        first = self._complete(storage, job, new_fact("once"))
        again = self._complete(storage, job, new_fact("twice"))

        assert [fact.text for fact in first] == ["once"]
        assert again == ()
        assert storage.job_states([job.id]) == {job.id: "done"}
        assert storage.open_jobs(ADA) == []

    def test_a_failed_job_waits_then_dies_then_is_revived(self, storage: Storage) -> None:
        """Check retry_at, the dead state with its error, and that `retry` gives a fresh set of attempts."""
        storage.append(ADA, turn(*said("a")))
        (job,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))
        assert storage.fail(job, "model down", retry_at=NOW + timedelta(minutes=5), now=NOW)
        assert storage.lease(limit=1, seconds=60, now=NOW + timedelta(minutes=4)) == []

        (again,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(minutes=6))
        assert storage.fail(again, "model still down", retry_at=None, now=NOW)

        status = storage.queue_status(ADA, now=NOW)
        assert (status.dead, status.pending, status.last_error) == (1, 0, "model still down")
        assert storage.queue_status(BOB, now=NOW).dead == 0
        assert storage.retry(BOB, now=NOW) == 0
        assert storage.retry(ADA, now=NOW) == 1
        assert storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))[0].attempt == 1

    def test_a_job_given_back_is_due_at_once_and_no_attempt_is_used_up(self, storage: Storage) -> None:
        """Check `release`: pending, the attempt uncounted, and nothing done under a lease that was lost."""
        storage.append(ADA, turn(*said("a")))
        (job,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))

        assert storage.release(job)

        assert not storage.release(job)
        (again,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))
        assert (again.id, again.attempt) == (job.id, 1)
        assert self._complete(storage, job, new_fact("from the lease given back")) == ()

    def test_entities_take_turns(self, storage: Storage) -> None:
        """Check that an entity with many jobs fills no batch while another one waits, and fills it when alone."""
        for n in range(17):
            storage.append(ADA, turn(*said(f"line {n}"), resent=0))
        storage.append(BOB, turn(*said("hello"), now=NOW + timedelta(seconds=1)))

        first = storage.lease(limit=2, seconds=60, now=NOW + timedelta(minutes=1))
        second = storage.lease(limit=2, seconds=60, now=NOW + timedelta(minutes=1))

        assert [job.attribution for job in first] == [ADA, BOB]
        assert [job.attribution for job in second] == [ADA, ADA]

    def test_jobs_are_shown_as_they_stand(self, storage: Storage) -> None:
        """Check `jobs`: newest first, narrowed by state, id and attribution; what could not be kept is their error."""
        storage.append(ADA, turn(*said("a")))
        storage.append(ADA, turn(*said("b", "c"), resent=0, now=NOW + timedelta(seconds=1)))
        storage.append(BOB, turn(*said("d"), now=NOW + timedelta(seconds=2)))
        leased = storage.lease(limit=10, seconds=60, now=NOW + timedelta(minutes=1))
        jobs = {job.messages[0].message.content: job for job in leased}
        storage.complete(jobs["a"], FactChanges(), expected=storage.state(ADA), now=NOW, problem="one of two kept")
        storage.fail(jobs["b"], "model down", retry_at=None, now=NOW)

        found = storage.jobs(None)

        assert [(job.id, job.state) for job in found] == [
            (jobs["d"].id, "running"),
            (jobs["b"].id, "dead"),
            (jobs["a"].id, "done"),
        ]
        assert [(job.attempts, job.error) for job in found] == [(1, None), (1, "model down"), (1, "one of two kept")]
        assert (found[1].attribution, found[1].last - found[1].first) == (jobs["b"].attribution, 1)
        assert found[0].leased_until == NOW + timedelta(minutes=2)
        assert (found[0].created_at, found[2].finished_at) == (NOW + timedelta(seconds=2), NOW)
        assert [job.state for job in storage.jobs(ADA, states=["dead", "running"])] == ["dead"]
        assert [job.id for job in storage.jobs(None, limit=1)] == [jobs["d"].id]
        assert storage.jobs(BOB, ids=[jobs["a"].id]) == []
        assert storage.retry(None, now=NOW, ids=[jobs["a"].id]) == 0
        assert storage.retry(None, now=NOW, ids=[jobs["b"].id]) == 1
        assert [job.state for job in storage.jobs(None, ids=[jobs["b"].id])] == ["pending"]

    def test_a_revision_conflict_changes_nothing(self, storage: Storage) -> None:
        """Check that completing against facts that moved raises, and leaves the job with its holder."""
        storage.append(ADA, turn(*said("a")))
        (job,) = storage.lease(limit=1, seconds=60, now=NOW + timedelta(seconds=1))
        seen = storage.state(ADA)
        storage.apply(ADA, FactChanges((new_fact("meanwhile"),), space=SPACE), expected=None, now=NOW)

        with pytest.raises(RevisionConflictError):
            storage.complete(job, FactChanges((new_fact("late"),), space=SPACE), expected=seen, now=NOW)

        assert texts(storage, ADA) == ["meanwhile"]
        assert len(self._complete(storage, job, new_fact("late"))) == 1

    # facts

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

    # tenants

    @settings(max_examples=25, deadline=None, suppress_health_check=_SHARED)
    @given(entities=st.lists(IDS, min_size=2, max_size=3, unique=True), namespaces=st.tuples(IDS, IDS), text=TEXT)
    def test_tenants_never_meet(
        self, storage: Storage, entities: list[str], namespaces: tuple[str, str], text: str
    ) -> None:
        """Check that every read carries (namespace, entity): ids that differ only in case, space or script are two."""
        owners = [Attribution(entity, session_id="s", namespace=n) for entity in entities for n in set(namespaces)]
        for owner in owners:
            storage.erase(owner)
        for number, owner in enumerate(owners):
            storage.append(owner, turn(Message("user", f"{number}:{text}")))
            storage.apply(owner, FactChanges((new_fact(f"{number} secret"),), space=SPACE), expected=None, now=NOW)

        for number, owner in enumerate(owners):
            assert contents(storage, owner) == [f"{number}:{text}"]
            assert texts(storage, owner) == [f"{number} secret"]
            assert [row.text for row in storage.changes_since(owner, SPACE, -1).rows] == [f"{number} secret"]
            assert len(storage.open_jobs(owner)) == 1

    def test_an_external_id_is_never_a_row_number(self, storage: Storage) -> None:
        """Check that "1" is only a string: it must not find the first row."""
        storage.append(ADA, turn(*said("private")))
        storage.apply(ADA, FactChanges((new_fact("private"),), space=SPACE), expected=None, now=NOW)

        one = replace(ADA, entity_id="1", process_id="1", session_id="1")

        assert storage.messages(one) == []
        assert storage.facts(one) == []
        assert storage.state(one) == EntityState()

    def test_erasing_leaves_nothing_of_one_entity_and_everything_of_the_others(self, storage: Storage) -> None:
        """Check every table: messages, jobs, facts, vectors, triples; and that caches see a new generation."""
        for who in (ADA, BOB):
            storage.append(who, turn(*said("a", "b")))
            fact = replace(new_fact("likes tea"), triples=(Triple("x", "likes", "tea"),))
            storage.apply(who, FactChanges((fact,), space=SPACE), expected=None, now=NOW)
        before = storage.state(ADA)

        gone = storage.erase(ADA)

        assert sum(gone.values()) > 0
        assert sum(storage.erase(ADA).values()) == 0
        assert storage.messages(ADA) == []
        assert storage.facts(ADA, statuses=()) == []
        assert storage.conversations(ADA) == []
        assert storage.triples(ADA) == []
        assert storage.open_jobs(ADA) == []
        assert storage.changes_since(ADA, SPACE, -1).rows == []
        assert contents(storage, BOB) == ["a", "b"]
        assert texts(storage, BOB) == ["likes tea"]
        storage.append(ADA, turn(*said("back again")))
        assert storage.state(ADA).generation != before.generation

    # lifecycle

    def test_what_was_acknowledged_is_there_after_reopening(self, connect: Callable[[], Storage]) -> None:
        """Check that nothing lives only in memory: messages, jobs and facts survive a close."""
        first = connect()
        first.append(ADA, turn(*said("a", "b")))
        first.apply(ADA, FactChanges((new_fact("likes tea"),), space=SPACE), expected=None, now=NOW)
        first.close()

        second = connect()
        try:
            assert contents(second, ADA) == ["a", "b"]
            assert texts(second, ADA) == ["likes tea"]
            assert len(second.lease(limit=5, seconds=60, now=NOW + timedelta(seconds=1))) == 1
        finally:
            second.close()

    def test_building_is_safe_to_race(self, connect: Callable[[], Storage]) -> None:
        """Check that several processes or threads may start on an empty database at once."""
        storages = [connect() for _ in range(4)]
        failures: list[BaseException] = []

        def build(one: Storage) -> None:
            try:
                one.build()
            except Exception as error:  # noqa: BLE001 - collected for the assertion
                failures.append(error)

        threads = [threading.Thread(target=build, args=(one,)) for one in storages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        storages[0].append(ADA, turn(*said("a")))
        assert contents(storages[-1], ADA) == ["a"]
        for one in storages:
            one.close()

    def test_a_write_that_fails_leaves_nothing(self, storage: Storage) -> None:
        """Check that a turn is one transaction: a message that cannot be stored takes the whole turn with it."""
        broken = Message("user", "second", payload={"not": _Unstorable()})

        with pytest.raises((TypeError, ValueError, StorageError)):
            storage.append(ADA, turn(Message("user", "first"), broken))

        assert storage.messages(ADA) == []
        assert storage.open_jobs(None) == []

    def _complete(self, storage: Storage, job: Job, *facts: NewFact) -> tuple[Fact, ...]:
        changes = FactChanges(facts, space=SPACE)
        return storage.complete(job, changes, expected=storage.state(job.attribution), now=NOW)
