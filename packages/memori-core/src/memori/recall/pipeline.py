"""Answer a query from one entity's memories. Nothing here writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Embedder, Space
from ..embedding.vectors import embed_query, known_space, learnt_space
from ..errors import MemoriError
from ..keys import derived_key
from ..model import Attribution, Context, Fact, Kind, Recalled, RecallWeights
from ..plugins import Plugins
from ..storage.base import Storage
from ..storage.records import IndexRow
from ..text import asks, fold, terms, words
from . import context as rendering
from .base import Reranker
from .entity_index import EntityIndex
from .index.base import SharedIndex
from .index.exact import ExactIndex
from .index.words import highest
from .index_cache import IndexCache
from .linking import about_named, linked_to
from .repeated import ShownOnce
from .saved_indexes import SavedIndexes
from .scoring import Evidence, Hit, names_in, score, without_names
from .shared import SharedCandidates
from .temporal import window

if TYPE_CHECKING:
    from .index.base import VectorIndex

logger = logging.getLogger("memori.recall")
_CANDIDATES = 50
_SPARE = 5
"""So many more memories than wanted are read at once, for those that say the same."""
_LONGEST_QUERY = 4000
# Of an entity without vectors, while nobody knows where they will live.
_NO_SPACE = Space("none", "none", 1)
_SHORT = 8
"""A turn of so many words may need the question it answers to be understood."""


class Recall:
    """The read side of one Memori object."""

    def __init__(
        self,
        storage: Storage,
        embedder: Embedder,
        vector_index: Callable[[int], VectorIndex] | SharedIndex,
        plugins: Plugins,
        *,
        weights: RecallWeights,
        reranker: Reranker | None = None,
        index_memory: int = 2 << 30,
        saved: SavedIndexes | None = None,
    ) -> None:
        self._weights = weights
        self._storage = storage
        self._embedder = embedder
        self._plugins = plugins
        self._reranker = reranker
        self._shared: SharedCandidates | None = None
        if isinstance(vector_index, SharedIndex):
            self._shared = SharedCandidates(storage, vector_index)
            vector_index = ExactIndex
        self._cache = IndexCache(vector_index, capacity=index_memory, saved=saved)
        self._told = False

    def recall(
        self,
        query: str,
        attribution: Attribution,
        *,
        limit: int,
        kinds: Collection[Kind] | None = None,
        as_of: datetime | None = None,
        min_relevance: float = 0.0,
    ) -> list[Recalled]:
        """Return the entity's memories that answer the query, best first."""
        return self._answer(query, attribution, limit, kinds, as_of, min_relevance).recalled

    def _answer(
        self,
        query: str,
        attribution: Attribution,
        limit: int,
        kinds: Collection[Kind] | None,
        as_of: datetime | None,
        min_relevance: float,
    ) -> _Answer:
        planned = self._plan(query, attribution)[:_LONGEST_QUERY]
        index, vector, degraded = self._gather(planned, attribution, limit, kinds, as_of)
        with index.lock:
            hits = self._search(index, planned, vector, limit=limit, kinds=kinds, as_of=as_of)
            hits = [hit for hit in hits if hit.relevance >= min_relevance][: max(2 * limit, _CANDIDATES)]
            found = [(index.rows[hit.number], hit) for hit in hits]
            before = {row.fact_id: index.before(hit.number) for row, hit in found}
        ranked = self._read(planned, attribution, found, limit=limit, as_of=as_of)
        telemetry.count("recalled", len(ranked))
        self._plugins.tell("memori_recalled", query=query, recalled=tuple(ranked), attribution=attribution)
        return _Answer(ranked, before, degraded)

    def _gather(
        self, query: str, attribution: Attribution, limit: int, kinds: Collection[Kind] | None, as_of: datetime | None
    ) -> tuple[EntityIndex, NDArray[np.float32] | None, str | None]:
        """What to search, the query's vector, and what failed, if anything did."""
        space, failed = known_space(self._embedder), None
        searched = space or self._storage.state(attribution).space or _NO_SPACE
        if self._shared is not None:
            embed = self._embed if space is not None else _no_vector
            index, vector, failed = self._shared.around(
                query, attribution, searched, embed, limit=max(_CANDIDATES, 2 * limit), kinds=kinds, as_of=as_of
            )
        else:
            index = self._cache.current(self._storage, attribution, searched)
            with index.lock:
                bare = without_names(query, index.said_by)
            # Embedding takes longer than the search, and may hang: nobody else's recall waits for it.
            vector = self._embed(bare) if len(index) and space is not None else None
        self._tell_of_other_space(space, index.active_space)
        return index, vector, "recalled by words alone: the embedder failed" if vector is None else failed

    def context(
        self, query: str, attribution: Attribution, *, limit: int, token_budget: int, min_relevance: float,
        exclude: Sequence[str] = (), at_hand: Sequence[Fact] = (),
    ) -> Context:  # fmt: skip
        """Render what answers the query, without what the request says already, and then what is at hand anyway.

        What is at hand may take as many tokens again.
        """
        answer = self._answer(query, attribution, limit + len(exclude), None, None, min_relevance)
        recalled = self._unsaid(answer.recalled, attribution, exclude)[:limit]
        if at_hand:
            shown = {one.id for one in recalled}
            others = [Recalled(fact, 0.0, {"short term": 1.0}) for fact in at_hand if fact.id not in shown]
            recalled += self._unsaid(others, attribution, exclude)
            token_budget *= 2
        own = next(self._plugins.ask("memori_render_context", recalled=recalled, token_budget=token_budget), None)
        if isinstance(own, str) and recalled:
            body = rendering.escape(own)[: token_budget * 4]
            text = rendering.wrap(body)
            return Context(text, tuple(recalled), rendering.tokens(text), answer.degraded)
        recalled = self._with_questions(recalled, answer.before, attribution, exclude)
        return rendering.render(recalled, token_budget=token_budget, degraded=answer.degraded)

    def clear(self) -> None:
        """Forget every cached index."""
        self._cache.clear()

    def forget(self, attribution: Attribution) -> None:
        """Drop everything cached of an entity that was erased."""
        self._cache.forget(attribution)
        if self._shared is not None:
            self._shared.forget(attribution)

    def follow(self, attribution: Attribution) -> None:
        """Bring a shared index to what has just been written, once that is committed. Never raises."""
        if (shared := self._shared) is not None:
            self._storage.after_commit(lambda: shared.follow(attribution, learnt_space(self._embedder)))

    def close(self) -> None:
        """Finish saving indexes, within a bound."""
        self._cache.close()
        if self._shared is not None:
            self._shared.index.close()

    def after_fork(self) -> None:
        """Start with empty caches in the child."""
        self._cache.after_fork()
        if self._shared is not None:
            self._shared.after_fork()

    def _tell_of_other_space(self, space: Space | None, active: Space | None) -> None:
        """Vectors of two embedders are never compared: what this one did not embed is found by its words."""
        if self._told or space is None or active is None or active == space:
            return
        self._told = True
        logger.warning(
            "Memories in this database are embedded with %s, and this Memori embeds with %s: those that it did not "
            "embed are found by their words alone. Embed them while it runs with: memori reindex --embedder %s",
            active.key,
            space.key,
            f"{space.embedder}/{model}" if (model := getattr(self._embedder, "model", None)) else space.embedder,
        )

    def _search(
        self,
        index: EntityIndex,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        limit: int,
        kinds: Collection[Kind] | None,
        as_of: datetime | None,
    ) -> list[Hit]:
        allowed = index.allowed(kinds=kinds, as_of=as_of)
        if not allowed.any():
            return []
        now = as_of or datetime.now(UTC)
        wanted = max(_CANDIDATES, 2 * limit)
        searched = terms(query)
        lexical = index.words.scores(searched)
        lexical[~allowed] = 0.0
        candidates = highest(lexical, wanted).tolist()
        nearest = [] if vector is None else index.nearest(vector, wanted, allowed)[0].tolist()
        candidates += nearest
        named = names_in(query, index.said_by)
        inside: set[int] = set()
        if (asked := window(query, now)) is not None:
            within = index.within(asked.start, asked.end) & allowed
            if vector is not None:
                candidates += index.nearest(vector, wanted, within)[0].tolist()
            candidates += highest(lexical * within, wanted).tolist()
            inside = {number for number in candidates if within[number]}
        linked = {number: seed for number, seed in linked_to(index, nearest).items() if allowed[number]}
        candidates += [*linked, *(number for number in about_named(index, searched) if allowed[number])]
        evidence = Evidence(vector, lexical, index.words.coverage(searched), named, inside, linked)
        return score(index, candidates, evidence, weights=self._weights, now=now)

    def _read(
        self,
        query: str,
        attribution: Attribution,
        found: Sequence[tuple[IndexRow, Hit]],
        *,
        limit: int,
        as_of: datetime | None,
    ) -> list[Recalled]:
        """Read what is to be shown, each once. What nobody looks at stays in the database."""

        def read(some: Sequence[tuple[IndexRow, Hit]]) -> list[Recalled]:
            ids = [row.fact_id for row, _ in some]
            facts = {fact.id: fact for fact in self._storage.facts(attribution, ids=ids, statuses=())} if ids else {}
            return [
                _recalled(facts[row.fact_id], hit) for row, hit in some if _returnable(facts.get(row.fact_id), as_of)
            ]

        shown = ShownOnce(limit)
        if self._reranker is not None or self._plugins.answers("memori_score"):
            for one in self._boost(query, self._rerank(query, read(found))):
                shown.add(one)
            return shown.memories()
        at_once = limit + _SPARE
        while found and not shown.full:
            some, found = found[:at_once], found[at_once:]
            for one in read(some):
                shown.add(one)
        for one in read([(row, hit) for row, hit in found if shown.may_repeat(row)]):
            shown.add(one)
        return shown.memories()

    def _rerank(self, query: str, recalled: list[Recalled]) -> list[Recalled]:
        """Let a reranker put its own relevance in the place of the score. One that fails leaves the order as it is."""
        if self._reranker is None or not recalled:
            return recalled
        try:
            given = np.asarray(self._reranker.rerank(query, [one.text for one in recalled]), dtype=float)
            if given.shape != (len(recalled),) or not np.isfinite(given).all():
                raise ValueError(f"a reranker returns one finite number a text, not an array of shape {given.shape}")
        except Exception as error:  # noqa: BLE001 - a reranker of anybody's may raise anything; the fused order stands
            telemetry.failure(logger, "reranking (left in the order of fusion)", error)
            return recalled
        scores = np.clip(given, 0.0, 1.0).tolist()
        reranked = [
            replace(one, score=score, parts={**one.parts, "reranker": score, "fused": one.score})
            for one, score in zip(recalled, scores, strict=True)
        ]
        return sorted(reranked, key=lambda one: -one.score)

    def _embed(self, query: str) -> NDArray[np.float32] | None:
        try:
            return embed_query(self._embedder, query)
        except MemoriError as error:
            telemetry.failure(logger, "embedding the query (recalling by words alone)", error)
            return None

    def _plan(self, query: str, attribution: Attribution) -> str:
        planned = next(self._plugins.ask("memori_plan_query", query=query, attribution=attribution), None)
        return planned if isinstance(planned, str) and planned.strip() else query

    def _boost(self, query: str, recalled: list[Recalled]) -> list[Recalled]:
        factors = np.ones(len(recalled))
        for answer in self._plugins.ask("memori_score", query=query, recalled=tuple(recalled)):
            try:
                given = np.asarray(answer, dtype=float).reshape(len(recalled))
                factors *= np.clip(np.nan_to_num(given, nan=1.0), 0.0, 10.0)
            except (TypeError, ValueError) as error:
                telemetry.failure(logger, "multipliers of a plugin in memori_score (left out)", error)
        if (factors == 1.0).all():
            return recalled
        boosted = [
            Recalled(one.fact, min(1.0, one.score * factor), {**one.parts, "plugins": factor})
            for one, factor in zip(recalled, factors.tolist(), strict=True)
        ]
        return sorted(boosted, key=lambda one: -one.score)

    def _with_questions(
        self,
        recalled: list[Recalled],
        before: Mapping[str, str | None],
        attribution: Attribution,
        exclude: Sequence[str],
    ) -> list[Recalled]:
        """Give short turns ("Yes, in June!") the question before them, unless it is in the request already."""
        said = {fold(text) for text in exclude}
        asked = {one.id: before.get(one.id) for one in recalled if len(words(one.text)) <= _SHORT}
        wanted = [fact_id for fact_id in asked.values() if fact_id is not None]
        found = {f.id: f for f in self._storage.facts(attribution, ids=wanted)} if wanted else {}

        def question(one: Recalled) -> Fact | None:
            fact = found.get(asked.get(one.id) or "")
            return fact if fact is not None and asks(fact.text) and fold(fact.text) not in said else None

        return [replace(one, reply_to=question(one)) for one in recalled]

    def _unsaid(self, recalled: list[Recalled], attribution: Attribution, exclude: Sequence[str]) -> list[Recalled]:
        """Drop memories whose words, or whose message, are in the request already."""
        said = {fold(text) for text in exclude}
        if not said or not recalled:
            return recalled
        keys = {one.fact.message_key for one in recalled if one.fact.kind != "episode"} - {None}
        episodes = [episode_id(key) for key in keys]
        sources = self._storage.facts(attribution, ids=episodes, statuses=()) if episodes else []
        repeated = {fact.message_key for fact in sources if fold(fact.text) in said}
        return [one for one in recalled if fold(one.text) not in said and one.fact.message_key not in repeated]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was recalled. `before`: for each memory the id of the one said just before it, where there is one."""

    recalled: list[Recalled]
    before: Mapping[str, str | None]
    degraded: str | None


def _no_vector(query: str) -> None:
    """What is embedded while the embedder's space can't be learnt."""


def episode_id(message_key: str | None) -> str:
    """The id of the verbatim memory of a message: the same however often it is made."""
    return derived_key("episode", message_key)


def _recalled(fact: Fact, hit: Hit) -> Recalled:
    return Recalled(fact, hit.score, {**hit.parts, "relevance": hit.relevance})


def _returnable(fact: Fact | None, as_of: datetime | None) -> bool:
    """The index may be a moment behind the database; a forgotten fact is never returned all the same."""
    return fact is not None and (fact.status == "active" or (as_of is not None and fact.status == "superseded"))
