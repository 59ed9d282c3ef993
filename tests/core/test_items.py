"""`memori.items`: an application's documents, kept for one entity and shown to no other."""

from pathlib import Path
from typing import Any

import pytest
from memori import (
    Attribution,
    Condition,
    Expectation,
    ItemWrite,
    Memori,
    MissingAttributionError,
    VersionConflictError,
)

ADA, BOB = Attribution("ada"), Attribution("bob")
NOTES = ("notes",)


def test_a_document_is_read_and_found_by_its_owner_alone(memori: Memori) -> None:
    memori.items.write([ItemWrite(NOTES, "k", {"colour": "teal", "n": 2})], attribution=ADA)

    [item] = memori.items.read([(NOTES, "k")], attribution=ADA)
    assert item is not None
    assert item.value == {"colour": "teal", "n": 2}
    [found] = memori.items.search((), conditions=[Condition(("n",), "gt", 1)], attribution=ADA)
    assert found.item == item
    assert memori.items.namespaces(attribution=ADA) == [NOTES]
    assert memori.items.read([(NOTES, "k")], attribution=BOB) == [None]
    assert memori.items.search((), attribution=BOB) == []
    assert memori.items.namespaces(attribution=BOB) == []


def test_without_an_identity_nothing_is_read_or_written(memori: Memori) -> None:
    with pytest.raises(MissingAttributionError):
        memori.items.write([ItemWrite(NOTES, "k", {})])
    with pytest.raises(MissingAttributionError):
        memori.items.search()


def test_erasing_a_person_takes_their_documents(memori: Memori) -> None:
    memori.items.write([ItemWrite(NOTES, "k", {})], attribution=ADA)

    memori.erase("ada")

    assert memori.items.search((), attribution=ADA) == []


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (ItemWrite((1,), "k", {}), "tuple of strings"),  # type: ignore[arg-type]
        (ItemWrite("notes", "k", {}), "tuple of strings"),  # type: ignore[arg-type]
        (ItemWrite(NOTES, "", {}), "not empty"),
        (ItemWrite(NOTES, 7, {}), "must be a string"),  # type: ignore[arg-type]
        (ItemWrite(NOTES, "a\x00", {}), "NUL"),
        (ItemWrite(("a\x00",), "k", {}), "NUL"),
        (ItemWrite(("a\ud800",), "k", {}), "surrogate"),
        (ItemWrite(NOTES, "k", [1]), "must be a mapping"),  # type: ignore[arg-type]
        (ItemWrite(NOTES, "k", {"when": object()}), "must be JSON, which object is not"),
        (ItemWrite(NOTES, "k", {"a": {1: 2}}), "must be strings"),
        (ItemWrite(NOTES, "k", {}, ttl=0), "more than 0"),
        (ItemWrite(NOTES, "k", {}, ttl=float("inf")), "1,000 years"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(memori: Memori, write: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        memori.items.write([ItemWrite(NOTES, "good", {}), write], attribution=ADA)

    assert memori.items.search((), attribution=ADA) == []


@pytest.mark.parametrize("ttl", [0, -5, float("nan"), 1e15])
def test_an_item_is_not_touched_for_a_time_that_is_none(memori: Memori, ttl: float) -> None:
    memori.items.write([ItemWrite(NOTES, "k", {}, ttl=60)], attribution=ADA)

    with pytest.raises(ValueError, match="more than 0"):
        memori.items.touch([(NOTES, "k")], ttl=ttl, attribution=ADA)

    assert memori.items.read([(NOTES, "k")], attribution=ADA) != [None]


def test_touching_what_is_no_key_is_refused(memori: Memori) -> None:
    with pytest.raises(TypeError, match="tuple of strings"):
        memori.items.touch([("notes", "k")], ttl=60, attribution=ADA)  # type: ignore[list-item]


def test_a_redactor_sees_every_text_of_a_document(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=lambda text: text.replace("4711", "#")) as one:
        one.items.write([ItemWrite(NOTES, "k", {"pins": ["4711", {"x": "my 4711"}]})], attribution=ADA)

        [item] = one.items.read([(NOTES, "k")], attribution=ADA)
        assert item is not None
        assert item.value == {"pins": ["#", {"x": "my #"}]}


def test_what_is_said_to_be_redacted_is_kept_as_it_is(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=lambda text: text.replace("4711", "#")) as one:
        value = {"id": "call-4711", **one.items.document({"text": "my 4711"})}
        one.items.write([ItemWrite(NOTES, "k", value)], attribution=ADA, redacted=True)

        [item] = one.items.read([(NOTES, "k")], attribution=ADA)
        assert item is not None
        assert item.value == {"id": "call-4711", "text": "my #"}


def test_a_write_that_expects_another_value_changes_nothing(memori: Memori) -> None:
    memori.items.write([ItemWrite(NOTES, "k", {"v": 1})], attribution=ADA)
    expected = [Expectation(NOTES, "k", Condition(("v",), "eq", 2))]

    with pytest.raises(VersionConflictError, match="'k' is not as expected"):
        memori.items.write([ItemWrite(NOTES, "k", {"v": 3})], attribution=ADA, expected=expected)

    [item] = memori.items.read([(NOTES, "k")], attribution=ADA)
    assert item is not None
    assert item.value == {"v": 1}
