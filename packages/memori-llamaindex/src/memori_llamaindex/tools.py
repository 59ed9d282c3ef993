"""Tools with which a model looks things up in memory, or keeps them there, of its own accord."""

# No postponed annotations here: FunctionTool finds the context by the parameter's annotation itself.
import logging
from collections.abc import Awaitable, Callable

from llama_index.core.tools import FunctionTool
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.core.workflow import Context
from memori import Attribution, Memori, errors, telemetry

from .connections import DEFAULT, check_name, connected
from .identity import Identified

logger = logging.getLogger("memori.llamaindex")

UNAVAILABLE = "Memory is not available right now. Go on without it."
_NOTHING = "Nothing is known about that."
_NO_QUERY = "Say what to look for, as a question or a few words."
_NO_TEXT = "Say what to remember, as one complete sentence."
_KEPT = "Remembered."


class MemoriToolSpec(BaseToolSpec):
    """Tools of one person: `FunctionAgent(tools=MemoriToolSpec(entity_id="ada").to_tool_list(), ...)`.

    Whose memory it is can neither be seen nor chosen by the model. `read_only` leaves `memori_remember` out.
    `recall_limit`: most memories of one answer. Failures are logged, and the model is only told that memory is not
    available. Raises `InvalidAttributionError`.
    """

    def __init__(
        self,
        entity_id: str,
        process_id: str | None = None,
        *,
        connection: str = DEFAULT,
        read_only: bool = False,
        recall_limit: int = 5,
    ) -> None:
        self._who = Attribution(entity_id, process_id)
        self._connection = check_name(connection)
        self._limit = recall_limit
        self.spec_functions: list[SPEC_FUNCTION_TYPE] = [("memori_recall", "amemori_recall")]
        if not read_only:
            self.spec_functions.append(("memori_remember", "amemori_remember"))

    def memori_recall(self, query: str) -> str:
        """Look up what is known about the user from earlier conversations: preferences, plans, people, facts."""
        try:
            return _recall(connected(self._connection), self._who, query, self._limit)
        except Exception as error:  # noqa: BLE001 - an exception would be shown to the model word by word
            return _unavailable("memori_recall", error)

    async def amemori_recall(self, query: str) -> str:
        """Await `memori_recall` without blocking the event loop."""
        try:
            core = connected(self._connection)
            return await core.executor.run(_recall, core, self._who, query, self._limit)
        except Exception as error:  # noqa: BLE001 - as above
            return _unavailable("memori_recall", error)

    def memori_remember(self, text: str) -> str:
        """Keep something worth knowing in later conversations, as one complete sentence about the user."""
        try:
            return _remember(connected(self._connection), self._who, text)
        except Exception as error:  # noqa: BLE001 - as above
            return _unavailable("memori_remember", error)

    async def amemori_remember(self, text: str) -> str:
        """Await `memori_remember` without blocking the event loop."""
        try:
            core = connected(self._connection)
            return await core.executor.run(_remember, core, self._who, text)
        except Exception as error:  # noqa: BLE001 - as above
            return _unavailable("memori_remember", error)


Whose = Callable[[Context], Awaitable[Attribution]]
"""Whose memory a run of an agent is about."""


def memory_tools_from_context(
    whose: Whose | None = None, *, connection: str = DEFAULT, read_only: bool = False, recall_limit: int = 5
) -> list[FunctionTool]:
    """The same tools for one agent that serves many people: whose memory it is comes from the run's `Context`.

    Without `whose`, from what the run was given as `memory=`: a `MemoriMemory`, or a `Memory` with a
    `MemoriMemoryBlock` or on a `MemoriAsyncChatStore`. `connection` is for `whose`; a component of ours has its own.
    """
    check_name(connection)

    async def found(ctx: Context) -> tuple[Memori, Attribution]:
        if whose is not None:
            return connected(connection), await whose(ctx)
        owner = _owner(await ctx.store.get("memory", None))
        return connected(owner.connection), owner.attribution

    async def memori_recall(ctx: Context, query: str) -> str:
        try:
            core, who = await found(ctx)
            return await core.executor.run(_recall, core, who, query, recall_limit)
        except Exception as error:  # noqa: BLE001 - an exception would be shown to the model word by word
            return _unavailable("memori_recall", error)

    async def memori_remember(ctx: Context, text: str) -> str:
        try:
            core, who = await found(ctx)
            return await core.executor.run(_remember, core, who, text)
        except Exception as error:  # noqa: BLE001 - as above
            return _unavailable("memori_remember", error)

    memori_recall.__doc__ = MemoriToolSpec.memori_recall.__doc__
    memori_remember.__doc__ = MemoriToolSpec.memori_remember.__doc__
    chosen = [memori_recall] if read_only else [memori_recall, memori_remember]
    return [FunctionTool.from_defaults(async_fn=tool) for tool in chosen]


def _owner(memory: object) -> Identified:
    """The component of ours that the run's memory is, or has."""
    candidates = [memory, *getattr(memory, "memory_blocks", ()), getattr(memory, "sql_store", None)]
    owner = next((one for one in candidates if isinstance(one, Identified)), None)
    if owner is None:
        raise errors.MissingAttributionError(
            f"Whose memory? The run's memory is a {type(memory).__name__}, which does not say. Pass "
            "agent.run(..., memory=MemoriMemory(entity_id=..., session_id=...)), or "
            "memory_tools_from_context(whose=...)."
        )
    return owner


def _recall(core: Memori, who: Attribution, query: str, limit: int) -> str:
    if not query.strip():
        return _NO_QUERY
    return core.context(query, attribution=who, limit=limit).text or _NOTHING


def _remember(core: Memori, who: Attribution, text: str) -> str:
    if not text.strip():
        return _NO_TEXT
    core.remember(text, attribution=who)
    return _KEPT


def _unavailable(tool: str, error: Exception) -> str:
    telemetry.failure(logger, f"the tool {tool}", error)
    return UNAVAILABLE
