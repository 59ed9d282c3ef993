"""Ask memory and tell it, within a time limit; a failure is logged and counted here, and felt nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

import anyio
from memori import Attribution, ClosedError, Memori, suppress, telemetry
from pydantic_ai.messages import ModelMessage

from .blocks import human_turn, question, without_blocks
from .turns import texts, to_messages

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger("memori.pydantic_ai")
STORE_LIMIT = 5.0
"""The most seconds a run waits for its messages to be stored. What takes longer goes on in the background."""
_NEWEST = 200
_STORING = "storing an agent's run"


async def context_block(
    memori: Memori,
    messages: Sequence[ModelMessage],
    *,
    attribution: Attribution,
    run_id: str | None,
    limit: int | None,
    seconds: float | None,
) -> str:
    """Return the block that answers the run's question, or "" when there is none, or memory is late or fails."""

    async def ask() -> str:
        said = without_blocks(messages)
        asked = human_turn(said, run_id)
        if asked is None:
            return ""
        query, known = question(said[asked]), texts(said)
        return (await memori.acontext(query, attribution=attribution, limit=limit, exclude=known)).text

    patience = memori.recall_options.timeout if seconds is None else seconds
    return await within(patience, "recall for an agent's run", ask, otherwise="")


async def store(
    memori: Memori, said: Sequence[ModelMessage], *, attribution: Attribution, conversation_id: str | None
) -> None:
    """Store what was said, once. Nothing that cancels the run, or its patience, cancels the write."""

    def write() -> None:
        try:
            messages = to_messages(said)
            if messages:
                memori.record(messages, attribution=attribution, conversation_id=conversation_id)
        except Exception as error:  # noqa: BLE001 - the run may be over by now, and has its answer
            telemetry.failure(logger, _STORING, error)

    async def tell() -> None:
        await in_thread(memori, write)

    await within(STORE_LIMIT, _STORING, tell, otherwise=None, shield=True)


async def in_thread(memori: Memori, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await a call in one of Memori's own threads. Once begun it is finished, whoever cancels the wait."""
    with suppress():
        future = memori.executor.submit(call, *args, **kwargs)
    # Not the future itself: one that `close()` drops would cancel the host's task with it.
    await asyncio.wait([asyncio.wrap_future(future)])
    if future.cancelled():
        raise ClosedError("This Memori object was closed before the call began.")
    return future.result()


async def stored_ids(memori: Memori, attribution: Attribution) -> set[str | None]:
    """Return the ids of the newest messages that the session has."""

    async def ask() -> set[str | None]:
        return {stored.message.id for stored in await memori.amessages(attribution=attribution, limit=_NEWEST)}

    return await within(STORE_LIMIT, "reading an agent's session", ask, otherwise=set())


async def within(
    seconds: float,
    what: str,
    work: Callable[[], Awaitable[T]],
    *,
    otherwise: T,
    shield: bool = False,
    told: tuple[type[Exception], ...] = (),
) -> T:
    """Do `work` within a time; a failure is logged and counted, and `otherwise` returned. Errors in `told` pass."""
    try:
        with suppress(), anyio.move_on_after(seconds, shield=shield):
            return await work()
        raise TimeoutError(f"not done within {seconds:g} s; the run goes on without it")
    except told:
        raise
    except Exception as error:  # noqa: BLE001 - a failing memory must not fail the run
        telemetry.failure(logger, what, error)
        return otherwise
