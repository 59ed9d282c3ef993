"""Capture for chains without an agent: callback handlers that store what is asked and answered."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from memori import Attribution, Memori, Message, suppressed

from .boundary import aattempt, attempt
from .messages import to_memori
from .turns import conversation

logger = logging.getLogger("memori_langchain")
_ENTITY_KEYS = ("entity_id", "user_id")
_SESSION_KEYS = ("session_id", "conversation_id", "thread_id")


@dataclass(frozen=True, slots=True)
class _Asked:
    who: Attribution
    messages: tuple[Message, ...]


class _Runs:
    """The model calls that have begun and not ended, and the runs that are a tool's own affair."""

    def __init__(
        self, memori: Memori, entity_id: str | None, process_id: str | None, session_id: str | None, name: str
    ) -> None:
        Attribution("-" if entity_id is None else entity_id, process_id, session_id)
        self.memori = memori
        self._entity_id = entity_id
        self._process_id = process_id
        self._session_id = session_id
        self._name = name
        self._asked: dict[UUID, _Asked] = {}
        self._inside_tools: set[UUID] = set()
        self._warned = False

    def entered_tool(self, run_id: UUID) -> None:
        self._inside_tools.add(run_id)

    def entered_chain(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        if parent_run_id in self._inside_tools:
            self._inside_tools.add(run_id)

    def left(self, run_id: UUID) -> None:
        self._inside_tools.discard(run_id)

    def began(
        self,
        messages: Sequence[Sequence[BaseMessage]],
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        told = metadata or {}
        if suppressed() or parent_run_id in self._inside_tools or told.get("lc_source") or len(messages) != 1:
            return
        who = self._who(told)
        if who is not None:
            said = tuple(to_memori(message) for message in conversation(messages[0]))
            self._asked[run_id] = _Asked(who, said)

    def ended(self, response: LLMResult | None, run_id: UUID, *, whole: bool = True) -> _Asked | None:
        """What there is to store; nothing for a call that failed before it said anything."""
        asked = self._asked.pop(run_id, None)
        answer = _answer(response)
        if asked is None or answer is None:
            return None
        return replace(asked, messages=(*asked.messages, answer if whole else replace(answer, partial=True)))

    def store(self, asked: _Asked) -> None:
        self.memori.record_turn(asked.messages, attribution=asked.who, resent=len(asked.messages) - 1)

    def _who(self, told: Mapping[str, Any]) -> Attribution | None:
        entity_id = _first(self._entity_id, told, _ENTITY_KEYS)
        session_id = _first(self._session_id, told, _SESSION_KEYS)
        session_id = None if session_id is None else str(session_id)
        if entity_id is not None:
            return Attribution(entity_id, self._process_id, session_id)
        present = self.memori.current_attribution()
        if present is None:
            self._warn()
            return None
        return present if session_id is None or present.session_id else present.with_session(session_id)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "A model call reached %s without saying whose it is: it was not stored. Say so with "
                "config={'metadata': {'user_id': ...}}, memori.scope(...), or entity_id=... for a handler of one user.",
                self._name,
            )


class MemoriCallbackHandler(BaseCallbackHandler):
    """Stores what chat models are asked and what they answer: `chain.invoke(x, {"callbacks": [handler]})`.

    Whose words they are: `entity_id`, else `entity_id` or `user_id` in the run's metadata, else `memori.scope(...)`;
    a call without any is not stored, and a warning says so once. The session is `session_id`, else `session_id`,
    `conversation_id` or `thread_id` of the metadata. A history that is sent again is stored once. Model calls inside
    tools and those of LangChain's own middleware are not stored; of a stream that is given up, what came of it is.
    One handler serves any number of runs at once. When memory fails, the chain goes on and a warning is logged.
    """

    def __init__(
        self,
        memori: Memori,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__()
        self._runs = _Runs(memori, entity_id, process_id, session_id, type(self).__name__)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Keep what is asked until it is answered."""
        self._runs.began(messages, run_id, parent_run_id, metadata)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Store it with its answer."""
        self._store(self._runs.ended(response, run_id))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: LLMResult | None = None, **_: Any) -> None:
        """Store it with what was answered before the error, if anything was."""
        self._store(self._runs.ended(response, run_id, whole=False))

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **_: Any) -> None:
        """What a tool asks a model is its own affair."""
        self._runs.entered_tool(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """The tool is done."""
        self._runs.left(run_id)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The tool is done."""
        self._runs.left(run_id)

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """A chain inside a tool belongs to it."""
        self._runs.entered_chain(run_id, parent_run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """The chain is done."""
        self._runs.left(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The chain is done."""
        self._runs.left(run_id)

    def _store(self, asked: _Asked | None) -> None:
        if asked is not None:
            attempt(self._runs.memori, "capture", self._runs.store, asked)


class AsyncMemoriCallbackHandler(AsyncCallbackHandler):
    """`MemoriCallbackHandler` for what is awaited: it never blocks the event loop."""

    def __init__(
        self,
        memori: Memori,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__()
        self._runs = _Runs(memori, entity_id, process_id, session_id, type(self).__name__)

    async def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Keep what is asked until it is answered."""
        self._runs.began(messages, run_id, parent_run_id, metadata)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Store it with its answer."""
        await self._store(self._runs.ended(response, run_id))

    async def on_llm_error(
        self, error: BaseException, *, run_id: UUID, response: LLMResult | None = None, **_: Any
    ) -> None:
        """Store it with what was answered before the error, if anything was."""
        await self._store(self._runs.ended(response, run_id, whole=False))

    async def on_tool_start(self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **_: Any) -> None:
        """What a tool asks a model is its own affair."""
        self._runs.entered_tool(run_id)

    async def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """The tool is done."""
        self._runs.left(run_id)

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The tool is done."""
        self._runs.left(run_id)

    async def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """A chain inside a tool belongs to it."""
        self._runs.entered_chain(run_id, parent_run_id)

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """The chain is done."""
        self._runs.left(run_id)

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The chain is done."""
        self._runs.left(run_id)

    async def _store(self, asked: _Asked | None) -> None:
        if asked is not None:
            await aattempt(self._runs.memori, "capture", self._runs.store, asked)


def _first(given: str | None, told: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return given if given is not None else next((told[key] for key in keys if told.get(key) is not None), None)


def _answer(response: LLMResult | None) -> Message | None:
    generations = response.generations[0] if response is not None and response.generations else []
    if not generations or not isinstance(generations[0], ChatGeneration):
        return None
    answer = to_memori(generations[0].message)
    return answer if answer.content or answer.tool_calls else None
