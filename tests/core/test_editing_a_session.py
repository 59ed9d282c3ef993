"""An application edits the history of a session; what was learnt from it, and other people's, stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memori import Attribution, Memori, MissingAttributionError, Transcript, errors

ADA = Attribution("ada", session_id="s")


@pytest.fixture
def memori(tmp_path: Path) -> Iterator[Memori]:
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", extractor="none", embedder="hashing") as memori:
        yield memori


def contents(transcript: Transcript) -> list[str]:
    return [one.message.content for one in transcript.messages]


async def test_messages_are_archived_brought_back_and_deleted_by_key(memori: Memori) -> None:
    memori.record([("user", "a"), ("assistant", "b"), ("user", "c")], attribution=ADA)
    first, second, _ = (one.key for one in memori.transcript(attribution=ADA).messages)

    assert await memori.aarchive_messages([first], attribution=ADA) == 1
    assert await memori.adelete_messages([second], attribution=ADA) == 1

    assert contents(await memori.atranscript(attribution=ADA)) == ["c"]
    assert contents(memori.transcript(attribution=ADA, archived=True)) == ["a"]
    assert memori.archive_messages([first], attribution=ADA, archived=False) == 1
    assert contents(memori.transcript(attribution=ADA)) == ["a", "c"]


def test_an_edit_of_an_old_version_conflicts(memori: Memori) -> None:
    memori.record([("user", "a")], attribution=ADA)
    seen = memori.transcript(attribution=ADA).version

    after = memori.replace_messages([("user", "b")], attribution=ADA, expected=seen)

    assert contents(after) == ["b"]
    with pytest.raises(errors.VersionConflictError, match="somebody else wrote"):
        memori.replace_messages([("user", "c")], attribution=ADA, expected=seen)


@pytest.mark.parametrize(
    "call",
    [
        lambda memori, who: memori.transcript(attribution=who),
        lambda memori, who: memori.replace_messages([], attribution=who),
        lambda memori, who: memori.delete_messages(["x"], attribution=who),
        lambda memori, who: memori.archive_messages(["x"], attribution=who),
    ],
)
def test_an_edit_names_its_session(memori: Memori, call: Callable[[Memori, Attribution], Any]) -> None:
    with pytest.raises(MissingAttributionError, match=r"needs a session: Attribution\(\.\.\., session_id="):
        call(memori, Attribution("ada"))
