"""`memori.items`: an application's documents, kept for one entity and shown to no other."""

from pathlib import Path
from typing import Any

import pytest
from memori import Attribution, Condition, ItemWrite, Memori, MissingAttributionError

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
        (ItemWrite(NOTES, "k", [1]), "must be a mapping"),  # type: ignore[arg-type]
        (ItemWrite(NOTES, "k", {"when": object()}), "cannot hold a object"),
        (ItemWrite(NOTES, "k", {"a": {1: 2}}), "must be strings"),
        (ItemWrite(NOTES, "k", {}, ttl=0), "more than 0"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(memori: Memori, write: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        memori.items.write([ItemWrite(NOTES, "good", {}), write], attribution=ADA)

    assert memori.items.search((), attribution=ADA) == []


def test_a_redactor_sees_every_text_of_a_document(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=lambda text: text.replace("4711", "#")) as one:
        one.items.write([ItemWrite(NOTES, "k", {"pins": ["4711", {"x": "my 4711"}]})], attribution=ADA)

        [item] = one.items.read([(NOTES, "k")], attribution=ADA)
        assert item is not None
        assert item.value == {"pins": ["#", {"x": "my #"}]}
