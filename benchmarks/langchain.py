"""What memory adds to an agent's step, and LangChain's parts beside those they take the place of.

`uv run --group peers python -m benchmarks.langchain`. Every database is a SQLite file of its own in one temporary
folder, with the settings it comes with: all of them commit with `synchronous = FULL`, Memori's in WAL mode, the others
with a rollback journal, which reaches the disk more often for each commit. `SqliteStore` searches by meaning only where
Python's sqlite3 can load extensions; `InMemoryStore` is measured for that in any case.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.store.base import BaseStore, IndexConfig, PutOp
from langgraph.store.memory import InMemoryStore
from memori import Attribution, Memori
from memori_langchain import MemoriChatMessageHistory, MemoriMiddleware, MemoriStore

USERS = 100


def took(call: Callable[[], object], repeats: int) -> float:
    """The least that one of the calls took, in milliseconds: what else the machine did is in it least."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def row(name: str, figures: Sequence[float]) -> None:
    print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")


def steps(folder: Path, facts: int, repeats: int) -> None:
    """One run of an agent of one model call, with and without memory of `facts` facts."""
    with Memori(f"sqlite:///{folder}/agent.db", extractor="none") as memori:
        ada = Attribution("ada")
        memori.record(
            [("user", f"I keep note {number} in drawer {number % 17}.") for number in range(facts)], attribution=ada
        )
        memori.augmentation.wait(600)

        def run(middleware: Sequence[Any]) -> Callable[[], object]:
            agent: Any = create_agent(FakeListChatModel(responses=["Noted."]), middleware=middleware)
            given = {"messages": [HumanMessage("In which drawer is note 7?")]}
            return lambda: agent.invoke(given, context={"user_id": "ada"})

        everything = MemoriMiddleware(memori)
        reading = MemoriMiddleware(memori, capture=False)
        run([everything])()
        print(f"\nAgent, one model call, {facts} facts; milliseconds:\n")
        print("| alone | recall | recall and capture |\n|---|---|---|")
        row_of = [took(run(chosen), repeats) for chosen in ([], [reading], [everything])]
        print("| " + " | ".join(f"{figure:.1f}" for figure in row_of) + " |")


@contextmanager
def stores(folder: Path, index: IndexConfig | None) -> Iterator[dict[str, BaseStore]]:
    from langgraph.store.sqlite import SqliteStore

    found: dict[str, BaseStore] = {"InMemoryStore": InMemoryStore(index=index)}
    name = "plain" if index is None else "index"
    connection = sqlite3.connect(folder / f"{name}-peer.db", check_same_thread=False, isolation_level=None)
    if index is None or hasattr(connection, "enable_load_extension"):
        peer = SqliteStore(connection, index=index)
        peer.setup()
        found["SqliteStore"] = peer
    with Memori(f"sqlite:///{folder}/{name}.db", extractor="none") as memori:
        found["MemoriStore"] = MemoriStore(memori, tenant_id="acme", index=False if index is None else index)
        yield found
    connection.close()


def documents(count: int) -> list[PutOp]:
    return [
        PutOp(("users", f"u{number % USERS}"), f"k{number}", {"text": f"note {number}", "n": number})
        for number in range(count)
    ]


def items(folder: Path, count: int, repeats: int) -> None:
    """Stores of `count` documents under 100 namespaces."""
    with stores(folder, None) as found:
        print(f"\nStores of {count} documents, no index; milliseconds:\n")
        print("| | put | get | search one namespace | search all | filter | second page of a filter |")
        print("|---|---|---|---|---|---|---|")
        for name, store in found.items():
            fill(store, count)
            keys = iter(range(10**6))
            last = {"n": {"$gte": count // 2}}
            row(
                name,
                [
                    took(lambda: store.put(("users", "u1"), f"new{next(keys)}", {"text": "new", "n": 0}), repeats),  # noqa: B023
                    took(lambda: store.get(("users", "u1"), "k1"), repeats),  # noqa: B023
                    took(lambda: store.search(("users", "u7")), repeats),  # noqa: B023
                    took(lambda: store.search(()), repeats),  # noqa: B023
                    took(lambda: store.search(("users",), filter=last), repeats),  # noqa: B023
                    took(lambda: store.search(("users", "u7"), filter=last, offset=10), repeats),  # noqa: B023
                ],
            )
    index: IndexConfig = {"dims": 384, "embed": DeterministicFakeEmbedding(size=384), "fields": ["text"]}
    with stores(folder, index) as found:
        print(f"\nStores of {count} documents with vectors of 384 dimensions; milliseconds:\n")
        print("| | put | search one namespace by meaning | search all by meaning |\n|---|---|---|---|")
        for name, store in found.items():
            fill(store, count)
            keys = iter(range(10**6))
            row(
                name,
                [
                    took(lambda: store.put(("users", "u1"), f"new{next(keys)}", {"text": "new", "n": 0}), repeats),  # noqa: B023
                    took(lambda: store.search(("users", "u7"), query="note 7"), repeats),  # noqa: B023
                    took(lambda: store.search((), query="note 7"), repeats),  # noqa: B023
                ],
            )


def fill(store: BaseStore, count: int) -> None:
    made = documents(count)
    for start in range(0, count, 500):
        store.batch(made[start : start + 500])


def histories(folder: Path, count: int, repeats: int) -> None:
    """A session of `count` messages: load it, and add two more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package says that it is no longer cared for
        from langchain_community.chat_message_histories import SQLChatMessageHistory
    said: list[BaseMessage] = [
        kind(f"message {number} of a long conversation")
        for number in range(count // 2)
        for kind in (HumanMessage, AIMessage)
    ]
    turn = [HumanMessage("And now?"), AIMessage("Now this.")]
    with Memori(f"sqlite:///{folder}/history.db", extractor="none", embedder="hashing") as memori:
        found: dict[str, BaseChatMessageHistory] = {
            "SQLChatMessageHistory": SQLChatMessageHistory("s", connection=f"sqlite:///{folder}/history-peer.db"),
            "MemoriChatMessageHistory": MemoriChatMessageHistory(memori, entity_id="ada", session_id="s"),
        }
        print(f"\nHistories of {count} messages; milliseconds:\n\n| | add a turn | load |\n|---|---|---|")
        for name, history in found.items():
            history.add_messages(said)
            memori.augmentation.wait(600)
            row(name, [took(lambda: history.add_messages(turn), repeats), took(lambda: history.messages, repeats)])  # noqa: B023
            memori.augmentation.wait(600)


def main() -> None:
    """Measure all, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="agent, store, history; all of them unless told")
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    chosen = options.what or ["agent", "store", "history"]
    with tempfile.TemporaryDirectory(prefix="memori-") as name:
        folder = Path(name)
        if "agent" in chosen:
            steps(folder, options.facts, options.repeats)
        if "store" in chosen:
            items(folder, options.items, options.repeats)
        if "history" in chosen:
            histories(folder, options.messages, options.repeats)


if __name__ == "__main__":
    main()
