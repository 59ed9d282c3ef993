"""Tools with which a model looks into memory, and puts something there."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from memori import Attribution, Memori, Recalled

from .boundary import aattempt, attempt
from .identity import Identity

Answer = tuple[str, list[dict[str, Any]]]
_DOWN = "Memory is not available at the moment."


def create_recall_tool(
    memori: Memori,
    *,
    entity_id: str | None = None,
    configurable_key: str | None = None,
    k: int = 5,
    name: str = "recall_memory",
    description: str = "Search what is known of the user from earlier conversations.",
) -> StructuredTool:
    """A tool that searches memories; its artifact lists them with `id`, `text`, `kind` and `score`.

    Whose they are is never the model's to say: `entity_id` fixes it, else it is that of the graph's run, of
    `configurable_key` in `config["configurable"]`, or of `memori.scope(...)`; without any the call raises
    `MissingAttributionError`. When memory fails, the model is told that it is not available.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    identity = Identity(entity_id, configurable_key=configurable_key)

    def look(query: str, who: Attribution) -> list[Recalled]:
        return memori.recall(query, limit=k, attribution=who)

    def recall(query: str, config: RunnableConfig) -> Answer:
        return _told(attempt(memori, "recall", look, query, identity.here(memori, config)))

    async def arecall(query: str, config: RunnableConfig) -> Answer:
        return _told(await aattempt(memori, "recall", look, query, identity.here(memori, config)))

    return StructuredTool.from_function(
        recall, arecall, name=name, description=description, response_format="content_and_artifact"
    )


def create_remember_tool(
    memori: Memori,
    *,
    entity_id: str | None = None,
    configurable_key: str | None = None,
    name: str = "remember",
    description: str = "Remember one thing about the user, as a sentence that can be understood on its own.",
) -> StructuredTool:
    """A tool that stores a fact; its artifact holds it with `id`, `text` and `kind`.

    What it stores is a plain fact, never a rule: text from a tool or the web may have talked the model into it.
    Identity and failures are as with `create_recall_tool`.
    """
    identity = Identity(entity_id, configurable_key=configurable_key)

    def keep(text: str, who: Attribution) -> Answer:
        fact = memori.remember(text, attribution=who)
        return f"Remembered: {fact.text}", [{"id": fact.id, "text": fact.text, "kind": fact.kind}]

    def remember(text: str, config: RunnableConfig) -> Answer:
        who = identity.here(memori, config)
        return (attempt(memori, "remember", keep, text, who) if text.strip() else _nothing()) or (_DOWN, [])

    async def aremember(text: str, config: RunnableConfig) -> Answer:
        who = identity.here(memori, config)
        return (await aattempt(memori, "remember", keep, text, who) if text.strip() else _nothing()) or (_DOWN, [])

    return StructuredTool.from_function(
        remember, aremember, name=name, description=description, response_format="content_and_artifact"
    )


def _told(found: list[Recalled] | None) -> Answer:
    if found is None:
        return _DOWN, []
    if not found:
        return "Nothing is known about that.", []
    artifact = [{"id": one.id, "text": one.text, "kind": one.fact.kind, "score": one.score} for one in found]
    # A memory is one line: nothing in it passes for another.
    return "\n".join(f"- {' '.join(one.text.split())}" for one in found), artifact


def _nothing() -> Answer:
    return "There is nothing to remember in a blank text.", []
