"""The history of one session, as LlamaIndex's chat stores edit it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage
from memori import Attribution, Memori, StoredMessage

from .messages import native, to_llama_index, to_memori

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """A session of one person with one agent. Every method blocks; what they raise is `memori.StorageError`.

    `archived` arguments: only archived messages, only the others (False), or all (None).
    """

    core: Memori
    who: Attribution

    def read(self, *, archived: bool | None = False) -> list[ChatMessage]:
        """The messages, oldest first."""
        if archived is False:
            found = native(self.core.payloads(attribution=self.who))
            if found is not None:
                return found
            return [to_llama_index(one.message) for one in self.core.messages(attribution=self.who)]
        return [to_llama_index(one.message) for one in self._stored(archived)]

    def append(self, messages: Sequence[ChatMessage], *, archived: bool = False) -> None:
        """Store messages in one transaction and learn from them in the background."""
        if not messages:
            return
        turn = list(map(to_memori, messages))
        if not archived:
            self.core.record_turn(turn, attribution=self.who, resent=0)
            return
        # Ids of their own, to find them again beside what others append meanwhile.
        turn = [replace(message, id=uuid4().hex) for message in turn]
        self.core.record_turn(turn, attribution=self.who, resent=0)
        ids = {message.id for message in turn}
        self.core.archive_messages([s.key for s in self._stored(False) if s.message.id in ids], attribution=self.who)

    def replace(self, messages: Sequence[ChatMessage]) -> None:
        """Make the active messages exactly these, in one transaction. What was learnt stays."""
        self.core.replace_messages(list(map(to_memori, messages)), attribution=self.who)

    def clear(self, *, archived: bool | None = None) -> list[ChatMessage]:
        """Delete messages for good, and return them."""
        stored = self._stored(archived)
        self.core.delete_messages([one.key for one in stored], attribution=self.who)
        return [to_llama_index(one.message) for one in stored]

    def delete_at(self, place: int) -> ChatMessage | None:
        """Delete the active message at that place, as in a list, and return it; None when there is none."""
        stored = self._stored(False)
        if not -len(stored) <= place < len(stored):
            return None
        taken = self._each([stored[place]], lambda key: self.core.delete_messages([key], attribution=self.who))
        return taken[0] if taken else None

    def delete_oldest(self, count: int) -> list[ChatMessage]:
        """Delete the oldest active messages, and return those deleted by this call."""
        return self._each(self._oldest(count), lambda key: self.core.delete_messages([key], attribution=self.who))

    def archive_oldest(self, count: int) -> list[ChatMessage]:
        """Archive the oldest active messages, and return those archived by this call."""
        return self._each(self._oldest(count), lambda key: self.core.archive_messages([key], attribution=self.who))

    def _stored(self, archived: bool | None) -> Sequence[StoredMessage]:
        return self.core.transcript(attribution=self.who, archived=archived).messages

    def _oldest(self, count: int) -> Sequence[StoredMessage]:
        return self._stored(False)[: max(0, count)]

    def _each(self, stored: Sequence[StoredMessage], change: Callable[[str], int]) -> list[ChatMessage]:
        # One at a time, so that of two who take the same message, in whatever process, exactly one is given it.
        return [to_llama_index(one.message) for one in stored if change(one.key)]


def session_ids(core: Memori, who: Attribution) -> list[str]:
    """The sessions of the person with the agent that hold messages, newest first."""
    found: dict[str, int] = {}
    for offset in range(0, 10**9, _PAGE):
        page = core.conversations(attribution=who, limit=_PAGE, offset=offset)
        for conversation in page:
            found[conversation.session_id] = found.get(conversation.session_id, 0) + conversation.message_count
        if len(page) < _PAGE:
            break
    held = [session for session, count in found.items() if count]
    if who.process_id is None:
        # Without an agent, those of all agents are listed; a session named without one is nobody else's.
        held = [name for name in held if core.conversations(attribution=who.with_session(name), limit=1)]
    return held
