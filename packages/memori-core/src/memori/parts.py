"""What one Memori object is made of, each part made when it is needed, and whose memory a call is about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from . import telemetry
from .arguments import (
    check_budget,
    check_limit,
    check_pool_size,
    check_relevance,
)
from .attribution import CurrentAttribution
from .errors import ClosedError, MemoriError, MissingAttributionError
from .model import (
    Attribution,
    Message,
    RecallOptions,
)
from .process import BoundedExecutor, fork_gate, on_fork

if TYPE_CHECKING:
    from .augmentation.consolidation import Consolidation
    from .augmentation.extraction.base import Extractor
    from .augmentation.pipeline import Pipeline
    from .augmentation.queue import Augmentation
    from .embedding.base import Embedder
    from .items import Items
    from .llm.register import LLMRegistry
    from .plugins import Plugins
    from .recall.base import Reranker
    from .recall.index.base import SharedIndex, VectorIndex
    from .recall.pipeline import Recall
    from .recall.saved_indexes import SavedIndexes
    from .settings import Settings
    from .storage.base import Storage
    from .storage.records import Codec

_logger = logging.getLogger("memori.recall")

if TYPE_CHECKING:
    lazy = cached_property
else:

    class lazy(cached_property):  # noqa: N801 - reads as the decorator it is
        """A part made when it is first needed. No fork falls into the making, whose imports hold locks."""

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            with fork_gate:
                return super().__get__(instance, owner)


class Parts:
    """The parts of a Memori object. `Memori` is what is done with them."""

    def __init__(
        self,
        conn: Any = None,
        *,
        namespace: str | None = None,
        embedder: str | Embedder | None = None,
        extractor: str | Extractor | None = None,
        model: str | None = None,
        vector_index: str | type[VectorIndex] | type[SharedIndex] | None = None,
        reranker: str | Reranker | None = None,
        auto_ingest: bool | None = None,
        conscious_ingest: bool | None = None,
        recall: RecallOptions | None = None,
        migrate: str | None = None,
        pool_size: int | None = None,
        plugins: Sequence[object] = (),
        redact: Callable[[str], str] | None = None,
        codec: Codec | None = None,
        settings: Settings | None = None,
    ) -> None:
        from . import assembly
        from .plugins import Plugins
        from .recall.index.base import IndexServer
        from .settings import load
        from .storage.records import StorageOptions

        named = {
            "namespace": namespace,
            "auto_ingest": auto_ingest,
            "conscious_ingest": conscious_ingest,
            "migrate": migrate,
            "llm_model": model,
            "pool_size": check_pool_size(pool_size),
        }
        chosen = {name: value for name, value in named.items() if value is not None}
        given = load(**chosen) if settings is None else settings.model_copy(update=chosen)
        self.settings = given
        self.namespace = Attribution("-", namespace=given.namespace).namespace
        self.plugins: Plugins = Plugins(plugins, disabled=given.disabled_plugins.split(","))
        self.recall_options = recall or RecallOptions(
            min_relevance=given.min_relevance,
            token_budget=given.token_budget,
            timeout=given.recall_timeout,
            inject=given.inject,
        )
        check_limit(self.recall_options.limit)
        check_budget(self.recall_options.token_budget)
        check_relevance(self.recall_options.min_relevance)
        self._embedder = embedder or given.embedder
        self._extractor = extractor or given.extractor
        self._vector_index = vector_index or given.vector_index
        self._reranker = reranker or given.reranker or None
        self._codec = codec
        self._redact = redact
        assembly.check_parts(
            self.plugins,
            embedder=self._embedder,
            extractor=self._extractor,
            vector_index=self._vector_index,
            reranker=self._reranker,
        )
        options = StorageOptions(
            migrate=given.migrate, codec=codec, pool_size=given.pool_size, busy_timeout=given.busy_timeout
        )
        self._storage: Storage = assembly.open_storage(
            given.database_url if conn is None else conn, options, self.plugins
        )
        # Refused here where it cannot work with this storage, not by the first recall.
        server = IndexServer(given.index_url, given.index_api_key.get_secret_value(), given.index_prefix)
        self._shared_index = assembly.shared_index(self._vector_index, self._storage, server, self.plugins)
        self._current = CurrentAttribution()
        self._executor = BoundedExecutor(host=self._storage)
        self._closed = False
        on_fork(self._after_fork)

    @lazy
    def config(self) -> Config:
        """`config.storage.build()` creates or migrates the tables now."""
        return Config(self._storage)

    @lazy
    def embedder(self) -> Embedder:
        """The embedder in use, shared by every Memori object of this process."""
        from . import assembly

        return assembly.embedder(self._embedder, self.plugins)

    @lazy
    def augmentation(self) -> Augmentation:
        """The background work: `wait`, `status`, `retry`."""
        from .augmentation.queue import Augmentation

        return Augmentation(
            self._storage,
            lambda: self._pipeline,
            self._current.get,
            drain_timeout=self.settings.drain_timeout,
            lease_seconds=self.settings.lease_seconds,
            max_attempts=self.settings.max_attempts,
            learnt=lambda who: self._consolidation.after(who, now=datetime.now(UTC)),
        )

    @lazy
    def llm(self) -> LLMRegistry[Self]:
        """LLM clients: `register(client)` returns this object."""
        from .llm.register import LLMRegistry

        options = self.recall_options
        adapters = self.plugins.providers("llm_adapters")
        memory: Any = self  # `Memori` is the memory that capture asks
        return LLMRegistry(
            memory,
            adapters,
            self.plugins.load,
            self,
            inject=options.inject,
            recall_budget=options.timeout,
            record_budget=options.timeout,
        )

    @lazy
    def items(self) -> Items:
        """An application's own documents, by namespace and key, within one entity."""
        from .items import Items

        return Items(self._ready, self._who, self._redact)

    @lazy
    def _pipeline(self) -> Pipeline:
        from . import assembly
        from .augmentation.pipeline import Pipeline
        from .privacy.codec import PlainCodec

        return Pipeline(
            self._storage,
            self.embedder,
            self._lent(assembly.extractor(self._extractor, self.plugins)),
            self.plugins,
            self._codec or PlainCodec(),
            max_attempts=self.settings.max_attempts,
            extraction_timeout=self.settings.extraction_timeout,
            written=self.follow,
        )

    def _lent(self, extractor: Extractor) -> Extractor:
        """The extractor with what this object lends it, if it asks for that: a plugin's may have `extract` alone."""
        from . import assembly

        lent = getattr(extractor, "lent", None)
        if lent is None:
            return extractor
        host = assembly.host(self.settings, self.plugins, lambda model: self.llm.structured(model))
        made: Extractor = lent(host)
        return made

    @lazy
    def _consolidation(self) -> Consolidation:
        from .augmentation.consolidation import Consolidation

        expire = lambda who, facts: self._pipeline.expire(who, facts)  # noqa: E731 - the pipeline is made when needed
        return Consolidation(self._storage, self.settings.retention_days, expire)

    @lazy
    def _saved(self) -> SavedIndexes | None:
        from .recall.saved_indexes import saved_indexes

        return saved_indexes(self.settings.cache_dir, self._storage.display, self._codec)

    @lazy
    def _recall(self) -> Recall:
        from . import assembly
        from .recall.pipeline import Recall

        storage = self._ready()
        return Recall(
            storage,
            self.embedder,
            self._shared_index or assembly.vector_index(self._vector_index, self.plugins),
            self.plugins,
            reranker=assembly.reranker(self._reranker, self.plugins),
            weights=self.recall_options.weights,
            index_memory=self.settings.index_memory << 20,
            saved=self._saved,
        )

    @property
    def executor(self) -> BoundedExecutor:
        """The threads that do blocking work for event loops. Raises `ClosedError`."""
        self._ready()
        return self._executor

    @property
    def auto_ingest(self) -> bool:
        """Whether registered clients are given what is known."""
        return self.settings.auto_ingest

    def follow(self, who: Attribution) -> None:
        """Bring a vector index that processes share to what has just been written to the storage. Never raises.

        For what is written past this object, by `config.storage` itself; the methods here do so on their own.
        """
        if self._shared_index is None:
            return
        try:
            self._recall.follow(who)
        except MemoriError as error:
            telemetry.failure(_logger, "bringing the vector index up to date (the next write tries again)", error)

    def close(self) -> None:
        """Finish open jobs within a bound and release everything. What is left is done by the next process."""
        if self._closed:
            return
        if "llm" in self.__dict__:
            self.llm.close()
        self._closed = True
        if "augmentation" in self.__dict__:
            self.augmentation.close()
        self._executor.close()
        if "_recall" in self.__dict__:
            self._recall.close()
        elif self._shared_index is not None:
            self._shared_index.close()
        self._storage.close()

    def _ready(self) -> Storage:
        if self._closed:
            raise ClosedError("This Memori object was closed. Make a new one: Memori(...).")
        return self._storage

    def _who(self, given: Attribution | None) -> Attribution:
        if given is not None:
            return self._own(given)
        present = self._current.get()
        if present is None:
            raise MissingAttributionError(
                "Whose memory? Call memori.attribution('user-id') first in this thread or task, "
                "or pass attribution=Attribution('user-id')."
            )
        return present

    def _who_in_session(self, given: Attribution | None, call: str) -> Attribution:
        who = self._who(given)
        if who.session_id is None:
            raise MissingAttributionError(f"{call} needs a session: Attribution(..., session_id=...).")
        return who

    def _own(self, attribution: Attribution) -> Attribution:
        """The attribution, in this object's namespace unless it names one."""
        if not isinstance(attribution, Attribution):
            raise TypeError(
                f"attribution must be an Attribution, got {type(attribution).__name__}: Attribution('user-id')."
            )
        return attribution if attribution.namespace else replace(attribution, namespace=self.namespace)

    def _redacted(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        redact = self._redact
        if redact is None:
            return messages
        # A native payload says the same again, in a shape the redactor cannot read: it is left out.
        return tuple(
            replace(
                message,
                content=redact(message.content),
                tool_calls=tuple(replace(call, arguments=redact(call.arguments)) for call in message.tool_calls),
                payload=None,
            )
            for message in messages
        )

    def _forget_indexes(self, who: Attribution) -> None:
        """Remove what indexes hold of an entity that was erased. No embedder is needed for that."""
        from .recall.shared import SharedCandidates

        if "_recall" in self.__dict__:
            self._recall.forget(who)
            return
        if self._saved is not None:
            self._saved.forget(who)
        if self._shared_index is not None:
            SharedCandidates(self._storage, self._shared_index).forget(who)

    def _after_fork(self) -> None:
        self._storage.after_fork()
        if "_recall" in self.__dict__:
            self._recall.after_fork()


class Config:
    """Things done by hand once, at deployment."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
