"""Ask a chat model for JSON of a schema: the seam through which a framework brings its own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .model import Message


@dataclass(frozen=True, slots=True)
class StructuredReply:
    """What a model answered. `content` is JSON, as text or read already. Tokens are 0 where nobody counts them."""

    content: str | Mapping[str, Any]
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class StructuredModel(Protocol):
    """A chat model that answers with JSON. Anything callable like this will do; it is called from several threads.

    `messages` have the roles system, user and assistant. `schema` is a JSON schema whose objects require all their
    properties and allow no others, as strict modes want it. Plain JSON may be returned where no tokens are known.
    It may raise anything; what it raises is not shown, for it may hold secrets.
    """

    def __call__(
        self, messages: Sequence[Message], schema: Mapping[str, Any]
    ) -> StructuredReply | str | Mapping[str, Any]:
        """Answer; blocks."""
