"""Answer a query from one entity's memories. Nothing here writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Embedder, Space
from ..errors import EmbeddingError, MemoriError
from ..keys import derived_key
from ..model import Attribution, Context, Fact, Kind, Recalled
from ..plugins import Plugins
from ..storage.base import Storage
from ..text import fold, terms
from . import context as rendering
from .entity_index import EntityIndex, IndexCache
from .scoring import Hit, names_in, score, without_names

if TYPE_CHECKING:
    from .index.base import VectorIndex

logger = logging.getLogger("memori.recall")
_CANDIDATES = 50
_LONGEST_QUERY = 4000


class Recall:
    """The read side of one Memori object."""

    def __init__(
        self, storage: Storage, embedder: Embedder, vector_index: Callable[[int], VectorIndex], plugins: Plugins
    ) -> None:
        self._storage = storage
        self._embedder = embedder
        self._plugins = plugins
        self._cache = IndexCache(vector_index)
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
        planned = self._plan(query, attribution)[:_LONGEST_QUERY]
        index = self._cache.current(self._storage, attribution, self._embedder.space)
        self._tell_of_other_space(index.active_space)
        with index.lock:
            hits = self._search(index, planned, limit=limit, kinds=kinds, as_of=as_of)
            found = [(index.rows[hit.number].fact_id, hit) for hit in hits if hit.relevance >= min_relevance]
        found = found[: max(limit, _CANDIDATES)]
        facts = {fact.id: fact for fact in self._storage.facts(attribution, ids=[i for i, _ in found], statuses=())}
        ranked = [_recalled(facts[fact_id], hit) for fact_id, hit in found if _returnable(facts.get(fact_id), as_of)]
        ranked = self._boost(planned, ranked)[:limit]
        telemetry.count("recalled", len(ranked))
        self._plugins.tell("memori_recalled", query=query, recalled=tuple(ranked), attribution=attribution)
        return ranked

    def context(
        self, query: str, attribution: Attribution, *, limit: int, token_budget: int, min_relevance: float,
        exclude: Sequence[str] = (),
    ) -> Context:  # fmt: skip
        """Render what answers the query, without what the request says already."""
        recalled = self.recall(query, attribution, limit=limit + len(exclude), min_relevance=min_relevance)
        recalled = self._unsaid(recalled, attribution, exclude)[:limit]
        own = next(self._plugins.ask("memori_render_context", recalled=recalled, token_budget=token_budget), None)
        if isinstance(own, str) and recalled:
            body = rendering.escape(own)[: token_budget * 4]
            text = rendering.wrap(body)
            return Context(text, tuple(recalled), rendering.tokens(text))
        return rendering.render(recalled, token_budget=token_budget)

    def clear(self) -> None:
        """Forget every cached index."""
        self._cache.clear()

    def after_fork(self) -> None:
        """Start with empty caches in the child."""
        self._cache.after_fork()

    def _tell_of_other_space(self, active: Space | None) -> None:
        """Vectors of two embedders are never compared: what this one did not embed is found by its words."""
        space = self._embedder.space
        if self._told or active is None or active == space:
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
        self, index: EntityIndex, query: str, *, limit: int, kinds: Collection[Kind] | None, as_of: datetime | None
    ) -> list[Hit]:
        allowed = index.allowed(kinds=kinds, as_of=as_of)
        if not allowed.any():
            return []
        wanted = max(_CANDIDATES, 2 * limit)
        words = terms(query)
        lexical = index.words.scores(words)
        lexical[~allowed] = 0.0
        candidates = _best(lexical, wanted)
        vector = self._embed(without_names(query, index.said_by))
        if vector is not None and len(index.vectors):
            hidden = int(len(allowed) - allowed.sum())
            numbers, _ = index.vectors.search(vector, min(wanted + hidden, len(index.vectors)))
            candidates += [int(n) for n in numbers if allowed[n]][:wanted]
        named = names_in(query, index.said_by)
        coverage = _coverage(index, words, candidates)
        return score(index, candidates, query=vector, lexical=lexical, coverage=coverage, named=named)

    def _embed(self, query: str) -> NDArray[np.float32] | None:
        try:
            vector = self._embedder.embed_query(query)
        except MemoriError as error:
            telemetry.failure(logger, "embedding the query (recalling by words alone)", error)
            return None
        except Exception as error:  # noqa: BLE001 - an embedder of anybody's may raise anything; words still answer
            telemetry.failure(logger, "embedding the query (recalling by words alone)", error)
            return None
        if vector.shape != (self._embedder.space.dimension,) or not np.isfinite(vector).all():
            wrong = EmbeddingError(f"the embedder returned a vector of shape {vector.shape} or with NaN in it")
            telemetry.failure(logger, "embedding the query (recalling by words alone)", wrong)
            return None
        return np.ascontiguousarray(vector, dtype=np.float32)

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

    def _unsaid(self, recalled: list[Recalled], attribution: Attribution, exclude: Sequence[str]) -> list[Recalled]:
        """Drop memories whose words, or whose message, are in the request already."""
        said = {fold(text) for text in exclude}
        if not said or not recalled:
            return recalled
        episodes = {episode_id(one.fact.message_key): one for one in recalled if one.fact.message_key}
        sources = self._storage.facts(attribution, ids=list(episodes), statuses=())
        repeated = {fact.message_key for fact in sources if fold(fact.text) in said}
        return [one for one in recalled if fold(one.text) not in said and one.fact.message_key not in repeated]


def episode_id(message_key: str | None) -> str:
    """The id of the verbatim memory of a message: the same however often it is made."""
    return derived_key("episode", message_key)


def _recalled(fact: Fact, hit: Hit) -> Recalled:
    return Recalled(fact, hit.score, {**hit.parts, "relevance": hit.relevance})


def _returnable(fact: Fact | None, as_of: datetime | None) -> bool:
    """The index may be a moment behind the database; a forgotten fact is never returned all the same."""
    return fact is not None and (fact.status == "active" or (as_of is not None and fact.status == "superseded"))


def _best(scores: NDArray[np.float32], limit: int) -> list[int]:
    positive = np.flatnonzero(scores > 0)
    if len(positive) > limit:
        positive = positive[np.argpartition(scores[positive], -limit)[-limit:]]
    return [int(number) for number in positive]


def _coverage(index: EntityIndex, words: list[str], candidates: Collection[int]) -> dict[int, float]:
    """The share of the query's information (by rarity of its terms) that each candidate holds, 0..1."""
    weights = {word: index.words.rarity(word) or 10.0 for word in set(words)}
    total = sum(weights.values())
    if not total:
        return {}
    return {
        number: sum(weight for word, weight in weights.items() if f" {word} " in f" {index.rows[number].text} ") / total
        for number in set(candidates)
    }
