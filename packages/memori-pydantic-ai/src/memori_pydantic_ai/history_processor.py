"""Memory as a history processor: `capabilities=[ProcessHistory(memori_history_processor(memori, attribution))]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from memori import Attribution, Memori
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.tools import AgentDepsT

from .blocks import with_block, without_older_blocks
from .boundary import context_block, store, stored_ids
from .identity import AttributionSource, Speakers, check_parts
from .turns import to_messages

HistoryProcessor: TypeAlias = Callable[[RunContext[AgentDepsT], list[ModelMessage]], Awaitable[list[ModelMessage]]]


def memori_history_processor(
    memori: Memori,
    attribution: AttributionSource[AgentDepsT],
    *,
    limit: int | None = None,
    recall_timeout: float | None = None,
    capture: bool = True,
) -> HistoryProcessor[AgentDepsT]:
    """Return a history processor that adds what is known, and stores what it sees.

    A history processor rewrites the stored history: it holds the block of the newest run, tagged, and those of
    earlier runs are taken out. It is called before each request, so the last answer of a run is stored when the
    conversation goes on; `MemoriMemory` stores it at once, and leaves the history as it is.
    """
    check_parts(memori, attribution)
    speakers = Speakers(attribution)

    async def remember(ctx: RunContext[AgentDepsT], messages: list[ModelMessage]) -> list[ModelMessage]:
        who = speakers.of(ctx)
        if ctx.run_step > 1:
            if capture:
                said = [message for message in messages if message.run_id == ctx.run_id]
                await store(memori, said, attribution=who, conversation_id=ctx.conversation_id)
            return messages
        clean = without_older_blocks(messages, ctx.run_id)
        block = await context_block(
            memori, clean, attribution=who, run_id=ctx.run_id, limit=limit, seconds=recall_timeout
        )
        if capture:
            said = await _of_this_entity(memori, clean, ctx, who)
            await store(memori, said, attribution=who, conversation_id=ctx.conversation_id)
        return with_block(clean, block, ctx.run_id) if block else clean

    return remember


async def _of_this_entity(
    memori: Memori, messages: Sequence[ModelMessage], ctx: RunContext[AgentDepsT], who: Attribution
) -> list[ModelMessage]:
    """Keep this run, and earlier runs that the entity's session knows the beginning of: several people may share one
    conversation, and what another said must not become theirs."""
    earlier = {message.run_id for message in messages} - {None, ctx.run_id}
    known = await stored_ids(memori, who) if earlier else set()
    theirs = {
        message.run_id
        for message in messages
        if message.run_id in earlier and any(said.id in known for said in to_messages([message]))
    }
    return [message for message in messages if message.run_id == ctx.run_id or message.run_id in theirs]
