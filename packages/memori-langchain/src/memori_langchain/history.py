"""LangChain's chat history, kept in Memori's database."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, HumanMessage
from memori import Attribution, Conversation, Memori

from .messages import native, to_langchain, to_memori


def list_conversations(memori: Memori, *, entity_id: str, limit: int = 100, offset: int = 0) -> list[Conversation]:
    """An entity's conversations, newest first; a session with long pauses holds several.

    The `session_id` of each opens it: `MemoriChatMessageHistory(memori, entity_id=..., session_id=...)`, with the
    `process_id` it was stored under, if any. Raises like `MemoriChatMessageHistory`.
    """
    return memori.conversations(attribution=Attribution(entity_id), limit=limit, offset=offset)


class MemoriChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session: every type comes back as it was added, and what is learnt from them is remembered.

    `limit` reads only the newest messages, from the first human one among them on. A message whose id is in the session
    already is not added again. Blank ids raise `InvalidAttributionError`; a failing database raises `StorageError`.
    """

    def __init__(
        self,
        memori: Memori,
        *,
        entity_id: str,
        session_id: str,
        process_id: str | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}; leave it out to read the whole session.")
        self._memori = memori
        # An absent session id would read every session of the entity: None is refused as "" is.
        self._attribution = Attribution(entity_id, process_id, "" if session_id is None else session_id)
        self._limit = limit

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The session, oldest first."""
        found = native(self._memori.payloads(attribution=self._attribution, limit=self._limit))
        if found is None:
            stored = self._memori.messages(attribution=self._attribution, limit=self._limit)
            found = [to_langchain(one.message) for one in stored]
        return self._whole(found)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add all of them, or, when one cannot be stored, none."""
        new = [to_memori(message) for message in messages]
        self._memori.record_turn(new, attribution=self._attribution, resent=0)

    def clear(self) -> None:
        """Remove the session's messages. What was learnt from them stays: `memori.forget` and `memori.erase`."""
        self._memori.replace_messages([], attribution=self._attribution)

    async def aget_messages(self) -> list[BaseMessage]:
        """Await `messages` without blocking the event loop."""
        found = native(await self._memori.apayloads(attribution=self._attribution, limit=self._limit))
        if found is None:
            stored = await self._memori.amessages(attribution=self._attribution, limit=self._limit)
            found = [to_langchain(one.message) for one in stored]
        return self._whole(found)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Await `add_messages` without blocking the event loop."""
        new = [to_memori(message) for message in messages]
        await self._memori.arecord_turn(new, attribution=self._attribution, resent=0)

    async def aclear(self) -> None:
        """Await `clear` without blocking the event loop."""
        await self._memori.areplace_messages([], attribution=self._attribution)

    def _whole(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        if self._limit is None or len(messages) < self._limit:
            return messages
        # A provider refuses a tool's answer whose call was cut off.
        first = next((i for i, one in enumerate(messages) if isinstance(one, HumanMessage)), len(messages))
        return messages[first:]
