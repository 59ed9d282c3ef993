"""Pydantic AI's conversation store, in the user's own database. Needs Pydantic AI 2.66 or newer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, ParamSpec, TypeVar

from memori import Attribution, InvalidAttributionError, Memori, MissingAttributionError, VersionConflictError
from pydantic import TypeAdapter
from pydantic_ai import AgentRunResult
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from .boundary import in_thread
from .conversation_log import ConversationLog
from .native_messages import JSON, all_loaded, dumped, loaded

P = ParamSpec("P")
R = TypeVar("R")
_record = TypeAdapter(ConversationRecord)
_FIELDS = frozenset(field.name for field in fields(ConversationRecord))
_owner: ContextVar[Attribution | None] = ContextVar("owner of the conversation", default=None)


class MemoriConversationStore(ConversationStore):
    """Keeps conversations whole and exact: `MemoriConversationStore(memori, Attribution("user-1"))`.

    `attribution`: whose conversations these are. Without it, each call names the user with `scope=`; a call that
    names nobody is refused, and so is one that names another than the store's own user. What a user has is found for
    that user alone, whoever guesses its id. Conversations are apart from memory: nothing is learnt from them.

    `delete` deletes the messages too, but for those that another conversation of the user shares, and
    `memori.erase(user)` deletes all. With a redactor the stored messages are the redacted ones.
    """

    def __init__(self, memori: Memori, attribution: Attribution | None = None) -> None:
        if not isinstance(memori, Memori):
            raise TypeError(f"the first argument must be a Memori object, got {type(memori).__name__}: Memori(...).")
        if attribution is not None and not isinstance(attribution, Attribution):
            raise TypeError(
                f"attribution must be a memori.Attribution or None, got {type(attribution).__name__}: "
                "Attribution('user-id')."
            )
        self._memori = memori
        self._attribution = attribution
        self._log = ConversationLog(memori)

    # What an application calls: each says whose conversation it is about.

    async def load(
        self, conversation_id: str, *, limit: int | None = None, scope: str | None = None
    ) -> Conversation | None:
        """Load a conversation of the user's, or None; with `limit`, its last messages."""
        with self._of(scope) as user:
            return await super().load(conversation_id, limit=limit, scope=user)

    async def load_entries(
        self, conversation_id: str, *, limit: int | None = None, scope: str | None = None
    ) -> list[ConversationEntry] | None:
        """Load a conversation's messages with their ids, or None."""
        with self._of(scope) as user:
            return await super().load_entries(conversation_id, limit=limit, scope=user)

    async def save(
        self, conversation: Conversation | AgentRunResult[Any], *, scope: str | None = None
    ) -> list[ConversationEntry]:
        """Save what is new in a conversation. Raises `ConversationConflict` when somebody else saved it meanwhile."""
        with self._of(scope) as user:
            return await super().save(conversation, scope=user)

    async def branch(
        self,
        conversation_id: str,
        *,
        at: int | None = None,
        from_entry: str | None = None,
        expected_revision: str | None,
        scope: str | None = None,
    ) -> Conversation:
        """Go on from an earlier message; the history that is left stays stored."""
        with self._of(scope) as user:
            return await super().branch(
                conversation_id, at=at, from_entry=from_entry, expected_revision=expected_revision, scope=user
            )

    async def fork(
        self,
        conversation_id: str,
        *,
        at: int | None = None,
        from_entry: str | None = None,
        new_conversation_id: str | None = None,
        scope: str | None = None,
        source_scope: str | None = None,
    ) -> Conversation:
        """Begin another conversation of the same user's from a message of this one."""
        if scope is not None and source_scope is not None and scope != source_scope:
            raise InvalidAttributionError(
                f"A conversation of {source_scope!r} cannot become one of {scope!r}: fork it for the same user."
            )
        with self._of(source_scope if scope is None else scope) as user:
            return await super().fork(
                conversation_id,
                at=at,
                from_entry=from_entry,
                new_conversation_id=new_conversation_id,
                scope=user,
                source_scope=user,
            )

    async def list_conversations(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> list[ConversationRecord]:
        """The user's conversations, the one saved last first."""
        with self._of(scope) as user:
            return await super().list_conversations(scope=user, limit=limit)

    async def delete(self, conversation_id: str, *, scope: str | None = None) -> None:
        """Delete a conversation with its messages."""
        with self._of(scope) as user:
            await super().delete(conversation_id, scope=user)

    # What the framework calls.

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """The record of a conversation, or None."""
        found = await self._do(self._log.record, self._user, conversation_id)
        return None if found is None else _to_record(found)

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[ConversationRecord]:
        """The user's records, newest first."""
        with self._of(scope):
            return [_to_record(one) for one in await self._do(self._log.records, self._user, limit=limit)]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and its new messages in one transaction."""
        entries = [_from_entry(one) for one in new_entries]
        kept: JSON = {**_record.dump_python(record, mode="json"), "scope": self._user.entity_id}
        try:
            await self._do(self._log.write, self._user, kept, entries, expected_revision=expected_revision)
        except VersionConflictError as error:
            raise ConversationConflict(record.conversation_id) from error

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a record, and the messages that no other conversation of the user shares."""
        try:
            await self._do(self._log.delete, self._user, conversation_id, expected_revision=expected_revision)
        except VersionConflictError as error:
            raise ConversationConflict(conversation_id) from error

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """One message with its place."""
        return _to_entry(await self._do(self._log.entry, self._user, entry_id))

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """The messages up to one, in one query."""
        found = await self._do(self._log.history, self._user, head_id, limit=limit)
        messages = all_loaded([one["message"] for one in found])
        return [
            ConversationEntry(id=one["id"], parent_id=one["parent_id"], message=message)
            for one, message in zip(found, messages, strict=True)
        ]

    @property
    def _user(self) -> Attribution:
        user = self._attribution or _owner.get()
        if user is None:
            raise MissingAttributionError(
                "Whose conversation? Name the user with scope=, or make the store for one: "
                "MemoriConversationStore(memori, Attribution('user-id'))."
            )
        return user

    @contextmanager
    def _of(self, scope: str | None) -> Iterator[str]:
        """Settle whose conversation a call is about, for the length of the call; yields the user's id."""
        if scope is not None and self._attribution is not None and scope != self._attribution.entity_id:
            raise InvalidAttributionError(
                f"This store keeps the conversations of {self._attribution.entity_id!r}; scope={scope!r} names "
                "another. Make a store for that user, or one without an attribution."
            )
        token = _owner.set(_owner.get() if scope is None else Attribution(scope))
        try:
            yield self._user.entity_id
        finally:
            _owner.reset(token)

    async def _do(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await in_thread(self._memori, call, *args, **kwargs)


def _to_record(stored: JSON) -> ConversationRecord:
    return _record.validate_python({key: value for key, value in stored.items() if key in _FIELDS})


def _to_entry(stored: JSON) -> ConversationEntry:
    return ConversationEntry(id=stored["id"], parent_id=stored["parent_id"], message=loaded(stored["message"]))


def _from_entry(entry: ConversationEntry) -> JSON:
    return {"id": entry.id, "parent_id": entry.parent_id, "kind": entry.kind, "message": dumped(entry.message)}
