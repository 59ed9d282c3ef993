"""MemoriStore does what LangGraph's own stores do, for one tenant, and lets nothing out of it."""

import threading
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.tools import tool
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from memori import Attribution, InvalidAttributionError, Memori, StorageError
from memori.errors import EmbeddingError
from memori_langchain import MemoriStore

from tests.langchain.models import calls, says


class Letters(Embeddings):
    """How often each letter occurs: what shares letters is near. Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.extend(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(text.casefold().count(chr(97 + place))) + 0.01 for place in range(26)]


@pytest.fixture
def store(memori: Memori) -> MemoriStore:
    return MemoriStore(memori, tenant_id="acme")


def keys(found: Iterable[Any]) -> list[str]:
    return [one.key for one in found]


def indexed(memori: Memori, **config: Any) -> tuple[MemoriStore, Letters]:
    letters = Letters()
    return MemoriStore(memori, tenant_id="acme", index={"dims": 26, "embed": letters, **config}), letters


# put, get, delete


def test_a_document_is_read_back_and_replaced_and_deleted(store: MemoriStore) -> None:
    value = {"text": "コーヒー", "n": [1, 2.5, None, {"x": True}], "empty": {}}
    store.put(("users", "ada"), "prefs", value)
    first = store.get(("users", "ada"), "prefs")
    assert first is not None
    assert (first.namespace, first.key, first.value) == (("users", "ada"), "prefs", value)
    assert first.created_at.tzinfo is not None

    store.put(("users", "ada"), "prefs", {"text": "tea"})

    second = store.get(("users", "ada"), "prefs")
    assert second is not None
    assert second.value == {"text": "tea"}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    store.delete(("users", "ada"), "prefs")
    store.delete(("users", "ada"), "never there")
    assert store.get(("users", "ada"), "prefs") is None


def test_reads_of_a_batch_see_what_was_there_before_and_the_last_put_wins(store: MemoriStore) -> None:
    store.put(("a",), "k", {"n": 0})

    got, _, found, _, spaces, missing = store.batch(
        [
            GetOp(("a",), "k"),
            PutOp(("a",), "k", {"n": 1}),
            SearchOp(("a",)),
            PutOp(("a",), "k", {"n": 2}),
            ListNamespacesOp(),
            GetOp(("b",), "k"),
        ]
    )

    assert got.value == {"n": 0}  # type: ignore[union-attr]
    assert [one.value for one in found] == [{"n": 0}]  # type: ignore[union-attr]
    assert spaces == [("a",)]
    assert missing is None
    assert store.get(("a",), "k").value == {"n": 2}  # type: ignore[union-attr]


async def test_a_batch_awaited_is_the_same(store: MemoriStore) -> None:
    await store.aput(("a",), "k", {"text": "I love tea"})
    await store.aput(("a",), "l", {"text": "The invoice is late"})

    assert (await store.aget(("a",), "k")).value == {"text": "I love tea"}  # type: ignore[union-attr]
    assert keys(await store.asearch(("a",), query="I love tea", limit=1)) == ["k"]
    assert await store.alist_namespaces() == [("a",)]
    await store.adelete(("a",), "k")
    assert await store.aget(("a",), "k") is None
    assert await store.abatch([]) == []


def test_an_update_between_readers_is_seen_by_another_process(memori: Memori, store: MemoriStore) -> None:
    store.put(("a",), "k", {"n": 1})

    assert MemoriStore(memori, tenant_id="acme", index=False).get(("a",), "k").value == {"n": 1}  # type: ignore[union-attr]


# tenants and namespaces


def test_a_tenant_never_meets_another(memori: Memori, store: MemoriStore) -> None:
    other = MemoriStore(memori, tenant_id="umbrella")
    store.put(("notes",), "k", {"text": "ours"})
    other.put(("notes",), "k", {"text": "theirs"})

    assert [one.value["text"] for one in store.search(())] == ["ours"]
    assert [one.value["text"] for one in other.search((), query="ours")] == ["theirs"]
    other.delete(("notes",), "k")
    assert other.list_namespaces() == []
    assert store.list_namespaces() == [("notes",)]
    memori.erase("acme")
    assert store.search(()) == []


@pytest.mark.parametrize("tenant", ["", " ", None, 7])
def test_a_tenant_without_a_name_is_refused(memori: Memori, tenant: Any) -> None:
    with pytest.raises(InvalidAttributionError):
        MemoriStore(memori, tenant_id=tenant)


def test_a_prefix_is_made_of_whole_labels_of_exact_case(store: MemoriStore) -> None:
    for namespace in [("user",), ("user", "a"), ("users",), ("User",), ("us%r",), ("us_r",), ('a"', "b"), ("a", '"b')]:
        store.put(namespace, "-".join(namespace), {})

    assert sorted(keys(store.search(("user",)))) == ["user", "user-a"]
    assert keys(store.search(("us%r",))) == ["us%r"]
    assert keys(store.search(("us_r",))) == ["us_r"]
    assert keys(store.search(('a"',))) == ['a"-b']
    assert keys(store.search(("a",))) == ['a-"b']
    assert keys(store.search(("USER",))) == []
    assert len(store.search(())) == 8


def test_a_label_is_only_itself(store: MemoriStore) -> None:
    labels = ["*", "%", "_", "\\", "'", "コ", "a b", "a/b", "[", "(*)"]
    store.batch([PutOp((label,), label, {}) for label in labels])

    for label in labels:
        assert keys(store.search((label,))) == [label]
        assert store.get((label,), label) is not None
        assert store.get((label,), "other") is None


def test_a_dotted_label_is_not_a_path_of_labels(store: MemoriStore) -> None:
    store.batch([PutOp(("a.b",), "k", {"n": 1}), PutOp(("a", "b"), "k", {"n": 2})])

    assert [one.value["n"] for one in store.batch([GetOp(("a.b",), "k"), GetOp(("a", "b"), "k")])] == [1, 2]  # type: ignore[union-attr]
    with pytest.raises(InvalidNamespaceError):  # LangGraph's own rule, where its methods are used
        store.put(("ada@example.com",), "k", {})


@pytest.mark.parametrize("namespace", [(1,), ("a", None), ("",), "users", 5])
def test_a_namespace_of_anything_but_words_is_refused_before_anything_is_stored(
    store: MemoriStore, namespace: Any
) -> None:
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("good",), "k", {}), PutOp(namespace, "k", {})])
    with pytest.raises(InvalidNamespaceError):
        store.batch([SearchOp(namespace)])

    assert store.search(()) == []


def test_namespaces_are_listed_by_prefix_suffix_wildcard_and_depth(store: MemoriStore) -> None:
    for namespace in [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("b", "a"), ("a",)]:
        store.put(namespace, "k", {})

    assert store.list_namespaces(prefix=("a", "b")) == [("a", "b", "c"), ("a", "b", "d")]
    assert store.list_namespaces(suffix=("c",)) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(prefix=("a", "*", "c")) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(suffix=("*", "c")) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(prefix=("a",), suffix=("d",)) == [("a", "b", "d")]
    assert store.list_namespaces(max_depth=2) == [("a",), ("a", "b"), ("a", "x"), ("b", "a")]
    assert store.list_namespaces(limit=2, offset=1) == [("a", "b", "c"), ("a", "b", "d")]
    assert store.list_namespaces(prefix=("A",)) == []
    with pytest.raises(ValueError, match="match_type"):
        store.batch([ListNamespacesOp((MatchCondition("infix", ("a",)),))])  # type: ignore[arg-type]


# search


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"kind": "tea"}, ["a", "b"]),
    ({"kind": "tea", "n": 2}, ["b"]),
    ({"n": {"$gt": 1}}, ["b", "c"]),
    ({"n": {"$gte": 2, "$lt": 3}}, ["b"]),
    ({"n": {"$lte": 1}}, ["a"]),
    ({"kind": {"$ne": "tea"}}, ["c", "d"]),
    ({"kind": {"$eq": "coffee"}}, ["c"]),
    ({"made": {"by": "ada"}}, ["a"]),
    ({"made": {"by": {"$ne": "ada"}}}, ["b", "c", "d"]),
    ({"tags": ["x", "y"]}, ["a"]),
    ({"missing": "x"}, []),
    ({"n": {"$gt": "1"}}, []),
    ({"kind') OR 1=1 --": "x"}, []),
    ({"kind": "' OR '1'='1"}, []),
    ({"value": {"kind": "tea"}}, []),
    ({"ttl": None}, []),
    ({}, ["a", "b", "c", "d"]),
]


@pytest.fixture(scope="module")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoriStore]:
    with Memori(f"sqlite:///{tmp_path_factory.mktemp('pantry')}/m.db", embedder="hashing") as memori:
        yield stocked(MemoriStore(memori, tenant_id="acme"))


def stocked(store: MemoriStore) -> MemoriStore:
    store.put(("n",), "a", {"kind": "tea", "n": 1, "made": {"by": "ada", "in": 1}, "tags": ["x", "y"]}, index=False)
    store.put(("n",), "b", {"kind": "tea", "n": 2, "made": {"by": "bob"}}, index=False)
    store.put(("n",), "c", {"kind": "coffee", "n": 3}, index=False)
    store.put(("n",), "d", {"other": 1}, index=False)
    return store


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=[str(wanted) for wanted, _ in FILTERS])
def test_a_filter_finds_what_it_says(pantry: MemoriStore, wanted: dict[str, Any], expected: list[str]) -> None:
    assert sorted(keys(pantry.search(("n",), filter=wanted))) == expected
    assert sorted(keys(pantry.search(("n",), filter=wanted, query="tea"))) == expected


def test_an_operator_that_does_not_exist_is_an_error(store: MemoriStore) -> None:
    with pytest.raises(ValueError, match=r"'\$regex'"):
        store.search((), filter={"a": {"$regex": ".*"}})


def test_pages_do_not_overlap(store: MemoriStore) -> None:
    for number in range(7):
        store.put(("n",), f"{number}", {"n": number}, index=False)

    pages = [keys(store.search(("n",), limit=3, offset=offset)) for offset in (0, 3, 6, 9)]

    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(key for page in pages for key in page) == [str(number) for number in range(7)]
    with pytest.raises(ValueError, match="negative"):
        store.search(("n",), limit=-1)


def test_by_default_meaning_is_searched_with_no_key_and_no_network(memori: Memori) -> None:
    store = MemoriStore(memori, tenant_id="acme")
    store.put(("n",), "tea", {"text": "I drink green tea every morning"})
    store.put(("n",), "bill", {"text": "The plumber was paid twice"})

    first, second = store.search(("n",), query="green tea")

    assert first.key == "tea"
    assert first.score is not None
    assert second.score is not None
    assert first.score > second.score
    assert [one.score for one in store.search(("n",))] == [None, None]


def test_fields_that_are_named_are_embedded_and_the_best_of_them_counts(memori: Memori) -> None:
    store, letters = indexed(memori, fields=["title", "parts[*].text"])
    store.put(("n",), "a", {"title": "zzz", "parts": [{"text": "bbb"}, {"text": "ccc"}], "hidden": "qqq"})
    store.put(("n",), "b", {"title": "cccx"})
    store.put(("n",), "none", {"other": "ccc"})
    store.put(("n",), "left out", {"title": "ccc"}, index=False)
    store.put(("n",), "own", {"title": "ccc", "hidden": "ddd"}, index=["hidden"])

    assert letters.asked == ["zzz", "bbb", "ccc", "cccx", "ddd"]
    found = store.search(("n",), query="ccc")
    assert keys(found)[:2] == ["a", "b"]
    assert {one.key for one in found if one.score is None} == {"none", "left out"}
    assert keys(store.search(("n",), query="ddd", limit=1)) == ["own"]
    assert keys(store.search(("n",), query="ccc", limit=1, offset=1)) == ["b"]


def test_a_new_value_is_found_by_what_it_says_now(memori: Memori) -> None:
    store, _ = indexed(memori)
    store.put(("n",), "k", {"t": "aaa"})
    store.put(("n",), "k", {"t": "bbb"})
    store.put(("n",), "l", {"t": "aaa"})

    assert keys(store.search(("n",), query="aaa", limit=1)) == ["l"]


def test_embeddings_of_another_kind_are_not_compared(memori: Memori) -> None:
    store, _ = indexed(memori)
    store.put(("n",), "k", {"t": "aaa"})
    other = MemoriStore(memori, tenant_id="acme", index={"dims": 26, "embed": DeterministicFakeEmbedding(size=26)})

    [found] = other.search(("n",), query="aaa")

    assert found.score is None


async def test_an_async_embedding_function_serves_async_calls(memori: Memori) -> None:
    async def embed(texts: Any) -> list[list[float]]:
        return [Letters().embed_query(text) for text in texts]

    store = MemoriStore(memori, tenant_id="acme", index={"dims": 26, "embed": embed})
    await store.aput(("n",), "a", {"t": "aaa"})
    await store.aput(("n",), "b", {"t": "bbb"})

    assert keys(await store.asearch(("n",), query="bbb", limit=1)) == ["b"]


def test_an_index_that_cannot_work_is_refused(memori: Memori) -> None:
    with pytest.raises(ValueError, match='needs "embed" and "dims"'):
        MemoriStore(memori, tenant_id="acme", index={"dims": 0, "embed": Letters()})
    store = MemoriStore(memori, tenant_id="acme", index={"dims": 3, "embed": Letters()})
    with pytest.raises(EmbeddingError, match="index says 3"):
        store.put(("n",), "k", {"t": "a"})
    assert store.search(("n",)) == []


def test_a_redactor_sees_documents_before_the_embedder_does(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=lambda text: text.replace("4711", "#")) as one:
        store, letters = indexed(one, fields=["pin"])
        store.put(("n",), "k", {"pin": "4711"})

        assert letters.asked == ["#"]
        assert store.get(("n",), "k").value == {"pin": "#"}  # type: ignore[union-attr]


def test_a_value_that_is_not_json_is_refused_and_nothing_is_stored(store: MemoriStore) -> None:
    with pytest.raises(TypeError, match="must be JSON"):
        store.batch([PutOp(("a",), "good", {}), PutOp(("a",), "bad", {"x": object()})])

    assert store.search(()) == []


# time to live


def test_what_has_expired_is_not_found_and_is_swept(memori: Memori, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    store = MemoriStore(memori, tenant_id="acme", ttl={"default_ttl": 10})
    store.put(("a",), "default", {})
    store.put(("b",), "short", {}, ttl=1)
    store.put(("c",), "forever", {}, ttl=None)

    clock.minutes(2)

    assert store.list_namespaces() == [("a",), ("c",)]
    assert store.get(("b",), "short") is None
    assert sorted(keys(store.search((), refresh_ttl=False))) == ["default", "forever"]
    clock.minutes(9)
    assert keys(store.search(())) == ["forever"]
    assert store.sweep_ttl() == 2


def test_reading_puts_an_expiry_off_unless_told_otherwise(memori: Memori, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    store = MemoriStore(memori, tenant_id="acme", index=False)
    for key in ("got", "found", "peeked"):
        store.put((key,), "k", {}, ttl=10)

    for _ in range(3):
        clock.minutes(6)
        assert store.get(("got",), "k") is not None
        assert len(store.search(("found",))) == 1
        store.get(("peeked",), "k", refresh_ttl=False)

    assert store.get(("peeked",), "k") is None
    assert store.get(("got",), "k").updated_at < store.get(("got",), "k").created_at.replace(year=9999)  # type: ignore[union-attr]


class Clock:
    """Sets the hands of `memori.items`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = 0.0
        clock = self

        class Moved(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(datetime.now(UTC).timestamp() + clock._passed, tz)

        monkeypatch.setattr("memori.items.datetime", Moved)

    def minutes(self, minutes: float) -> None:
        self._passed += 60 * minutes


# under LangGraph and LangMem


@tool
def keep(note: str, runtime: ToolRuntime) -> str:
    """Keep a note."""
    assert runtime.store is not None
    runtime.store.put(("notes",), note, {"text": note})
    return f"kept beside {len(runtime.store.search(('notes',), query=note)) - 1}"


@pytest.mark.parametrize("awaited", [False, True])
async def test_an_agent_has_it_for_its_store(store: MemoriStore, awaited: bool) -> None:
    chat = create_agent(says(calls("keep", note="tea"), calls("keep", note="milk"), "Done."), [keep], store=store)
    given: Any = {"messages": [("user", "Keep tea and milk.")]}

    result = await chat.ainvoke(given) if awaited else chat.invoke(given)

    assert [one.text for one in result["messages"] if one.type == "tool"] == ["kept beside 0", "kept beside 1"]
    assert sorted(keys(store.search(("notes",)))) == ["milk", "tea"]


@pytest.mark.parametrize("awaited", [False, True])
async def test_langmems_tools_run_over_it(store: MemoriStore, awaited: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangMem imports names that LangGraph has deprecated
        from langmem import create_manage_memory_tool, create_search_memory_tool
    namespace = ("memories", "{user}")
    manage = create_manage_memory_tool(namespace, store=store)
    search = create_search_memory_tool(namespace, store=store)

    async def call(tool: Any, arguments: dict[str, Any], user: str = "ada") -> Any:
        config = {"configurable": {"user": user}}
        return await tool.ainvoke(arguments, config) if awaited else tool.invoke(arguments, config)

    told = await call(manage, {"action": "create", "content": "Ada likes green tea."})
    await call(manage, {"action": "create", "content": "The bill is due in June."})
    identifier = told.removeprefix("created memory ")

    found = await call(search, {"query": "green tea", "limit": 1})
    assert "Ada likes green tea." in found
    assert await call(search, {"query": "green tea"}, "bob") in ("", "[]")
    await call(manage, {"action": "update", "content": "Ada likes mint.", "id": identifier})
    assert "mint" in await call(search, {"query": "What does Ada like?"})
    await call(manage, {"action": "delete", "id": identifier})
    assert "mint" not in await call(search, {"query": "What does Ada like?"})


def test_a_failing_database_is_an_error(tmp_path: Path) -> None:
    with Memori(f"sqlite:///{tmp_path}/no/such/m.db", embedder="hashing") as memori:
        store = MemoriStore(memori, tenant_id="acme")

        with pytest.raises(StorageError):
            store.put(("a",), "k", {})
        with pytest.raises(StorageError):
            store.get(("a",), "k")


async def test_awaiting_leaves_the_event_loop_alone(tmp_path: Path) -> None:
    threads: set[int] = set()

    def redact(text: str) -> str:
        threads.add(threading.get_ident())
        return text

    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", redact=redact) as memori:
        store = MemoriStore(memori, tenant_id="acme", index=False)
        await store.aput(("a",), "k", {"text": "x"})

        assert memori.items.search((), attribution=Attribution("acme"))
    assert threads
    assert threading.get_ident() not in threads
