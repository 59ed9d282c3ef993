"""Put the context block into a conversation, and tell it from what people said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pydantic_ai.messages import ModelMessage, ModelRequest, TextContent, UserContent, UserPromptPart

ORIGIN = {"origin": "memori"}
"""The metadata of the block's text, which no model sees and a saved history keeps."""
_OPEN, _CLOSE = "<memori_context>", "</memori_context>"


def human_turn(messages: Sequence[ModelMessage], run_id: str | None) -> int | None:
    """Return the index of the request that holds the run's question: its own first, else the last one before it."""
    asked = [index for index, message in enumerate(messages) if question(message)]
    own = [index for index in asked if messages[index].run_id == run_id]
    if own:
        return own[0]
    return asked[-1] if asked else None


def question(message: ModelMessage) -> str:
    """Return what a person wrote in this message, without markers for images and files; "" when nobody did."""
    return "\n".join(text for part in _prompts(message) for text in written(part.content))


def written(content: str | Sequence[UserContent]) -> Iterator[str]:
    """Yield the texts of a prompt that a person wrote."""
    for item in [content] if isinstance(content, str) else content:
        text = item.content if isinstance(item, TextContent) else item
        if isinstance(text, str) and text and not is_block(item):
            yield text


def is_block(item: UserContent) -> bool:
    """Tell a context block by its tag or, where a front end dropped the tag, by its frame."""
    if isinstance(item, TextContent):
        return item.metadata == ORIGIN or is_block(item.content)
    return isinstance(item, str) and item.startswith(_OPEN) and item.endswith(_CLOSE)


def with_block(messages: Sequence[ModelMessage], block: str, run_id: str | None) -> list[ModelMessage]:
    """Return the messages with the block at the end of the turn it answers: always there, so every step of a run
    sends the same bytes, and after whatever a prompt cache may hold. Nothing given is changed."""
    changed = list(messages)
    place = human_turn(changed, run_id)
    if place is None:
        place = len(changed) - 1
    request = changed[place] if changed else None
    if isinstance(request, ModelRequest):
        said_at = [part.timestamp for part in _prompts(request)]
        part = UserPromptPart([TextContent(block, metadata=dict(ORIGIN))])
        part = replace(part, timestamp=said_at[0] if said_at else request.timestamp or part.timestamp)
        changed[place] = replace(request, parts=[*request.parts, part])
    return changed


def without_blocks(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    """Return the messages without any context block; those that hold none are the same objects."""
    return [kept for message in messages if (kept := _without_blocks(message)) is not None]


def without_older_blocks(messages: Iterable[ModelMessage], run_id: str | None) -> list[ModelMessage]:
    """Return the messages with the blocks of this run only: another memory may have added one to it."""
    return [
        kept
        for message in messages
        if (kept := message if message.run_id == run_id else _without_blocks(message)) is not None
    ]


def _without_blocks(message: ModelMessage) -> ModelMessage | None:
    prompts = [part for part in _prompts(message) if any(map(is_block, _items(part)))]
    if not isinstance(message, ModelRequest) or not prompts:
        return message
    parts = []
    for part in message.parts:
        if isinstance(part, UserPromptPart) and any(part is prompt for prompt in prompts):
            rest = [item for item in _items(part) if not is_block(item)]
            if not rest:
                continue
            part = replace(part, content=rest)
        parts.append(part)
    return replace(message, parts=parts) if parts else None


def _prompts(message: ModelMessage) -> list[UserPromptPart]:
    if not isinstance(message, ModelRequest):
        return []
    return [part for part in message.parts if isinstance(part, UserPromptPart)]


def _items(part: UserPromptPart) -> Sequence[UserContent]:
    return [part.content] if isinstance(part.content, str) else part.content
