"""Give an agent a memory: recall before the model is asked, capture when the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, get_args

from memori import Attribution, Memori
from pydantic_ai import AgentRunResult, RunContext
from pydantic_ai.capabilities import (
    AbstractCapability,
    CapabilityOrdering,
    ProcessHistory,
    WrapRunHandler,
    durable_operation,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestContext
from pydantic_ai.tools import AgentDepsT
from pydantic_ai.toolsets import AgentToolset

from .blocks import with_block, without_older_blocks
from .boundary import context_block, store
from .identity import AttributionSource, attribution_of, check_parts
from .silent_model import SilentModel
from .toolset import MemoriToolset

Inject = Literal["request", "history", "off"]
Capture = Literal["completed", "all", "off"]
_PREPARES = hasattr(AbstractCapability, "prepare_model_request")
"""Whether Pydantic AI has the hook whose edits never reach the history (2.64 and newer)."""


@dataclass
class MemoriMemory(AbstractCapability[AgentDepsT]):
    """Long-term memory for an agent: `Agent(..., capabilities=[MemoriMemory(memori, attribution)])`.

    `attribution`: who is speaking, as a function of the run context or, where an agent has one user, as a value.
    `inject`: add what is known to each request only ("request"), to the stored history as well ("history"), or not.
    `capture`: store runs that end with a result ("completed"), those that fail or are left early too ("all"), or none.
    `limit` and `recall_timeout` (seconds) are those of the Memori object unless given. `tools`: give the model
    `memori_recall` and `memori_remember` too. While `inject` or `capture` is on, a client registered with
    `memori.llm.register` stays silent for this agent's own requests.
    """

    memori: Memori
    attribution: AttributionSource[AgentDepsT]
    _: KW_ONLY
    inject: Inject = "request"
    capture: Capture = "completed"
    limit: int | None = None
    recall_timeout: float | None = None
    tools: bool = False
    id: str | None = "memori"
    _who: Attribution | None = field(default=None, init=False, repr=False, compare=False)
    _block: str | None = field(default=None, init=False, repr=False, compare=False)
    _history: Sequence[ModelMessage] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_parts(self.memori, self.attribution)
        for name, choices in (("inject", get_args(Inject)), ("capture", get_args(Capture))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}; choose one of {', '.join(map(repr, choices))}.")

    @classmethod
    def combine(cls, capabilities: Sequence[AbstractCapability[AgentDepsT]]) -> AbstractCapability[AgentDepsT]:
        """Refuse two different memories under one id: merged field by field, one would use the other's attribution."""
        if any(capability != capabilities[0] for capability in capabilities):
            raise UserError(
                f"Two different MemoriMemory capabilities share the id {capabilities[0].id!r}. "
                "Remove one, or give each its own: MemoriMemory(..., id='team-memory')."
            )
        return capabilities[-1]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """None: a database connection and a function cannot be written into an agent spec."""
        return None

    def get_ordering(self) -> CapabilityOrdering:
        """Come after history processors, so that none of them sees, moves or stores the block."""
        return CapabilityOrdering(wrapped_by=[ProcessHistory])

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractCapability[AgentDepsT]:
        """Return a copy that belongs to this run alone. An error in the attribution ends the run here."""
        mine = copy(self)
        mine._who, mine._block, mine._history = attribution_of(self.attribution, ctx), None, ()
        return mine

    def get_toolset(self) -> AgentToolset[AgentDepsT] | None:
        """Return the memory tools, when they are asked for."""
        if not self.tools:
            return None
        return MemoriToolset(self.memori, self.attribution, recall_timeout=self.recall_timeout, id=self.id)

    def get_wrapper_model(self, model: Model) -> Model | None:
        """Keep a registered client underneath from capturing and injecting a second time."""
        return None if self.inject == self.capture == "off" else SilentModel(model)

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Recall once, before the first request of the run."""
        self._history = ctx.messages
        if self.inject != "off" and self._block is None:
            self._block = await self._recall(ctx, list(request_context.messages))
            if self.inject == "history":
                kept = self._placed(ctx, without_older_blocks(request_context.messages, ctx.run_id))
                ctx.messages[:] = kept
                request_context.messages = list(kept)
        if self.inject == "request" and not _PREPARES:
            request_context.messages = self._placed(ctx, request_context.messages)
        return request_context

    async def prepare_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Add the block to what is sent. Never called before Pydantic AI 2.64."""
        if self.inject == "request":
            request_context.messages = self._placed(ctx, request_context.messages)
        return request_context

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Store the run however it ends. No other hook sees a stream that is left early."""
        try:
            result = await handler()
        except BaseException:
            if self.capture == "all":
                await self._store(ctx, [message for message in self._history if message.run_id == ctx.run_id])
            raise
        if self.capture != "off":
            await self._store(ctx, result.new_messages())
        return result

    @durable_operation("recall")
    async def _recall(self, ctx: RunContext[AgentDepsT], messages: list[ModelMessage]) -> str:
        return await context_block(
            self.memori,
            messages,
            attribution=self._speaker(ctx),
            run_id=ctx.run_id,
            limit=self.limit,
            seconds=self.recall_timeout,
        )

    @durable_operation("store")
    async def _store(self, ctx: RunContext[AgentDepsT], said: list[ModelMessage]) -> None:
        await store(self.memori, said, attribution=self._speaker(ctx), conversation_id=ctx.conversation_id)

    def _speaker(self, ctx: RunContext[AgentDepsT]) -> Attribution:
        """A durable worker may call the agent's own instance rather than the run's copy."""
        return self._who or attribution_of(self.attribution, ctx)

    def _placed(self, ctx: RunContext[AgentDepsT], messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        return with_block(messages, self._block, ctx.run_id) if self._block else list(messages)
