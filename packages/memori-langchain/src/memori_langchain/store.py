"""LangGraph's store, kept in Memori's database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)
from memori import Attribution, Condition, ItemWrite, Memori
from memori import Item as MemoriItem

from .boundary import in_thread
from .store_filter import conditions
from .store_index import Index
from .store_ops import check, found_item, matches, stored_item

_Key = tuple[tuple[str, ...], str]


class MemoriStore(BaseStore):
    """Documents by namespace and key, found by filter or by meaning, for `create_agent(store=...)` and LangMem.

    Everything is the tenant's: no namespace, not even the empty one, reaches another's, and `memori.erase(tenant_id)`
    takes it all. `index` None embeds whole documents with Memori's own embedder, which needs no key; a LangGraph
    `IndexConfig` embeds the fields it names with the embeddings it brings; False leaves search to filters. `ttl` is
    LangGraph's, in minutes: reads put an expiry off unless told otherwise, and an expired document is not found any
    more; `sweep_ttl()` deletes such. A failing database raises `StorageError`.
    """

    supports_ttl = True

    def __init__(
        self,
        memori: Memori,
        *,
        tenant_id: str,
        index: IndexConfig | Literal[False] | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        self._memori = memori
        self._who = Attribution(tenant_id, namespace=memori.namespace)
        self._index = None if index is False else Index(memori, index)
        self.ttl_config = ttl

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: reads see what was there before, then the puts are made in one transaction."""
        batch = [check(op) for op in ops]
        index = self._index
        if index is None:
            return self._run(batch, {}, {})
        return self._run(batch, index.documents(_puts(batch)), index.queries(_queries(batch)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Await `batch` without blocking the event loop."""
        batch = [check(op) for op in ops]
        index = self._index
        if index is None:
            return await in_thread(self._memori, self._run, batch, {}, {})
        documents, queries = await index.adocuments(_puts(batch)), await index.aqueries(_queries(batch))
        return await in_thread(self._memori, self._run, batch, documents, queries)

    def sweep_ttl(self) -> int:
        """Delete what has expired, of every tenant of the database; return how many."""
        return self._memori.items.sweep()

    def _run(self, batch: Sequence[Op], documents: dict[_Key, Any], queries: dict[str, Any]) -> list[Result]:
        results: list[Result] = [None] * len(batch)
        gets = [(place, op) for place, op in enumerate(batch) if isinstance(op, GetOp)]
        for place, item in zip((place for place, _ in gets), self._get([op for _, op in gets]), strict=True):
            results[place] = item
        for place, op in enumerate(batch):
            if isinstance(op, SearchOp):
                results[place] = self._search(op, queries)
            elif isinstance(op, ListNamespacesOp):
                results[place] = self._namespaces(op)
        puts = [op for op in batch if isinstance(op, PutOp)]
        if puts:
            self._put(puts, documents)
        return results

    def _get(self, ops: Sequence[GetOp]) -> list[Item | None]:
        if not ops:
            return []
        found = self._memori.items.read([(op.namespace, op.key) for op in ops], attribution=self._who)
        self._refresh([item for op, item in zip(ops, found, strict=True) if item and op.refresh_ttl])
        return [None if item is None else stored_item(item) for item in found]

    def _search(self, op: SearchOp, queries: dict[str, Any]) -> list[SearchItem]:
        wanted, prefix = conditions(op.filter), op.namespace_prefix
        vector = queries.get(op.query or "")
        if self._index is None or vector is None:
            found = self._memori.items.search(
                prefix, conditions=wanted, limit=op.limit, offset=op.offset, attribution=self._who
            )
            kept: list[tuple[MemoriItem, float | None]] = [(one.item, None) for one in found]
        else:
            kept = self._nearest(self._index, op, wanted, vector)
        if op.refresh_ttl:
            self._refresh([item for item, _ in kept])
        return [found_item(item, score) for item, score in kept]

    def _nearest(
        self, index: Index, op: SearchOp, wanted: Sequence[Condition], vector: Any
    ) -> list[tuple[MemoriItem, float | None]]:
        """Rank by the vectors alone, then read what is on the page."""
        placed = self._memori.items.vectors(
            op.namespace_prefix, conditions=wanted, space=index.space, attribution=self._who
        )
        page = index.ranked(placed, vector)[op.offset : op.offset + op.limit]
        found = self._memori.items.read([key for key, _ in page], attribution=self._who)
        # What was deleted in between is left out.
        return [(item, score) for item, (_, score) in zip(found, page, strict=True) if item is not None]

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        asked: Sequence[MatchCondition] = op.match_conditions or ()
        found = [
            namespace
            for namespace in self._memori.items.namespaces(attribution=self._who)
            if all(matches(condition, namespace) for condition in asked)
        ]
        if op.max_depth is not None:
            found = sorted({namespace[: op.max_depth] for namespace in found})
        return found[op.offset : op.offset + op.limit]

    def _put(self, ops: Sequence[PutOp], documents: dict[_Key, Any]) -> None:
        writes = []
        for op in ops:
            vectors = documents.get((op.namespace, op.key))
            ttl = None if op.ttl is None or op.value is None else op.ttl * 60
            writes.append(
                ItemWrite(
                    op.namespace,
                    op.key,
                    None if op.value is None else {"value": op.value, "ttl": ttl},
                    ttl=ttl,
                    vectors=vectors,
                    space=None if vectors is None or self._index is None else self._index.space,
                )
            )
        self._memori.items.write(writes, attribution=self._who)

    def _refresh(self, read: Sequence[MemoriItem]) -> None:
        """Put off the expiry of what was read, by what each was given when it was put."""
        lasting: dict[float, list[_Key]] = {}
        for item in read:
            if item.expires_at is not None:
                lasting.setdefault(item.value["ttl"], []).append((item.namespace, item.key))
        for ttl, keys in lasting.items():
            self._memori.items.touch(keys, ttl=ttl, attribution=self._who)


def _puts(batch: Sequence[Op]) -> list[PutOp]:
    last = {(op.namespace, op.key): op for op in batch if isinstance(op, PutOp)}
    return [op for op in last.values() if op.value is not None]


def _queries(batch: Sequence[Op]) -> list[str]:
    return list(dict.fromkeys(op.query for op in batch if isinstance(op, SearchOp) and op.query))
