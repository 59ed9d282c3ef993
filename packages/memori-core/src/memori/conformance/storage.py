"""What every storage promises. Subclass `StorageConformance` and supply the fixture `connect`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..errors import StorageError
from ..model import Attribution, Message, ToolCall, Triple
from ..storage.base import Storage
from ..storage.records import EntityState, FactChanges
from .facts import FactConformance
from .outbox import OutboxConformance
from .samples import ADA, BOB, IDS, NOW, SHARED, SPACE, TEXT, contents, new_fact, said, texts, turn
from .spaces import SpaceConformance


class _Unstorable:
    """Neither JSON nor pickle takes it."""

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("this value cannot be stored")


class StorageConformance(FactConformance, OutboxConformance, SpaceConformance):
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

    # tenants

    @settings(max_examples=25, deadline=None, suppress_health_check=SHARED)
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
