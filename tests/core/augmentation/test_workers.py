"""A worker holds what it works on, waits for nobody's broken code, and gives back what it cannot finish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from memori import Attribution, Memori
from memori.augmentation import deadline
from memori.augmentation.retry import delay
from memori.settings import Settings, load

from tests.core.augmentation.conftest import Gate, Scripted, eventually, learns

ADA, BOB = Attribution("ada", namespace="default"), Attribution("bob", namespace="default")


def opened(database: str, extractor: Scripted, **settings: object) -> Memori:
    given: Settings = load(**{"drain_timeout": 0.0, **settings})
    return Memori(database, embedder="hashing", extractor=extractor, settings=given)


def texts(memori: Memori, who: Attribution, *kinds: str) -> list[str]:
    found = memori.facts(attribution=who, kinds=kinds or ["fact"])  # type: ignore[arg-type]
    return sorted(fact.text for fact in found)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def hanging(gate: Gate) -> Scripted:
    """Hangs on a message that says so."""

    def script(text: str) -> object:
        if "hang" in text:
            gate.pass_through()
        return learns(text)

    return Scripted(script)


def test_a_job_that_takes_longer_than_its_lease_stays_with_its_worker(database: str, gate: Gate, hanging) -> None:
    with opened(database, hanging, lease_seconds=0.3) as memori:
        memori.record([("user", "hang on")], attribution=ADA)
        assert gate.reached.wait(30)
        storage = memori.config.storage
        first = storage.jobs(None)[0].leased_until

        assert eventually(lambda: storage.jobs(None)[0].leased_until > first + timedelta(seconds=0.3))

        gate.open.set()
        assert memori.augmentation.wait(30)
        assert storage.jobs(None)[0].attempts == 1
        assert texts(memori, ADA) == ["It was said: hang on"]


def test_who_lost_a_lease_stops_and_stores_nothing(database: str, gate: Gate, hanging) -> None:
    with opened(database, hanging, lease_seconds=0.3) as memori:
        memori.record([("user", "hang on")], attribution=ADA)
        assert gate.reached.wait(30)
        storage = memori.config.storage

        later = datetime.now(UTC) + timedelta(hours=1)
        (stolen,) = storage.lease(limit=1, seconds=3600, now=later)

        # Its thread is free for other work, although the extractor still hangs.
        memori.record([("user", "I like tea")], attribution=BOB)
        assert eventually(lambda: texts(memori, BOB))
        gate.open.set()
        assert storage.jobs(ADA)[0].state == "running"
        assert (texts(memori, ADA), texts(memori, ADA, "episode")) == ([], [])
        assert storage.complete(stolen, _nothing(), expected=storage.state(ADA), now=later) == ()
        assert storage.jobs(ADA)[0].state == "done"


def _nothing():
    from memori.storage.records import FactChanges

    return FactChanges()


def test_an_extractor_that_hangs_costs_its_own_job_only(database: str, hanging, monkeypatch) -> None:
    monkeypatch.setattr(deadline, "_PATIENCE", 0.05)
    with opened(database, hanging, extraction_timeout=0.5, max_attempts=1) as memori:
        memori.record([("user", "hang on")], attribution=ADA)
        memori.record([("user", "I like tea")], attribution=BOB)

        with memori.scope(BOB):
            assert memori.augmentation.wait(30) is True
        with memori.scope(ADA):
            assert memori.augmentation.wait(30) is False
        assert texts(memori, BOB) == ["It was said: I like tea"]
        assert texts(memori, ADA, "episode") == ["hang on"]
        (job,) = memori.config.storage.jobs(ADA)
        assert job.state == "dead"
        assert "'scripted/1' was given up after 0.5 s; extraction_timeout says" in (job.error or "")


def test_others_are_learnt_from_while_an_extractor_hangs(database: str, gate: Gate, hanging, monkeypatch) -> None:
    monkeypatch.setattr(deadline, "_PATIENCE", 0.05)
    with opened(database, hanging, extraction_timeout=60) as memori:
        memori.record([("user", "hang on")], attribution=ADA)
        assert gate.reached.wait(30)

        memori.record([("user", "I like tea")], attribution=BOB)
        with memori.scope(BOB):
            assert memori.augmentation.wait(30) is True

        assert memori.config.storage.jobs(ADA)[0].state == "running"


def test_calls_that_hang_are_bounded_and_the_extractor_is_asked_again_when_they_return(
    database: str, gate: Gate, hanging
) -> None:
    with opened(database, hanging, extraction_timeout=0.05, max_attempts=1) as memori:
        for number in range(deadline._MOST_HANGING + 4):
            memori.record([("user", f"hang {number}")], attribution=ADA)
        assert memori.augmentation.wait(60) is False

        hang = [one for one in threading.enumerate() if one.name == "memori-extraction"]
        assert len(hang) <= deadline._MOST_HANGING + 16
        memori.record([("user", "I like tea")], attribution=BOB)
        with memori.scope(BOB):
            assert memori.augmentation.wait(30) is False
            assert "still hang" in (memori.augmentation.status().last_error or "")

        gate.open.set()
        assert eventually(lambda: not any(one.name == "memori-extraction" for one in threading.enumerate()))
        assert memori.augmentation.retry() > deadline._MOST_HANGING
        assert memori.augmentation.wait(60) is True
        assert texts(memori, BOB) == ["It was said: I like tea"]


def test_one_that_fails_is_asked_for_alone_and_the_others_of_its_batch_are_kept(database: str) -> None:
    def script(text: str) -> object:
        if "fail" in text:
            raise SystemExit("out of oil")
        return learns(text)

    extractor = Scripted(script)
    with opened(database, extractor, max_attempts=1) as memori:
        memori.augmentation._wake = lambda: None  # type: ignore[method-assign]
        for text in ("I like tea", "I fail", "I like milk"):
            memori.record([("user", text)], attribution=ADA)
        del memori.augmentation._wake

        assert memori.augmentation.wait(30) is False

        assert sorted(extractor.calls[0]) == ["I fail", "I like milk", "I like tea"]
        assert texts(memori, ADA) == ["It was said: I like milk", "It was said: I like tea"]
        status = memori.augmentation.status()
        assert (status.done, status.dead, status.last_error) == (2, 1, "ExtractionError: SystemExit: out of oil")
        assert texts(memori, ADA, "episode") == ["I fail", "I like milk", "I like tea"]


def test_closing_gives_back_what_is_not_finished_without_an_attempt_used_up(database: str, gate: Gate, hanging) -> None:
    memori = opened(database, hanging)
    memori.record([("user", "hang on")], attribution=ADA)
    assert gate.reached.wait(30)

    memori.close()

    gate.open.set()
    with opened(database, Scripted(learns)) as again:
        (job,) = again.config.storage.jobs(None)
        assert (job.state, job.attempts, job.leased_until) == ("pending", 0, None)
        assert again.augmentation.wait(30)
        assert texts(again, ADA) == ["It was said: hang on"]


def test_one_thread_works_for_all_objects_of_a_process(tmp_path) -> None:
    seen: set[str] = set()

    def script(text: str) -> object:
        seen.update(one.name for one in threading.enumerate() if one.name == "memori-worker")
        threads.append(sum(one.name == "memori-worker" for one in threading.enumerate()))
        return learns(text)

    threads: list[int] = []
    memories = [opened(f"sqlite:///{tmp_path}/{number}.db", Scripted(script)) for number in range(4)]
    for memori in memories:
        memori.record([("user", "I like tea")], attribution=ADA)

    assert all(memori.augmentation.wait(30) for memori in memories)
    assert (seen, set(threads)) == ({"memori-worker"}, {1})
    for memori in memories:
        memori.close()


def test_wait_covers_what_others_recorded_and_only_this_attribution(database: str) -> None:
    def script(text: str) -> object:
        if "fail" in text:
            raise RuntimeError("model down")
        return learns(text)

    with opened(database, Scripted(script), max_attempts=1) as memori, opened(database, Scripted(script)) as other:
        other.augmentation._wake = lambda: None  # type: ignore[method-assign]
        other.record([("user", "I like tea")], attribution=ADA)
        other.record([("user", "I fail")], attribution=BOB)

        with memori.scope(ADA):
            assert memori.augmentation.wait(30) is True
        assert texts(memori, ADA) == ["It was said: I like tea"]
        assert eventually(lambda: memori.augmentation.status().dead)
        assert memori.augmentation.wait(30) is True, "an old dead job poisons nothing"
        with other.scope(BOB):
            assert other.augmentation.wait(30) is False, "who recorded it is told that it died"


def test_status_counts_the_jobs_and_says_how_old_the_oldest_open_one_is(database: str, gate: Gate, hanging) -> None:
    with opened(database, hanging) as memori:
        assert memori.augmentation.status().oldest_age is None
        memori.record([("user", "hang on")], attribution=ADA)
        assert gate.reached.wait(30)

        status = memori.augmentation.status()

        assert (status.pending, status.running, status.done, status.dead) == (0, 1, 0, 0)
        assert status.oldest_age is not None
        assert 0 < status.oldest_age < 60
        gate.open.set()
        assert memori.augmentation.wait(30)
        assert (memori.augmentation.status().done, memori.augmentation.status().oldest_age) == (1, None)


def test_the_wait_before_another_attempt_doubles_has_jitter_and_is_bounded() -> None:
    spans = {attempt: [delay(attempt) for _ in range(50)] for attempt in (1, 2, 3, 40)}

    assert all(2**n / 2 <= one <= 2**n for n in (1, 2, 3) for one in spans[n])
    assert all(150 <= one <= 300 for one in spans[40])
    assert all(len(set(span)) > 1 for span in spans.values())
