"""A memory for LlamaIndex agents and chat engines: history in the user's database, recall in front of the model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.llms.llm import LLM
from llama_index.core.memory import BaseMemory
from llama_index.core.utils import get_tokenizer
from memori import Attribution, Context, Memori, StoredMessage, telemetry
from pydantic import Field, field_validator

from . import blocks
from .identity import Identified, check_session
from .messages import role_of, to_llama_index, to_memori
from .window import Tokenizer, newest_turns

logger = logging.getLogger("memori.llamaindex")

DEFAULT_TOKEN_LIMIT = 30_000
_SHARE_OF_WINDOW = 0.75


@dataclass(frozen=True, slots=True)
class _Request:
    """What one `get` shows before anything is recalled for it.

    `query` is "" when nothing was asked. `asked`: the place of the message that asks it, None when it is not stored
    yet. `turn` names the turn in progress. `said`: the texts shown, which need no repeating.
    """

    messages: list[ChatMessage]
    query: str
    asked: int | None
    turn: blocks.Key | None
    said: tuple[str, ...]


class MemoriMemory(Identified, BaseMemory):
    """One session of one person with an agent: `agent.run(..., memory=MemoriMemory(...))`.

    What is said is stored in the database of the Memori object registered as `connection` and learnt from in the
    background; what is known of the person, from whatever session, is put into a copy of the messages a model is
    shown and is never stored. All fields are plain configuration, so `Context.to_dict` saves the memory and any
    process that registered the connection restores it. One object serves one person: a Context keeps the memory of
    its first run, so begin a new Context for another.

    `recall_limit`: most memories shown. `recall_timeout`: most seconds a call waits for them; it goes on without.
    `token_limit`: how much of the history is shown, in whole turns, system messages always. `insert_method`: memories
    go in front of the question ("user"), which keeps prompt caches, or into the system message ("system").

    Reading or writing history raises `memori.StorageError` when the database cannot; recall never raises.
    """

    session_id: str = Field(frozen=True)
    recall_limit: int = Field(default=5, ge=1, le=100)
    recall_timeout: float = Field(default=2.0, gt=0)
    token_limit: int = Field(default=DEFAULT_TOKEN_LIMIT, ge=1)
    insert_method: Literal["user", "system"] = "user"

    @field_validator("session_id")
    @classmethod
    def _check_session(cls, session_id: str) -> str:
        return check_session(session_id)

    @classmethod
    def class_name(cls) -> str:
        """The name it is saved under."""
        return "MemoriMemory"

    @classmethod
    def from_defaults(
        cls,
        chat_history: Sequence[ChatMessage] | None = None,
        llm: LLM | None = None,
        token_limit: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a memory as LlamaIndex's chat engines do.

        `chat_history` replaces the session's history, unless it is empty. Without `token_limit` the `llm`'s context
        window lowers the default.
        """
        if token_limit is None:
            window = DEFAULT_TOKEN_LIMIT if llm is None else int(llm.metadata.context_window * _SHARE_OF_WINDOW)
            token_limit = max(1, min(DEFAULT_TOKEN_LIMIT, window))
        memory = cls(token_limit=token_limit, **kwargs)
        if chat_history:
            memory.set(list(chat_history))
        return memory

    @property
    def attribution(self) -> Attribution:
        """Whose memory this is; passed explicitly to every call."""
        return Attribution(self.entity_id, self.process_id, self.session_id)

    @property
    def tokenizer_fn(self) -> Tokenizer:
        """LlamaIndex's tokenizer. Chat engines count their own messages with it."""
        return get_tokenizer()

    def get(
        self,
        input: str | ChatMessage | None = None,  # noqa: A002 - LlamaIndex's name for it
        initial_token_count: int = 0,
        **kwargs: Any,
    ) -> list[ChatMessage]:
        """The newest turns of the session, with what is known about the input, else about the last user message."""
        core = self._core()
        request = self._request(core, core.messages(attribution=self.attribution), input, initial_token_count)
        if not request.query:
            return request.messages
        try:
            block = core.executor.submit(self._block, core, request).result(self.recall_timeout)
        except Exception as error:  # noqa: BLE001 - the host's turn must go on without memory
            block = self._missed(core, request, error)
        return self._shown(request, block)

    async def aget(
        self,
        input: str | ChatMessage | None = None,  # noqa: A002 - LlamaIndex's name for it
        initial_token_count: int = 0,
        **kwargs: Any,
    ) -> list[ChatMessage]:
        """Await `get` without blocking the event loop."""
        core = self._core()
        stored = await core.amessages(attribution=self.attribution)
        request = await asyncio.to_thread(self._request, core, stored, input, initial_token_count)
        if not request.query:
            return request.messages
        try:
            block = await asyncio.wait_for(core.executor.run(self._block, core, request), self.recall_timeout)
        except Exception as error:  # noqa: BLE001 - the host's turn must go on without memory
            block = self._missed(core, request, error)
        return self._shown(request, block)

    def get_all(self) -> list[ChatMessage]:
        """Every message of the session, as it was stored."""
        return [to_llama_index(one.message) for one in self._core().messages(attribution=self.attribution)]

    async def aget_all(self) -> list[ChatMessage]:
        """Await `get_all` without blocking the event loop."""
        stored = await self._core().amessages(attribution=self.attribution)
        return [to_llama_index(one.message) for one in stored]

    def put(self, message: ChatMessage) -> None:
        """Store a message, and learn from it in the background."""
        self.put_messages([message])

    async def aput(self, message: ChatMessage) -> None:
        """Await `put` without blocking the event loop."""
        await self.aput_messages([message])

    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Store messages in one transaction, and learn from them in the background."""
        if messages:
            self._core().record_turn(list(map(to_memori, messages)), attribution=self.attribution, resent=0)

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """Await `put_messages` without blocking the event loop."""
        if messages:
            turn = list(map(to_memori, messages))
            await self._core().arecord_turn(turn, attribution=self.attribution, resent=0)

    def set(self, messages: list[ChatMessage]) -> None:
        """Make the session hold exactly these messages. What was learnt from the old ones stays known."""
        self._core().replace_messages(list(map(to_memori, messages)), attribution=self.attribution)

    async def aset(self, messages: list[ChatMessage]) -> None:
        """Await `set` without blocking the event loop."""
        await self._core().areplace_messages(list(map(to_memori, messages)), attribution=self.attribution)

    def reset(self) -> None:
        """Empty the session. What was learnt from it stays known."""
        self.set([])

    async def areset(self) -> None:
        """Await `reset` without blocking the event loop."""
        await self.aset([])

    def _request(
        self, core: Memori, stored: list[StoredMessage], given: str | ChatMessage | None, initial_token_count: int
    ) -> _Request:
        history = [to_llama_index(one.message) for one in stored]
        last = next((place for place in reversed(range(len(history))) if role_of(history[place]) == "user"), None)
        query = (given.content if isinstance(given, ChatMessage) else given) or ""
        asked = last if last is not None and query in ("", history[last].content) else None
        if asked is not None:
            query = history[asked].content or ""
        reserve = core.recall_options.token_budget if query.strip() else 0
        places = newest_turns(history, self.token_limit - initial_token_count - reserve, self.tokenizer_fn)
        return _Request(
            messages=[history[place] for place in places],
            query=query if query.strip() else "",
            asked=None if asked is None else places.index(asked),
            turn=None if asked is None else (stored[asked].key, self.recall_limit),
            said=tuple(text for place in places if (text := stored[place].message.content)),
        )

    def _block(self, core: Memori, request: _Request) -> str:
        who = self.attribution
        if (block := blocks.known(core, who, request.turn)) is not None:
            return block
        found = core.context(request.query, attribution=who, limit=self.recall_limit, exclude=request.said)
        return blocks.keep(core, request.turn, found)

    def _missed(self, core: Memori, request: _Request, error: Exception) -> str:
        if isinstance(error, TimeoutError) and not str(error):
            error = TimeoutError(f"no answer within {self.recall_timeout:g} s")
        telemetry.failure(logger, "recall (this turn goes on without memory)", error)
        return blocks.keep(core, request.turn, Context(""))

    def _shown(self, request: _Request, block: str) -> list[ChatMessage]:
        """The request's messages with the block in them. They were read for this call alone."""
        if not block:
            return request.messages
        messages = request.messages
        text = TextBlock(text=block)
        if self.insert_method == "system":
            if messages and role_of(messages[0]) == "system":
                return [_with_blocks(messages[0], [*messages[0].blocks, text]), *messages[1:]]
            return [ChatMessage(role=MessageRole.SYSTEM, blocks=[text]), *messages]
        if request.asked is None:
            return [*messages, ChatMessage(role=MessageRole.USER, blocks=[text])]
        asked = messages[request.asked]
        messages[request.asked] = _with_blocks(asked, [text, *asked.blocks])
        return messages


def _with_blocks(message: ChatMessage, blocks: list[Any]) -> ChatMessage:
    return message.model_copy(update={"blocks": blocks})
