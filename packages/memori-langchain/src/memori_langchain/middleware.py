"""Memory for `create_agent`: recall before the model answers, capture as the turn goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ModelCallResult,
    ModelRequest,
    ModelResponse,
    PrivateStateAttr,
)
from langchain_core.messages import AnyMessage, BaseMessage
from langgraph.channels import UntrackedValue
from langgraph.runtime import Runtime
from memori import Attribution, Memori, suppress

from .boundary import aattempt, attempt
from .identity import Identity, is_inside_tool
from .messages import to_memori
from .turns import Inject, last_step, new_input, question, this_turn, with_context


class MemoriState(AgentState[Any]):
    """The agent's state with the block each Memori middleware found for this run, by the middleware's name.

    It reaches neither the caller nor a checkpoint.
    """

    memori_context: NotRequired[Annotated[dict[str, str], UntrackedValue, PrivateStateAttr]]


class MemoriMiddleware(AgentMiddleware[MemoriState, Any, Any]):
    """Gives an agent memory across threads.

    Whose memory it is, each run says: `context={"user_id": ...}` (or `entity_id`, or an object with either, or an
    `Attribution`), else the user of LangGraph's server, else the key of `config["configurable"]` that
    `configurable_key` names. `entity_id` fixes it for every run. Without any, the run raises
    `MissingAttributionError`. The thread is the session.

    `recall`: what is known and relevant, at most `limit` memories, is shown to the model in a copy of the request:
    with the user's last message (`inject="user"`, which keeps prompt caches) or in the system message ("system").
    `capture`: messages are stored as they appear, each once; a subagent that a tool runs is told what is known and
    stores nothing, for its question is a model's. When memory fails or takes longer than
    `RecallOptions.timeout`, the run goes on without it and a warning is logged. An agent with two of them needs
    two names.
    """

    state_schema = MemoriState

    def __init__(
        self,
        memori: Memori,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        configurable_key: str | None = None,
        recall: bool = True,
        capture: bool = True,
        limit: int | None = None,
        inject: Inject = "user",
        name: str = "MemoriMiddleware",
    ) -> None:
        super().__init__()
        if inject not in ("user", "system"):
            raise ValueError(f"inject must be 'user' or 'system', got {inject!r}.")
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}; recall=False shows the model nothing.")
        self._memori = memori
        self._identity = Identity(entity_id, process_id, configurable_key)
        self._recalls = recall
        self._captures = capture
        self._limit = limit
        self._inject: Inject = inject
        self._name = name

    @property
    def name(self) -> str:
        """What tells it from another Memori middleware of the same agent."""
        return self._name

    def before_agent(self, state: MemoriState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Store what the user said, and look up what is known about it."""
        who = self._identity.of(runtime)
        messages = state.get("messages", [])
        if self._stores(runtime):
            attempt(self._memori, "capture", self._store, new_input(messages), who)
        if not self._recalls:
            return None
        return self._holding(state, attempt(self._memori, "recall", self._find, messages, who))

    async def abefore_agent(self, state: MemoriState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Await `before_agent` without blocking the event loop."""
        who = self._identity.of(runtime)
        messages = state.get("messages", [])
        if self._stores(runtime):
            await aattempt(self._memori, "capture", self._store, new_input(messages), who)
        if not self._recalls:
            return None
        return self._holding(state, await aattempt(self._memori, "recall", self._find, messages, who))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelCallResult[Any]:
        """Show the model what is known. A registered client underneath stays silent."""
        block = self._held(request.state)
        if block is None:
            who = self._identity.of(request.runtime)
            block = attempt(self._memori, "recall", self._find, request.messages, who)
        with suppress():
            return handler(self._informed(request, block))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelCallResult[Any]:
        """Await `wrap_model_call` without blocking the event loop."""
        block = self._held(request.state)
        if block is None:
            who = self._identity.of(request.runtime)
            block = await aattempt(self._memori, "recall", self._find, request.messages, who)
        with suppress():
            return await handler(self._informed(request, block))

    def after_model(self, state: MemoriState, runtime: Runtime[Any]) -> None:
        """Store the answer and the tool results it was given, before anything else happens to them."""
        if self._stores(runtime):
            attempt(
                self._memori, "capture", self._store, last_step(state.get("messages", [])), self._identity.of(runtime)
            )

    async def aafter_model(self, state: MemoriState, runtime: Runtime[Any]) -> None:
        """Await `after_model` without blocking the event loop."""
        if self._stores(runtime):
            step = last_step(state.get("messages", []))
            await aattempt(self._memori, "capture", self._store, step, self._identity.of(runtime))

    def after_agent(self, state: MemoriState, runtime: Runtime[Any]) -> None:
        """Store what of the turn is not stored yet."""
        if self._stores(runtime):
            attempt(
                self._memori, "capture", self._store, this_turn(state.get("messages", [])), self._identity.of(runtime)
            )

    async def aafter_agent(self, state: MemoriState, runtime: Runtime[Any]) -> None:
        """Await `after_agent` without blocking the event loop."""
        if self._stores(runtime):
            turn = this_turn(state.get("messages", []))
            await aattempt(self._memori, "capture", self._store, turn, self._identity.of(runtime))

    def _stores(self, runtime: Runtime[Any]) -> bool:
        return self._captures and not is_inside_tool(runtime)

    def _store(self, messages: Sequence[AnyMessage], who: Attribution) -> None:
        if messages:
            self._memori.record([to_memori(message) for message in messages], attribution=who)

    def _find(self, messages: Sequence[BaseMessage], who: Attribution) -> str:
        said = [text for message in messages if (text := str(message.text))]
        return self._memori.context(question(messages), attribution=who, limit=self._limit, exclude=said).text

    def _holding(self, state: MemoriState, block: str | None) -> dict[str, Any]:
        return {"memori_context": {**state.get("memori_context", {}), self._name: block or ""}}

    def _held(self, state: Mapping[str, Any]) -> str | None:
        """The block of this run; None when it is to be found again, as after an interrupt it was not saved over."""
        blocks: Mapping[str, str] = state.get("memori_context") or {}
        return blocks.get(self._name) if self._recalls else ""

    def _informed(self, request: ModelRequest[Any], block: str | None) -> ModelRequest[Any]:
        if not block:
            return request
        messages, system = with_context(request.messages, request.system_message, block, self._inject)
        return request.override(messages=messages, system_message=system)
