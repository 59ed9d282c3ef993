"""Chat stores of LlamaIndex over Memori: the history of a person's sessions in the user's database."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from .identity import Identified
from .session import Session, session_ids


class _Store(Identified):
    """What both stores have: a key is a session of the one person, and of the one agent, that the store is for."""

    def _session(self, key: str) -> Session:
        return Session(self._core(), self.attribution.with_session(key))


class MemoriChatStore(_Store, BaseChatStore):
    """A chat store for one person: `ChatMemoryBuffer(chat_store=MemoriChatStore(entity_id="ada"), ...)`.

    A key is one session. What is added is learnt from in the background; what is set is only history. Another person
    needs another store: keys are nobody else's, whatever they are called. Raises `memori.StorageError`.
    """

    @classmethod
    def class_name(cls) -> str:
        """The name it is saved under."""
        return "MemoriChatStore"

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Make the session hold exactly these messages. What was learnt from the old ones stays known."""
        self._session(key).replace(messages)

    def get_messages(self, key: str) -> list[ChatMessage]:
        """The session's messages, oldest first; [] for a session that is not there."""
        return self._session(key).read()

    def add_message(self, key: str, message: ChatMessage) -> None:
        """Store a message, and learn from it in the background."""
        self._session(key).append([message])

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Delete the session's messages and return them; None when there are none. What was learnt stays known."""
        return self._session(key).clear(archived=False) or None

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the message at that place, as in a list, and return it; None when there is none."""
        return self._session(key).delete_at(idx)

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Delete the newest message and return it; None when there is none."""
        return self._session(key).delete_at(-1)

    def get_keys(self) -> list[str]:
        """The person's sessions that hold messages, newest first."""
        return session_ids(self._core(), self.attribution)

    async def aset_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Await `set_messages` without blocking the event loop."""
        await self._core().executor.run(self.set_messages, key, messages)

    async def aget_messages(self, key: str) -> list[ChatMessage]:
        """Await `get_messages` without blocking the event loop."""
        return await self._core().executor.run(self.get_messages, key)

    async def async_add_message(self, key: str, message: ChatMessage) -> None:
        """Await `add_message` without blocking the event loop."""
        await self._core().executor.run(self.add_message, key, message)

    async def adelete_messages(self, key: str) -> list[ChatMessage] | None:
        """Await `delete_messages` without blocking the event loop."""
        return await self._core().executor.run(self.delete_messages, key)

    async def adelete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Await `delete_message` without blocking the event loop."""
        return await self._core().executor.run(self.delete_message, key, idx)

    async def adelete_last_message(self, key: str) -> ChatMessage | None:
        """Await `delete_last_message` without blocking the event loop."""
        return await self._core().executor.run(self.delete_last_message, key)

    async def aget_keys(self) -> list[str]:
        """Await `get_keys` without blocking the event loop."""
        return await self._core().executor.run(self.get_keys)


class MemoriAsyncChatStore(_Store, AsyncDBChatStore):
    """The store of a LlamaIndex `Memory`: `Memory.from_defaults(chat_store=MemoriAsyncChatStore(entity_id="ada"))`.

    Needs llama-index-core 0.14.24 or newer; before that, set `memory.sql_store`. A key is one session. What is added
    is learnt from in the background; what is set is only history. `Memory` does not save its store with its own
    state: give it to the restored one again. Raises `memori.StorageError`.
    """

    @classmethod
    def class_name(cls) -> str:
        """The name it is saved under."""
        return "MemoriAsyncChatStore"

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """The session's messages of that status, or of any (None), oldest first."""
        messages = await self._core().executor.run(self._session(key).read, archived=_archived(status))
        start = offset or 0
        return messages[start : None if limit is None else start + limit]

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """How many messages of that status the session has."""
        return len(await self.get_messages(key, status))

    async def add_message(self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE) -> None:
        """Store a message, and learn from it in the background."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Store messages in one transaction, and learn from them in the background. [] stores nothing."""
        archived = status == MessageStatus.ARCHIVED
        await self._core().executor.run(self._session(key).append, messages, archived=archived)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Make the session hold exactly these messages and no archived ones. What was learnt stays known."""
        await self._core().executor.run(self._set, self._session(key), messages, status)

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the active message at that place, as in a list, and return it; None when there is none."""
        return await self._core().executor.run(self._session(key).delete_at, idx)

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete the session's messages of that status, or of any. What was learnt from them stays known."""
        await self._core().executor.run(self._session(key).clear, archived=_archived(status))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Delete the oldest active messages, and return those deleted by this call."""
        return await self._core().executor.run(self._session(key).delete_oldest, n)

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest active messages, and return those archived by this call."""
        return await self._core().executor.run(self._session(key).archive_oldest, n)

    async def get_keys(self) -> list[str]:
        """The person's sessions that hold messages, newest first."""
        return await self._core().executor.run(session_ids, self._core(), self.attribution)

    @staticmethod
    def _set(session: Session, messages: list[ChatMessage], status: MessageStatus) -> None:
        session.replace(messages if status == MessageStatus.ACTIVE else [])
        session.clear(archived=True)
        if status == MessageStatus.ARCHIVED:
            session.append(messages, archived=True)


def _archived(status: MessageStatus | None) -> bool | None:
    return None if status is None else status == MessageStatus.ARCHIVED
