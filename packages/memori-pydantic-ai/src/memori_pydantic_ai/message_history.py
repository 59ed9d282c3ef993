"""Keep message histories with two functions, on every version of Pydantic AI."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from memori import Attribution, Memori, VersionConflictError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart

from .blocks import without_blocks
from .boundary import in_thread
from .conversation_log import ConversationLog
from .native_messages import JSON, all_loaded, dumped, redacted, same, without_open_calls

_ATTEMPTS = 20


def load_messages(
    memori: Memori, attribution: Attribution, conversation_id: str, *, limit: int | None = None
) -> list[ModelMessage]:
    """Return a conversation's messages, oldest first, or its last `limit`: what `message_history=` takes.

    Those that the user doesn't have are []. Everything a message holds comes back as it was.
    """
    log = ConversationLog(memori)
    record = log.record(attribution, conversation_id)
    if record is None:
        return []
    return all_loaded([entry["message"] for entry in log.history(attribution, record["head_id"], limit=limit)])


def append_messages(
    memori: Memori, attribution: Attribution, conversation_id: str, messages: Sequence[ModelMessage]
) -> int:
    """Add messages to a conversation, and return how many were new.

    `messages` is what a run added or the whole history, as often as you like: what is stored already is found and not
    stored again. A last answer whose tool calls nobody has answered waits until it comes again with its results.
    Context blocks are left out. Raises `ValueError` for the result of a tool that nobody called.
    """
    kept = without_open_calls(without_blocks(messages))
    log = ConversationLog(memori)
    for attempt in range(_ATTEMPTS):
        record = log.record(attribution, conversation_id)
        # What may be known already, and the message before it, whose calls the first of the new ones may answer.
        stored = [] if record is None else log.history(attribution, record["head_id"], limit=len(kept) + 1)
        new = [redacted(memori, dumped(message)) for message in kept]
        new = new[_overlap([entry["message"] for entry in stored], new) :]
        if not new:
            return 0
        _check_answers([*all_loaded([entry["message"] for entry in stored]), *kept])
        entries = list(_linked(new, stored[-1]["id"] if stored else None))
        changed = {
            **(record or _first(attribution, conversation_id)),
            "head_id": entries[-1]["id"],
            "revision": str(uuid.uuid4()),
            "updated_at": datetime.now(UTC).isoformat(),
        }
        try:
            revision = None if record is None else record["revision"]
            log.write(attribution, changed, entries, expected_revision=revision)
        except VersionConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue  # Somebody else added to it: what they said comes first.
        return len(entries)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def aload_messages(
    memori: Memori, attribution: Attribution, conversation_id: str, *, limit: int | None = None
) -> list[ModelMessage]:
    """Await `load_messages` without blocking the event loop."""
    return await in_thread(memori, load_messages, memori, attribution, conversation_id, limit=limit)


async def aappend_messages(
    memori: Memori, attribution: Attribution, conversation_id: str, messages: Sequence[ModelMessage]
) -> int:
    """Await `append_messages` without blocking the event loop."""
    return await in_thread(memori, append_messages, memori, attribution, conversation_id, list(messages))


def _overlap(stored: Sequence[JSON], new: Sequence[JSON]) -> int:
    """How many of the new messages are stored: the longest end of the one that is a beginning of the other."""
    for length in range(min(len(stored), len(new)), 0, -1):
        end = stored[len(stored) - length :]
        if all(same(one, other) for one, other in zip(end, new, strict=False)):
            return length
    return 0


def _check_answers(messages: Sequence[ModelMessage]) -> None:
    called: set[str] = set()
    for message in messages:
        if isinstance(message, ModelResponse):
            called.update(part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart))
        elif isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, ToolReturnPart) and part.tool_call_id not in called:
                    raise ValueError(
                        f"The result of the tool {part.tool_name!r} answers a call that is in neither the messages nor "
                        "the stored conversation. Append the whole history: result.all_messages()."
                    )


def _linked(messages: Sequence[JSON], parent_id: str | None) -> Iterator[JSON]:
    for message in messages:
        entry_id = str(uuid.uuid4())
        yield {"id": entry_id, "parent_id": parent_id, "kind": "message", "message": message}
        parent_id = entry_id


def _first(attribution: Attribution, conversation_id: str) -> JSON:
    return {
        "conversation_id": conversation_id,
        "scope": attribution.entity_id,
        "branches": [],
        "format_version": 1,
    }
