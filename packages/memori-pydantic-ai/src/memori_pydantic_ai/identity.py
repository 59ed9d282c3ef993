"""Say whose memory a run is about. Nothing is read or written before that is known."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias

from memori import Attribution, InvalidAttributionError, Memori, MissingAttributionError
from pydantic_ai import RunContext
from pydantic_ai.tools import AgentDepsT

AttributionSource: TypeAlias = Attribution | Callable[[RunContext[AgentDepsT]], Attribution]
"""One attribution for every run, or a function that reads it from the run, most often from `ctx.deps`."""

_EXAMPLE = "attribution=lambda ctx: Attribution(ctx.deps.user_id)"
_RUNS = 10_000
"""How many runs in progress, or just over, are remembered."""


def check_parts(memori: object, source: object) -> None:
    """Raise `TypeError` unless these are a Memori object and an attribution, or a function that gives one."""
    if not isinstance(memori, Memori):
        raise TypeError(f"the first argument must be a Memori object, got {type(memori).__name__}: Memori(...).")
    if not isinstance(source, Attribution) and not callable(source):
        raise TypeError(
            f"attribution must be a memori.Attribution or a function of the run context, got "
            f"{type(source).__name__}: {_EXAMPLE}."
        )


def attribution_of(source: AttributionSource[AgentDepsT], ctx: RunContext[AgentDepsT]) -> Attribution:
    """Return who is speaking in this run; without a session of its own, the Pydantic AI conversation is the session.

    Raises `MissingAttributionError` when the function returns None, `TypeError` when it returns anything else, and
    whatever the function raises: a run whose user is unknown must not go on.
    """
    who = source if isinstance(source, Attribution) else source(ctx)
    if who is None:
        raise MissingAttributionError(f"Whose memory? The attribution function returned None. Return one: {_EXAMPLE}.")
    if not isinstance(who, Attribution):
        if inspect.iscoroutine(who):
            who.close()
            raise TypeError(f"the attribution function is async; it must be a plain one: {_EXAMPLE}.")
        raise TypeError(f"attribution must give a memori.Attribution, got {type(who).__name__}: {_EXAMPLE}.")
    return who if who.session_id is not None or not ctx.conversation_id else who.with_session(ctx.conversation_id)


class Speakers(Generic[AgentDepsT]):
    """Who speaks in each run, where nothing else lasts as long as a run. A run has one speaker."""

    def __init__(self, source: AttributionSource[AgentDepsT]) -> None:
        self._source = source
        self._speakers: OrderedDict[str, Attribution] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, ctx: RunContext[AgentDepsT]) -> Attribution:
        """Return who speaks in this run. Raises like `attribution_of`, and `InvalidAttributionError` when it is
        another than before: what one said must not become the other's."""
        who = attribution_of(self._source, ctx)
        if ctx.run_id is None:
            return who
        with self._lock:
            before = self._speakers.setdefault(ctx.run_id, who)
            if len(self._speakers) > _RUNS:
                self._speakers.popitem(last=False)
        if before != who:
            raise InvalidAttributionError(
                f"The attribution function named {before.entity_id!r} when the run began, and {who.entity_id!r} now. "
                "A run is about one user: read the attribution from what does not change during a run."
            )
        return who
