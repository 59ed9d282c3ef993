"""Choose what of a history a model is shown: whole turns, newest first, within a number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from .messages import role_of

Tokenizer = Callable[[str], Sequence[Any]]

_MEDIUM = 256
"""What an image, a recording or a document is taken to cost; the same guess as LlamaIndex's own."""


def newest_turns(messages: Sequence[ChatMessage], limit: int, tokenizer: Tokenizer) -> list[int]:
    """The places of the messages to show, in order.

    A turn is a user's message with all that follows until the next one, so that no tool call loses its result. System
    messages are always shown, and so is the newest turn, whatever they cost: a model that refuses an over-long
    request says so, while a question cut short is answered wrongly.
    """
    system: list[int] = []
    turns: list[list[int]] = []
    for place, message in enumerate(messages):
        role = role_of(message)
        if role == "system":
            system.append(place)
        elif role == "user" or not turns:
            turns.append([place])
        else:
            turns[-1].append(place)
    left = limit - sum(cost(messages[place], tokenizer) for place in system)
    shown = system
    for age, turn in enumerate(reversed(turns)):
        left -= sum(cost(messages[place], tokenizer) for place in turn)
        if left < 0 and age:
            break
        shown = shown + turn
    return sorted(shown)


def cost(message: ChatMessage, tokenizer: Tokenizer) -> int:
    """Estimate the tokens of a message, with its thoughts and tool calls."""
    return sum(_block_cost(block, tokenizer) for block in message.blocks)


def _block_cost(block: object, tokenizer: Tokenizer) -> int:
    if isinstance(block, TextBlock):
        return len(tokenizer(block.text))
    if isinstance(block, ThinkingBlock):
        return len(tokenizer(block.content or ""))
    if isinstance(block, ToolCallBlock):
        return len(tokenizer(block.model_dump_json()))
    if isinstance(block, CitableBlock):
        return sum(_block_cost(part, tokenizer) for part in block.content)
    if isinstance(block, CitationBlock):
        return _block_cost(block.cited_content, tokenizer)
    return 0 if isinstance(block, CachePoint) else _MEDIUM
