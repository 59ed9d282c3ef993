"""What a storage that edits transcripts promises. Subclass `TranscriptConformance` and supply `connect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ..errors import MissingAttributionError, VersionConflictError
from ..model import Message
from ..storage.base import Storage
from ..storage.records import FactChanges
from .samples import ADA, BOB, NOW, SPACE, contents, new_fact, said, texts, turn


class TranscriptConformance:
    """For storages with `transcript`, `replace_messages`, `delete_messages` and `archive_messages`."""

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

    def test_a_session_is_replaced_from_where_it_differs(self, storage: Storage) -> None:
        """Check that the common prefix keeps its rows, that no job is made, and that [] empties the session."""
        storage.append(ADA, turn(*said("a", "b", "c")))
        before = storage.transcript(ADA).messages
        jobs = storage.open_jobs(ADA)

        after = storage.replace_messages(ADA, said("a", "x"), now=NOW).messages

        assert [m.message.content for m in after] == contents(storage, ADA) == ["a", "x"]
        assert after[0].key == before[0].key
        assert after[1].position > before[2].position
        assert storage.open_jobs(ADA) == jobs
        assert storage.replace_messages(ADA, [], now=NOW).messages == ()
        assert [m.message.content for m in storage.replace_messages(ADA, said("new"), now=NOW).messages] == ["new"]

    def test_a_native_payload_is_replaced_too(self, storage: Storage) -> None:
        """Check that equal text with another payload (another picture) is another message, and no payload is none."""
        picture, other = ({"picture": name} for name in ("a.png", "b.png"))
        storage.append(ADA, turn(Message("user", "look", payload=picture)))

        storage.replace_messages(ADA, [Message("user", "look")], now=NOW)
        assert [m.message.payload for m in storage.transcript(ADA).messages] == [picture]
        storage.replace_messages(ADA, [Message("user", "look", payload=other)], now=NOW)
        assert [m.message.payload for m in storage.transcript(ADA).messages] == [other]

    def test_replacing_touches_no_fact_and_no_other_session(self, storage: Storage) -> None:
        """Check that what was learnt stays, and that another session and another entity keep their messages."""
        storage.apply(ADA, FactChanges((new_fact("likes tea"),), space=SPACE), expected=None, now=NOW)
        for who in (ADA, ADA.with_session("s2"), BOB):
            storage.append(who, turn(*said("a", "b")))

        storage.replace_messages(ADA, [], now=NOW)

        assert texts(storage, ADA) == ["likes tea"]
        assert contents(storage, ADA.with_session("s2")) == contents(storage, BOB) == ["a", "b"]

    def test_every_write_moves_the_version(self, storage: Storage) -> None:
        """Check that appending, replacing, deleting and archiving all change it, and reading does not."""
        versions = [storage.transcript(ADA).version]
        storage.append(ADA, turn(*said("a", "b", "c")))
        versions.append(storage.transcript(ADA).version)
        storage.replace_messages(ADA, said("a", "b"), now=NOW)
        versions.append(storage.transcript(ADA).version)
        first, second = storage.transcript(ADA).messages
        storage.archive_messages(ADA, [first.key])
        versions.append(storage.transcript(ADA).version)
        storage.delete_messages(ADA, [second.key])
        versions.append(storage.transcript(ADA).version)

        assert versions[0] == 0
        assert versions == sorted(set(versions))
        assert storage.transcript(ADA).version == versions[-1]

    def test_a_write_against_an_old_version_conflicts_and_changes_nothing(self, storage: Storage) -> None:
        """Check that of several writers who read one version exactly one wins."""
        storage.append(ADA, turn(*said("a")))
        seen = storage.transcript(ADA).version

        def write(number: int) -> bool:
            try:
                storage.replace_messages(ADA, said("a", f"by {number}"), expected=seen, now=NOW)
            except VersionConflictError:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(write, range(4)))

        assert sum(won) == 1
        assert contents(storage, ADA) == ["a", f"by {won.index(True)}"]

    def test_archived_messages_are_kept_apart(self, storage: Storage) -> None:
        """Check the three readings (active, archived, all) and that a message can come back."""
        storage.append(ADA, turn(*said("a", "b", "c")))
        first = storage.transcript(ADA).messages[0]

        assert storage.archive_messages(ADA, [first.key, first.key]) == 1
        assert storage.archive_messages(ADA, [first.key]) == 0

        assert contents(storage, ADA) == ["b", "c"]
        assert [m.message.content for m in storage.transcript(ADA, archived=True).messages] == ["a"]
        assert [m.archived for m in storage.transcript(ADA, archived=None).messages] == [True, False, False]
        storage.archive_messages(ADA, [first.key], archived=False)
        assert contents(storage, ADA) == ["a", "b", "c"]

    def test_replacing_leaves_the_archive_alone(self, storage: Storage) -> None:
        """Check that only active messages are replaced."""
        storage.append(ADA, turn(*said("a", "b")))
        storage.archive_messages(ADA, [storage.transcript(ADA).messages[0].key])

        storage.replace_messages(ADA, said("x"), now=NOW)

        assert [m.message.content for m in storage.transcript(ADA, archived=None).messages] == ["a", "x"]

    def test_messages_are_deleted_by_key_within_their_session(self, storage: Storage) -> None:
        """Check that keys of another session or entity delete nothing."""
        storage.append(ADA, turn(*said("a", "b", "c")))
        storage.append(BOB, turn(*said("b1")))
        keys = [m.key for m in storage.transcript(ADA).messages]

        assert storage.delete_messages(BOB, keys) == 0
        assert storage.delete_messages(ADA.with_session("s2"), keys) == 0
        assert storage.delete_messages(ADA, [keys[1], "unknown"]) == 1

        assert contents(storage, ADA) == ["a", "c"]
        assert contents(storage, BOB) == ["b1"]

    def test_a_transcript_needs_a_session(self, storage: Storage) -> None:
        """Check that nothing is guessed: without a session id every operation refuses."""
        nobody = replace(ADA, session_id=None)
        for call in (
            lambda: storage.transcript(nobody),
            lambda: storage.replace_messages(nobody, [], now=NOW),
            lambda: storage.delete_messages(nobody, ["x"]),
            lambda: storage.archive_messages(nobody, ["x"]),
        ):
            with pytest.raises(MissingAttributionError):
                call()
