"""What a storage that keeps items promises. Subclass `ItemConformance` and supply `connect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from ..embedding.base import Space
from ..errors import VersionConflictError
from ..storage.base import Storage
from ..storage.records import Condition, Expectation, ItemWrite, Operator
from .samples import ADA, BOB, NOW, SPACE


def put(key: str, value: dict[str, Any] | None, *namespace: str, **options: Any) -> ItemWrite:
    """A write under a namespace, ("notes",) unless told."""
    return ItemWrite(namespace or ("notes",), key, value, **options)


def keys(storage: Storage, *prefix: str, **options: Any) -> list[str]:
    """The keys found under a prefix, sorted."""
    return sorted(found.item.key for found in storage.search_items(ADA, prefix, now=NOW, **options))


class ItemConformance:
    """For storages with `write_items`, `read_items`, `search_items` and their kin."""

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

    def test_an_item_is_read_back_as_it_was_put(self, storage: Storage) -> None:
        """Check nested values, unicode keys, dots in namespaces, NUL inside a value, and the order of the answers."""
        value = {"a": [1, 2.5, None, True, "コーヒー"], "nested": {"x": {"y": "\x00"}}}
        storage.write_items(ADA, [put("k.é", value, "a.b", "c"), put("other", {}, "a", "b.c")], now=NOW)

        asked = [(("a", "b.c"), "other"), (("nowhere",), "k"), (("a.b", "c"), "k.é")]
        empty, missing, found = storage.read_items(ADA, asked, now=NOW)

        assert missing is None
        assert empty is not None
        assert found is not None
        assert empty.value == {}
        assert (found.namespace, found.key, found.value) == (("a.b", "c"), "k.é", value)
        assert found.created_at == found.updated_at == NOW

    def test_replacing_keeps_when_it_was_made(self, storage: Storage) -> None:
        """Check created_at and updated_at, and that the last of several writes of a key wins."""
        later = NOW + timedelta(hours=1)
        storage.write_items(ADA, [put("k", {"n": 1})], now=NOW)
        storage.write_items(ADA, [put("k", None), put("k", {"n": 2}), put("k", {"n": 3})], now=later)

        (item,) = storage.read_items(ADA, [(("notes",), "k")], now=later)

        assert item is not None
        assert (item.value, item.created_at, item.updated_at) == ({"n": 3}, NOW, later)

    def test_an_item_is_deleted(self, storage: Storage) -> None:
        """Check that None deletes, also a key that is not there."""
        storage.write_items(ADA, [put("k", {"n": 1})], now=NOW)
        storage.write_items(ADA, [put("k", None), put("never", None)], now=NOW)

        assert storage.read_items(ADA, [(("notes",), "k")], now=NOW) == [None]

    def test_a_write_takes_place_only_when_all_is_as_expected(self, storage: Storage) -> None:
        """Check a value, an absence, another tenant's item, an expired one; a conflict must write nothing."""
        storage.write_items(ADA, [put("k", {"v": 1}), put("brief", {"v": 1}, ttl=60)], now=NOW)
        later = NOW + timedelta(minutes=5)
        is_one, absent = Condition(("v",), "eq", 1), None
        unmet = [("k", Condition(("v",), "eq", 2)), ("k", absent), ("missing", is_one), ("brief", is_one)]

        for key, condition in unmet:
            with pytest.raises(VersionConflictError):
                storage.write_items(
                    ADA,
                    [put("new", {}), put("k", {"v": 9})],
                    expected=[Expectation(("notes",), "k", is_one), Expectation(("notes",), key, condition)],
                    now=later,
                )
        with pytest.raises(VersionConflictError):
            storage.write_items(BOB, [put("k", {})], expected=[Expectation(("notes",), "k", is_one)], now=NOW)
        assert keys(storage, "notes") == ["brief", "k"]
        met = [Expectation(("notes",), "k", is_one), Expectation(("notes",), "missing", absent)]
        storage.write_items(ADA, [put("k", {"v": 2}), put("new", {})], expected=met, now=later)

        (item,) = storage.read_items(ADA, [(("notes",), "k")], now=later)
        assert item is not None
        assert item.value == {"v": 2}

    def test_of_writers_that_expect_the_same_one_succeeds(self, storage: Storage) -> None:
        """Check that reading and writing are one step: expecting must lock what is expected, there or not."""
        together = Barrier(4)

        def win(writer: int) -> bool:
            together.wait(30)
            expected = [Expectation(("notes",), "k", None)]
            try:
                storage.write_items(ADA, [put("k", {"by": writer})], expected=expected, now=NOW)
            except VersionConflictError:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            won = list(threads.map(win, range(4)))

        (item,) = storage.read_items(ADA, [(("notes",), "k")], now=NOW)
        assert won.count(True) == 1
        assert item is not None
        assert item.value == {"by": won.index(True)}

    def test_a_prefix_matches_whole_segments(self, storage: Storage) -> None:
        """Check that ("a",) does not find ("ab",), that "%" and "_" are plain, and that case counts."""
        for number, namespace in enumerate([("a",), ("a", "b"), ("ab",), ("A",), ("%",), ("_",)]):
            storage.write_items(ADA, [put(str(number), {}, *namespace)], now=NOW)

        assert keys(storage, "a") == ["0", "1"]
        assert keys(storage, "%") == ["4"]
        assert keys(storage, "_") == ["5"]
        assert len(keys(storage)) == 6

    def test_a_prefix_may_be_long(self, storage: Storage) -> None:
        """Check prefixes of every length, the namespace itself included, and one label that ends another apart."""
        labels = ("a", "b", "c", "d", "e")
        storage.write_items(ADA, [put(str(depth), {}, *labels[:depth]) for depth in range(1, 6)], now=NOW)
        storage.write_items(ADA, [put("root", {}, "a"), put("other", {}, "a", "b", "c", "x", "e")], now=NOW)
        storage.write_items(ADA, [ItemWrite((), "top", {})], now=NOW)

        for depth in range(1, 6):
            below = [str(number) for number in range(depth, 6)]
            assert keys(storage, *labels[:depth]) == below + (["other"] if depth < 4 else []) + ["root"] * (depth == 1)
        assert keys(storage, *labels, "f") == []
        assert "top" in keys(storage)

    @pytest.mark.parametrize(
        ("operator", "operand", "expected"),
        [
            ("eq", 5, ["five"]),
            ("ne", 5, ["missing", "seven", "text"]),
            ("gt", 5, ["seven"]),
            ("gte", 5, ["five", "seven"]),
            ("lt", 7, ["five"]),
            ("lte", 7.0, ["five", "seven"]),
            ("eq", "5", ["text"]),
        ],
    )
    def test_conditions_compare_like_with_like(
        self, storage: Storage, operator: Operator, operand: Any, expected: list[str]
    ) -> None:
        """Check numbers, strings and missing paths, each operator."""
        values: dict[str, dict[str, Any]] = {"five": {"n": 5}, "seven": {"n": 7}, "text": {"n": "5"}, "missing": {}}
        nested = [put(key, {"meta": value}) for key, value in values.items()]
        storage.write_items(ADA, nested, now=NOW)

        assert keys(storage, "notes", conditions=[Condition(("meta", "n"), operator, operand)]) == expected

    @pytest.mark.parametrize("path", ["n' OR '1'='1", '$.n") --', "a.b", "$where"])
    def test_a_path_is_data(self, storage: Storage, path: str) -> None:
        """Check that a hostile key is compared, never run."""
        storage.write_items(ADA, [put("plain", {"n": 1}), put("odd", {path: 1})], now=NOW)

        assert keys(storage, "notes", conditions=[Condition((path,), "eq", 1)]) == ["odd"]

    def test_search_pages_from_the_latest_update(self, storage: Storage) -> None:
        """Check the order, limit and offset."""
        for number in range(5):
            storage.write_items(ADA, [put(str(number), {})], now=NOW + timedelta(seconds=number))

        found = storage.search_items(ADA, ("notes",), limit=2, offset=1, now=NOW)

        assert [one.item.key for one in found] == ["3", "2"]

    def test_pages_neither_repeat_nor_miss(self, storage: Storage) -> None:
        """Check pages through items of which many were written at once and few meet a condition."""
        for second in range(3):
            many = [put(f"{second}-{number}", {"n": number % 5}, "notes", str(number % 2)) for number in range(40)]
            storage.write_items(ADA, many, now=NOW + timedelta(seconds=second))

        for prefix, conditions, expected in [(("notes",), [Condition(("n",), "eq", 4)], 24), (("notes", "1"), [], 60)]:
            asked: dict[str, Any] = {"conditions": conditions, "now": NOW + timedelta(seconds=9)}
            pages = [storage.search_items(ADA, prefix, limit=7, offset=at, **asked) for at in range(0, 70, 7)]
            shown = [one.item.key for page in pages for one in page]
            assert len(set(shown)) == len(shown) == expected
            assert [key[0] for key in shown] == sorted((key[0] for key in shown), reverse=True)

    def test_vectors_come_back_in_their_space_only(self, storage: Storage) -> None:
        """Check that vectors of another space are not given."""
        vectors = np.eye(2, 4, dtype=np.float32)
        storage.write_items(ADA, [put("k", {}, vectors=vectors, space=SPACE), put("bare", {})], now=NOW)

        storage.write_items(ADA, [put("far", {"n": 1}, "else", vectors=vectors, space=SPACE)], now=NOW)
        storage.write_items(BOB, [put("k", {"n": 1}, vectors=vectors, space=SPACE)], now=NOW)

        found = {f.item.key: f.vectors for f in storage.search_items(ADA, ("notes",), space=SPACE, now=NOW)}
        other = storage.search_items(ADA, ("notes",), space=Space("test", "other", 4), now=NOW)

        assert found["bare"] is None
        assert np.array_equal(found["k"], vectors)  # type: ignore[arg-type]
        assert all(one.vectors is None for one in other)
        for prefix, conditions in [(("notes",), []), ((), []), ((), [Condition(("n",), "eq", 1)])]:
            whole = storage.search_items(ADA, prefix, conditions=conditions, space=SPACE, now=NOW)
            alone = storage.item_vectors(ADA, prefix, conditions=conditions, space=SPACE, now=NOW)
            assert [place for place, _ in alone] == [(one.item.namespace, one.item.key) for one in whole]
            assert all(np.array_equal(a, b.vectors) for (_, a), b in zip(alone, whole, strict=True))  # type: ignore[arg-type]

    def test_an_item_expires_and_can_be_kept_alive(self, storage: Storage) -> None:
        """Check that an expired item is gone from every reading before it is swept, and that touching moves expiry."""
        short, long = put("short", {}, ttl=60), put("long", {}, ttl=60)
        storage.write_items(ADA, [short, long, put("forever", {})], now=NOW)
        storage.touch_items(ADA, [(("notes",), "long"), (("notes",), "forever")], ttl=3600, now=NOW)
        later = NOW + timedelta(minutes=5)

        places = [(("notes",), "short"), (("notes",), "long")]
        assert [item and item.key for item in storage.read_items(ADA, places, now=later)] == [None, "long"]
        assert sorted(f.item.key for f in storage.search_items(ADA, (), now=later)) == ["forever", "long"]
        assert storage.sweep_items(now=later) == 1
        assert storage.sweep_items(now=later) == 0
        assert sorted(f.item.key for f in storage.search_items(ADA, (), now=later + timedelta(days=1))) == ["forever"]

    def test_namespaces_are_listed(self, storage: Storage) -> None:
        """Check that only namespaces with unexpired items are listed, sorted, by whole segments."""
        storage.write_items(
            ADA, [put("1", {}, "b", "c"), put("2", {}, "a"), put("3", {}, "bc"), put("4", {}, "old", ttl=1)], now=NOW
        )
        later = NOW + timedelta(minutes=1)

        assert storage.item_namespaces(ADA, now=later) == [("a",), ("b", "c"), ("bc",)]
        assert storage.item_namespaces(ADA, ("b",), now=later) == [("b", "c")]

    def test_tenants_never_meet(self, storage: Storage) -> None:
        """Check that every operation is confined to the entity, and that erasing takes its items along."""
        place = (("notes",), "k")
        storage.write_items(ADA, [put("k", {"of": "ada"})], now=NOW)
        storage.write_items(BOB, [put("k", {"of": "bob"})], now=NOW)

        storage.write_items(BOB, [put("k", None)], now=NOW)
        storage.write_items(BOB, [put("k", {"of": "bob again"})], now=NOW)
        (mine,) = storage.read_items(ADA, [place], now=NOW)
        assert mine is not None
        assert mine.value == {"of": "ada"}
        storage.erase(ADA)

        assert storage.read_items(ADA, [place], now=NOW) == [None]
        assert [f.item.value for f in storage.search_items(BOB, (), now=NOW)] == [{"of": "bob again"}]
