"""Find out whose memory a run of an agent is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.runtime import Runtime, get_runtime
from memori import Attribution, Memori, MissingAttributionError


@dataclass(frozen=True, slots=True)
class Identity:
    """Where to look for the entity, first to last: a fixed id, the run's context, the server's user, the config.

    `configurable_key` names the key of `config["configurable"]` to trust; a server's clients may write there what they
    like, so none is trusted unless named.
    """

    entity_id: str | None = None
    process_id: str | None = None
    configurable_key: str | None = None

    def __post_init__(self) -> None:
        Attribution("-" if self.entity_id is None else self.entity_id, self.process_id)

    def of(self, runtime: Runtime[Any]) -> Attribution:
        """The attribution of a run; its thread is the session.

        Raises `MissingAttributionError`, or `InvalidAttributionError` for an id that cannot be one.
        """
        thread = runtime.execution_info.thread_id if runtime.execution_info else None
        return self._of(runtime, None if thread is None else str(thread))

    def here(self, memori: Memori, config: RunnableConfig | None) -> Attribution:
        """The attribution of a tool or a retriever: its graph's run, else what `memori` was told of this context.

        Raises like `of`.
        """
        runtime, present = _running(), memori.current_attribution()
        if runtime is not None:
            try:
                return self.of(runtime)
            except MissingAttributionError:
                if present is None:
                    raise
                return present
        if self.entity_id is not None:
            return Attribution(self.entity_id, self.process_id)
        key = self.configurable_key
        named = None if key is None else (config or {}).get("configurable", {}).get(key)
        if named is not None:
            return Attribution(named, self.process_id)
        if present is None:
            raise MissingAttributionError(
                "Whose memory is this about? Give the tool or retriever an entity_id, run it in a graph with "
                "context={'user_id': 'user-id'}, or call it within memori.scope('user-id')."
            )
        return present

    def _of(self, runtime: Runtime[Any], session: str | None) -> Attribution:
        if self.entity_id is None and isinstance(runtime.context, Attribution):
            given = runtime.context
            return replace(
                given, process_id=given.process_id or self.process_id, session_id=given.session_id or session
            )
        return Attribution(self._entity(runtime), self.process_id, session)

    def _entity(self, runtime: Runtime[Any]) -> Any:
        user = runtime.server_info.user if runtime.server_info else None
        found: list[Any] = [self.entity_id, *(_look(runtime.context, key) for key in ("entity_id", "user_id"))]
        found.append(None if user is None else user.identity)
        if self.configurable_key is not None:
            found.append(get_config().get("configurable", {}).get(self.configurable_key))
        for entity_id in found:
            if entity_id is not None:
                return entity_id
        raise MissingAttributionError(
            "Whose memory is this run about? Pass it with the run, agent.invoke(..., context={'user_id': 'user-id'}), "
            "or, for an agent that serves one user, MemoriMiddleware(memori, entity_id='user-id')."
        )


def _look(context: object, key: str) -> Any:
    return context.get(key) if isinstance(context, Mapping) else getattr(context, key, None)


def is_inside_tool(runtime: Runtime[Any]) -> bool:
    """Whether the run is that of a subagent: what it is asked, a model wrote and no user said."""
    place = runtime.execution_info.checkpoint_ns if runtime.execution_info else ""
    return any(step.partition(":")[0] == "tools" for step in place.split("|")[:-1])


def _running() -> Runtime[Any] | None:
    try:
        return get_runtime()
    except (RuntimeError, KeyError):
        return None  # outside a graph
