"""Memory as tools: the model decides when to search it and what to keep."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from memori import Memori, UnknownFactError
from pydantic_ai import FunctionToolset, RunContext
from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.tools import AgentDepsT

from .boundary import STORE_LIMIT, within
from .identity import AttributionSource, Speakers, check_parts

T = TypeVar("T")
_AWAY = "Long-term memory cannot be reached right now. Go on without it."
_MOST = 50


class MemoriToolset(FunctionToolset[AgentDepsT]):
    """`memori_recall`, `memori_remember` and, with `forget=True`, `memori_forget`, which a person must approve.

    Whose memory it is comes from `attribution` and never from the model. `limit` is the number of memories that
    `memori_recall` returns unless the model asks for another, 50 at most. `recall_timeout`, in seconds, is that of the
    Memori object unless given. A memory that fails is logged and counted, and the model is told to go on without.
    """

    def __init__(
        self,
        memori: Memori,
        attribution: AttributionSource[AgentDepsT],
        *,
        limit: int = 5,
        recall_timeout: float | None = None,
        forget: bool = False,
        id: str | None = "memori",  # noqa: A002 - Pydantic AI's own name for it
    ) -> None:
        check_parts(memori, attribution)
        if not 1 <= limit <= _MOST:
            raise ValueError(f"limit must be between 1 and {_MOST}, got {limit}.")
        super().__init__(id=id)
        self._memori = memori
        self._speakers = Speakers(attribution)
        self._limit = limit
        self._patience = memori.recall_options.timeout if recall_timeout is None else recall_timeout
        self.add_function(self.memori_recall)
        self.add_function(self.memori_remember)
        if forget:
            self.add_function(self.memori_forget, requires_approval=True)

    async def memori_recall(
        self, ctx: RunContext[AgentDepsT], query: str, limit: int | None = None
    ) -> list[dict[str, str]] | str:
        """Search what is remembered about the user from earlier conversations.

        Args:
            query: What to look for, in plain words.
            limit: The most memories to return.
        """
        who = self._speakers.of(ctx)
        most = min(max(1, self._limit if limit is None else limit), _MOST)
        found = await self._asked(self._memori.arecall(query, limit=most, attribution=who), self._patience)
        if isinstance(found, str):
            return found
        return [{"id": one.id, "memory": one.text} for one in found] or "Nothing is known about that."

    async def memori_remember(self, ctx: RunContext[AgentDepsT], text: str) -> str:
        """Keep something about the user for later conversations.

        Args:
            text: What to remember: one full sentence that says by itself whom and what it is about.
        """
        who = self._speakers.of(ctx)
        if not text.strip():
            raise ModelRetry("There is nothing to remember in a blank text. Say what to remember in one sentence.")
        kept = await self._asked(self._memori.aremember(text, attribution=who), STORE_LIMIT)
        return kept if isinstance(kept, str) else "Remembered."

    async def memori_forget(self, ctx: RunContext[AgentDepsT], memory_id: str) -> str:
        """Never recall a memory again.

        Args:
            memory_id: The id that memori_recall returned with the memory.
        """
        who = self._speakers.of(ctx)
        try:
            done = await self._asked(self._memori.aforget(memory_id, attribution=who), STORE_LIMIT)
        except UnknownFactError:
            raise ModelRetry("The user has no memory of that id. Take an id that memori_recall returned.") from None
        return done if isinstance(done, str) else "Forgotten."

    async def _asked(self, call: Awaitable[T], seconds: float) -> T | str:
        async def ask() -> T | str:
            return await call

        return await within(seconds, "a memory tool", ask, otherwise=_AWAY, told=(UnknownFactError,))
