"""A block for LlamaIndex's own `Memory`: what is known of a person, in front of the model."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemoryBlock
from llama_index.core.utils import get_tokenizer
from memori import telemetry
from pydantic import Field

from . import blocks
from .identity import Identified
from .messages import role_of, to_memori

logger = logging.getLogger("memori.llamaindex")

_END = "</memori_context>"


class MemoriMemoryBlock(Identified, BaseMemoryBlock[str]):
    """`Memory.from_defaults(memory_blocks=[MemoriMemoryBlock(entity_id="ada")])`: recall, and capture by choice.

    `recall_limit`: most memories shown. `recall_timeout`: most seconds a call waits for them; it goes on without.
    `capture`: what is learnt. "none", where the history is in a store of ours or the agent's client is registered;
    "flush", what `Memory` pushes out of its short-term history, which short chats never reach; "on_get", the history
    a call is given, so the last answer is learnt from when the next question comes. What was captured before is not
    stored again. Nothing here raises: what fails is logged and counted.
    """

    name: str = "memori"
    description: str | None = "What is known about the user from earlier conversations."
    recall_limit: int = Field(default=5, ge=1, le=100)
    recall_timeout: float = Field(default=2.0, gt=0)
    capture: Literal["none", "flush", "on_get"] = "none"

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        history = _without_echo(messages or [])
        session = block_kwargs.get("session_id")
        if self.capture == "on_get":
            await self._learn(history, session)
        query = next((message.content for message in reversed(history) if role_of(message) == "user"), None)
        if not query or not query.strip():
            return ""
        try:
            return await asyncio.wait_for(self._known(query, history, session), self.recall_timeout)
        except Exception as error:  # noqa: BLE001 - the host's turn must go on without memory
            if isinstance(error, TimeoutError) and not str(error):
                error = TimeoutError(f"no answer within {self.recall_timeout:g} s")
            telemetry.failure(logger, "recall for a memory block (this turn goes on without memory)", error)
            return ""

    async def _aput(self, messages: list[ChatMessage]) -> None:
        if self.capture == "flush":
            given = (message.additional_kwargs.get("session_id") for message in messages)
            await self._learn(messages, next(given, None))

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """The content without its last, least relevant, lines; None when nothing is left of it."""
        tokenizer = get_tokenizer()
        lines = content.split("\n")
        ended = lines[-1] == _END
        kept = lines[:-1] if ended else lines
        while kept and tokens_to_truncate > 0:
            tokens_to_truncate -= len(tokenizer(kept.pop())) + 1
        if ended:
            # A frame around nothing says nothing.
            return "\n".join([*kept, _END]) if any(line.startswith("-") for line in kept) else None
        return "\n".join(kept) or None

    async def _known(self, query: str, history: Sequence[ChatMessage], session: object) -> str:
        core = self._core()
        turn = (self._turn(history, session), self.recall_limit)
        if (block := await core.executor.run(blocks.known, core, self.attribution, turn)) is None:
            said = [message.content for message in history if message.content]
            found = await core.acontext(query, attribution=self.attribution, limit=self.recall_limit, exclude=said)
            block = blocks.keep(core, turn, found)
        return block

    async def _learn(self, messages: Sequence[ChatMessage], session: object) -> None:
        # A session of its own: a store of ours may keep the history itself under the same name.
        who = self.attribution.with_session(f"{session}#{self.name}" if session else None)
        try:
            turn = [to_memori(_as_said(message)) for message in messages]
            # What the end of the session repeats is not stored again: a retried flush, the history of each call.
            await asyncio.wait_for(self._core().arecord(turn, attribution=who), self.recall_timeout)
        except Exception as error:  # noqa: BLE001 - LlamaIndex has archived the messages and has no way back
            telemetry.failure(logger, "learning from a memory block's messages", error)

    def _turn(self, history: Sequence[ChatMessage], session: object) -> str:
        """Names the turn in progress: every step of it is shown the same bytes."""
        asked = max(place for place, message in enumerate(history) if role_of(message) == "user")
        digest = hashlib.blake2b(repr((self.attribution, session)).encode(), digest_size=16)
        for message in history[: asked + 1]:
            digest.update(repr((message.role.value, message.content)).encode("utf-8", "surrogatepass"))
        return f"block {digest.hexdigest()}"


def _without_echo(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The history, without the question that an agent hands over although it has stored it already."""
    before, last = messages[-2:] if len(messages) > 1 else (None, None)
    echoed = before and last and role_of(before) == role_of(last) == "user" and before.content == last.content
    return list(messages[:-1] if echoed else messages)


def _as_said(message: ChatMessage) -> ChatMessage:
    """The message without the name of the session, which `Memory` writes into what it flushes."""
    own = {name: value for name, value in message.additional_kwargs.items() if name != "session_id"}
    return message.model_copy(update={"additional_kwargs": own})
