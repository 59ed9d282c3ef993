"""Memori's parts for LlamaIndex beside LlamaIndex's own.

`python -m benchmarks.llamaindex` times a chat store beside `SQLAlchemyChatStore`, both on a SQLite file: appending
messages one by one, and loading a session of so many. With `--data DIR` (LoCoMo conversations, one JSON file each) it
also asks `MemoriRetriever` and `VectorMemoryBlock` the same questions, with the same embedder: which share of the
evidence is among the first ten?
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import VectorMemoryBlock
from llama_index.core.schema import BaseNode
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery, VectorStoreQueryResult
from memori import Attribution, Embedder, Memori
from memori.model import KINDS
from memori_llamaindex import MemoriAsyncChatStore, MemoriRetriever, register
from pydantic import PrivateAttr

from benchmarks.locomo import Conversation, load
from benchmarks.metrics import mean, percentile, recall_at
from benchmarks.retrieval import database, ingest

DEPTH = 10
MESSAGE = re.compile(r"<message role='user'>(.*?)</message>", re.DOTALL)
ROUNDS = 15


class Shared(BaseEmbedding):
    """Memori's embedder as a model of LlamaIndex, so that both sides have the same."""

    embedder: Any

    def _get_text_embedding(self, text: str) -> list[float]:
        found: list[float] = self.embedder.embed([text])[0].tolist()
        return found

    def _get_query_embedding(self, query: str) -> list[float]:
        found: list[float] = self.embedder.embed_query(query).tolist()
        return found

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class Exact(BasePydanticVectorStore):
    """A vector store that compares with all it holds: no index can find more by these vectors."""

    stores_text: bool = True
    _nodes: list[BaseNode] = PrivateAttr(default_factory=list)

    @property
    def client(self) -> None:
        return None

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        self._nodes += nodes
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        self._nodes = [node for node in self._nodes if node.node_id != ref_doc_id]

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        cosines = np.array([node.embedding for node in self._nodes]) @ np.array(query.query_embedding)
        best = np.argsort(-cosines, kind="stable")[: query.similarity_top_k]
        return VectorStoreQueryResult(
            nodes=[self._nodes[place] for place in best], similarities=cosines[best].tolist(), ids=[]
        )


async def milliseconds(call: Callable[..., Awaitable[Any]], *given: Any) -> float:
    """How long one call took."""
    began = time.perf_counter()
    await call(*given)
    return (time.perf_counter() - began) * 1000


async def stores(messages: int, folder: Path) -> None:
    """Append and load, in turns, so that what else the machine does hits both."""
    said = [ChatMessage(f"Message {n}: of about the length that people write to each other.") for n in range(messages)]
    theirs = SQLAlchemyChatStore(
        table_name="messages", async_database_uri=f"sqlite+aiosqlite:///{folder / 'theirs.db'}"
    )
    with Memori(f"sqlite:///{folder / 'memori.db'}", extractor="none", embedder="hashing") as memori:
        register(memori)
        compared: list[Any] = [MemoriAsyncChatStore(entity_id="ada"), theirs]
        appended: dict[Any, list[float]] = {type(store): [] for store in compared}
        loaded: dict[Any, list[float]] = {type(store): [] for store in compared}
        for store in compared:
            await store.get_messages("s")
        for message in said:
            for store in compared:
                appended[type(store)].append(await milliseconds(store.add_message, "s", message))
        memori.augmentation.wait()
        for _ in range(ROUNDS):
            for store in compared:
                loaded[type(store)].append(await milliseconds(store.get_messages, "s"))
        assert [await store.count_messages("s") for store in compared] == [messages] * 2
    if theirs._async_engine is not None:
        await theirs._async_engine.dispose()
    print(f"| {messages} messages | append, median | p95 | load, median | p95 |\n|---|---|---|---|---|")
    for kind in appended:
        figures = [percentile(values[kind], share) for values in (appended, loaded) for share in (50, 95)]
        print(f"| {kind.__name__} | " + " | ".join(f"{figure:.1f} ms" for figure in figures) + " |")


async def remembered_by_block(conversation: Conversation, embedder: Embedder) -> list[float]:
    """recall@10 of each question: one node for each turn, which is the finest that the block can hold."""
    block = VectorMemoryBlock(
        vector_store=Exact(), embed_model=Shared(embedder=embedder), similarity_top_k=DEPTH, retrieval_context_window=1
    )
    turn_of = {}
    for turn in conversation.turns:
        text = f"{turn.name}: {turn.content}"
        turn_of[text] = str(turn.id)
        await block.aput([ChatMessage(text)])
    found = []
    for question in conversation.questions:
        shown = MESSAGE.findall(await block.aget([ChatMessage(question.text)]))
        found.append(recall_at(DEPTH, [turn_of[text] for text in shown], question.evidence))
    return found


async def remembered_by_memori(conversation: Conversation, memori: Memori) -> list[float]:
    """recall@10 of each question, with the defaults."""
    entity = Attribution(conversation.name)
    turn_of = {stored.key: str(stored.message.id) for stored in memori.messages(attribution=entity)}
    facts = memori.facts(attribution=entity, kinds=KINDS, limit=10_000)
    turn_of_fact = {fact.id: turn_of.get(fact.message_key or "", "") for fact in facts}
    retriever = MemoriRetriever(conversation.name, limit=DEPTH)
    return [
        recall_at(DEPTH, [turn_of_fact[node.node_id] for node in await retriever.aretrieve(one.text)], one.evidence)
        for one in conversation.questions
    ]


async def recall(paths: Sequence[Path], keep: Path | None) -> None:
    """Ask both about every conversation."""
    ours: list[float] = []
    theirs: list[float] = []
    for path in paths:
        conversation = load(path)
        with database(f"{conversation.name}-local", keep) as url, Memori(url) as memori:
            register(memori)
            ingest(memori, Attribution(conversation.name), conversation.sessions)
            ours += await remembered_by_memori(conversation, memori)
            theirs += await remembered_by_block(conversation, memori.embedder)
        print(f"{conversation.name} done", file=sys.stderr)
    print(f"\n| {len(ours)} questions | recall@10 |\n|---|---|")
    print(f"| MemoriRetriever | {mean(ours):.3f} |\n| VectorMemoryBlock | {mean(theirs):.3f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=1000, help="messages of the session that is loaded")
    parser.add_argument("--data", type=Path, help="folder of LoCoMo conversations, one JSON file each")
    parser.add_argument("--limit", type=int, help="how many conversations to ask about")
    parser.add_argument("--keep", type=Path, help="folder to keep the databases in")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(stores(given.messages, Path(folder)))
    if given.data:
        asyncio.run(recall(sorted(given.data.glob("*.json"))[: given.limit], given.keep))


if __name__ == "__main__":
    main()
