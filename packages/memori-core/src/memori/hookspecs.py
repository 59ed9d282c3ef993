"""The whole plugin contract: three groups of hooks.

A plugin is a module, class or object named by an entry point in the group `memori`; it implements any of the
functions below, marked with `memori.hookimpl`. No call order is promised. A hook may take fewer arguments than
listed. Nothing heavy belongs in a plugin module: a `Provider` names its class by a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .model import Attribution, Fact, Message, Proposal, Recalled, Receipt

PROJECT = "memori"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
CALLABLE = "callable"


@dataclass(frozen=True, slots=True)
class Provider:
    """A lazy descriptor: finding a plugin imports nothing heavy.

    `name`: what a user types (`embedder="minilm"`). `target`: "package.module:Class", imported when first used.
    `install`: the command that brings what `target` needs, shown when the import fails.
    `matches`: for storages and LLM adapters, prefixes of what they recognise. A storage lists URL schemes
    ("sqlite", "postgresql"), the modules of the objects it accepts ("sqlalchemy."), and `CALLABLE` if it takes a
    function that opens a connection and that nothing else recognises; an adapter lists the modules of its client
    classes ("openai."). Matching looks at names only and imports nothing.
    `shared`: for a vector index that is a `SharedIndex`; it is told of what is written.
    """

    name: str
    target: str
    install: str = ""
    matches: tuple[str, ...] = ()
    shared: bool = False


# Providers: each hook returns descriptors; all are collected, and two of one name are an error.


@hookspec
def memori_storages() -> Iterable[Provider]:
    """Return storages. Called once when a Memori object is made. `target` is a `memori.storage.base.Storage`."""
    raise NotImplementedError


@hookspec
def memori_embedders() -> Iterable[Provider]:
    """Return embedders. Called once when a Memori object is made. `target` is a `memori.embedding.base.Embedder`."""
    raise NotImplementedError


@hookspec
def memori_extractors() -> Iterable[Provider]:
    """Return extractors. `target` is a `memori.augmentation.extraction.base.Extractor`."""
    raise NotImplementedError


@hookspec
def memori_vector_indexes() -> Iterable[Provider]:
    """Return vector indexes. `target` is a `memori.recall.index.base.VectorIndex` or `SharedIndex`."""
    raise NotImplementedError


@hookspec
def memori_rerankers() -> Iterable[Provider]:
    """Return rerankers. `target` is a `memori.recall.base.Reranker`."""
    raise NotImplementedError


@hookspec
def memori_llm_adapters() -> Iterable[Provider]:
    """Return LLM client adapters. `target` is a `memori.llm.base.Adapter`."""
    raise NotImplementedError


# Behaviour: called in the middle of Memori's work; a hook that raises is logged and its result ignored. In
# `memori_before_record` raising refuses the turn, in `memori_fact_proposed` it quarantines the fact.


@hookspec
def memori_before_record(messages: Sequence[Message], attribution: Attribution) -> Sequence[Message] | None:
    """Return the messages to store instead, or None to leave them. Called before redaction and before any write.

    Several plugins run one after the other, each seeing what the last returned.
    """
    raise NotImplementedError


@hookspec
def memori_fact_proposed(fact: Proposal, attribution: Attribution) -> str | None:
    """Return "veto" to drop a proposed fact, "quarantine" to keep it from recall, or None. The strictest wins.

    Called in the worker, once for each proposal, before it is resolved.
    """
    raise NotImplementedError


@hookspec
def memori_score(query: str, recalled: Sequence[Recalled]) -> Sequence[float] | None:
    """Return one multiplier for each recalled fact, or None. Multipliers of several plugins are combined."""
    raise NotImplementedError


@hookspec(firstresult=True)
def memori_plan_query(query: str, attribution: Attribution) -> str | None:
    """Return the query to search with instead, or None. The first plugin with an answer wins."""
    raise NotImplementedError


@hookspec(firstresult=True)
def memori_render_context(recalled: Sequence[Recalled], token_budget: int) -> str | None:
    """Return the text of the block shown to a model, or None for Memori's own. It is still escaped and capped."""
    raise NotImplementedError


@hookspec
def memori_cli(app: Any) -> None:
    """Add commands to the `memori` command line. `app` is the `typer.Typer` of the root command."""
    raise NotImplementedError


# Observers: told afterwards; one that raises is logged, never felt.


@hookspec
def memori_recorded(receipt: Receipt, attribution: Attribution) -> None:
    """Learn that a turn was stored. Called in the caller's thread after the commit."""
    raise NotImplementedError


@hookspec
def memori_recalled(query: str, recalled: Sequence[Recalled], attribution: Attribution) -> None:
    """Learn that a query was answered. Called in the thread that recalled."""
    raise NotImplementedError


@hookspec
def memori_augmented(facts: Sequence[Fact], attribution: Attribution) -> None:
    """Learn which facts a job added. Called in the worker after the commit."""
    raise NotImplementedError
