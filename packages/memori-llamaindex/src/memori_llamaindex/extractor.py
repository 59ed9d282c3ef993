"""Learn facts with an LLM of LlamaIndex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.instrumentation.dispatcher import instrument_tags  # type: ignore[attr-defined]
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import ChatPromptTemplate
from memori import LLMExtractor, Message
from pydantic import BaseModel, ConfigDict

from .embedder import INTERNAL

_UNNAMED = "unknown"  # LLMMetadata's default


class LlamaIndexExtractor(LLMExtractor):
    """`Memori(url, extractor=LlamaIndexExtractor(OpenAI(...)))`: any LLM of LlamaIndex, never `Settings.llm` unasked.

    It is asked with `structured_predict` in Memori's own worker, once for each turn: with a tool call where it can
    make one, else for JSON. `name` is stored with every fact; without one the model's own is. Its calls carry the tag
    `memori.internal` in LlamaIndex's instrumentation. Where it fails, the local extractor takes over.
    """

    def __init__(self, llm: LLM, *, name: str | None = None) -> None:
        if not isinstance(llm, LLM):
            raise TypeError(
                f"LlamaIndexExtractor takes an LLM of LlamaIndex, got {type(llm).__name__}: "
                'LlamaIndexExtractor(OpenAI(...)). For other models see Memori(extractor="llm:NAME").'
            )
        own = llm.metadata.model_name
        super().__init__(_Asking(llm), name=name or (llm.class_name() if own == _UNNAMED else own))


class _Asking:
    """Asks an LLM for JSON of a schema."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> dict[str, Any]:
        # As a template without variables: LlamaIndex leaves braces that name none as they are.
        said = [ChatMessage(message.content, role=MessageRole(message.role)) for message in messages]
        with instrument_tags(INTERNAL):
            answer = self._llm.structured_predict(_shaped(schema), ChatPromptTemplate(message_templates=said))
        found: dict[str, Any] = answer.model_dump()
        return found


class _Anything(BaseModel):
    """Takes any answer: what is wrong with one is told to the model by Memori, which asks again."""

    model_config = ConfigDict(extra="allow")


def _shaped(schema: Mapping[str, Any]) -> type[BaseModel]:
    """A model class that LlamaIndex reads the schema from."""

    class Memory(_Anything):
        asked_for: ClassVar[dict[str, Any]] = {
            "title": "memory",
            "description": "What a conversation says that is worth remembering.",
            **schema,
        }

        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
            return dict(cls.asked_for)

    return Memory
