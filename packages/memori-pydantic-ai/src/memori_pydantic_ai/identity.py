"""Say whose memory a run is about. Nothing is read or written before that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from memori import Attribution
from pydantic_ai import RunContext
from pydantic_ai.tools import AgentDepsT

AttributionSource: TypeAlias = Attribution | Callable[[RunContext[AgentDepsT]], Attribution]
"""One attribution for every run, or a function that reads it from the run, most often from `ctx.deps`."""


def attribution_of(source: AttributionSource[AgentDepsT], ctx: RunContext[AgentDepsT]) -> Attribution:
    """Return who is speaking in this run; without a session of its own, the Pydantic AI conversation is the session.

    Raises `TypeError` when the function returns anything else, and whatever the function raises: a run whose user is
    unknown must not go on.
    """
    who = source if isinstance(source, Attribution) else source(ctx)
    if not isinstance(who, Attribution):
        raise TypeError(
            f"attribution must give a memori.Attribution, got {type(who).__name__}: "
            "attribution=lambda ctx: Attribution(ctx.deps.user_id)."
        )
    return who if who.session_id is not None or not ctx.conversation_id else who.with_session(ctx.conversation_id)
