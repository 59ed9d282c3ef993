"""What every storage promises about jobs. A part of `StorageConformance`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ..errors import RevisionConflictError
from ..model import Fact
from ..storage.base import Storage
from ..storage.records import FactChanges, Job, NewFact
from .samples import ADA, BOB, NOW, SPACE, contents, new_fact, said, texts, turn


class OutboxConformance:
    """Jobs are leased by one worker at a time, completed once, and lost by nobody."""

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

    def _complete(self, storage: Storage, job: Job, *facts: NewFact) -> tuple[Fact, ...]:
        changes = FactChanges(facts, space=SPACE)
        return storage.complete(job, changes, expected=storage.state(job.attribution), now=NOW)
