"""Any LangChain chat model as Memori's extractor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from memori import LLMExtractor, Message, StructuredReply

from .embedder import model_name

_KINDS: Mapping[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
# Nobody listens: an agent's callbacks and streams show none of it, and no handler of ours stores it.
_QUIET: RunnableConfig = {"callbacks": [], "metadata": {"lc_source": "memori"}}


class LangChainExtractor(LLMExtractor):
    """Extracts with a chat model: `Memori(extractor=LangChainExtractor(ChatOpenAI(model="gpt-5-mini")))`.

    One structured call for each turn, made by Memori's worker and not in the agent's run; a model without structured
    output is shown the schema. When the model fails, the local extractor takes over. `name` tells what it extracted
    from what other models did; left out, it is the class and the model's own name.
    """

    def __init__(self, model: BaseChatModel, *, name: str | None = None) -> None:
        if not isinstance(model, BaseChatModel):
            raise TypeError(f"LangChainExtractor takes a LangChain chat model, got {type(model).__name__}.")
        super().__init__(_Asked(model), name=name or model_name(model))


class _Asked:
    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
        native = [_KINDS[message.role](message.content) for message in messages]
        titled = {"title": "Memory", "description": "What the messages say.", **schema}
        try:
            structured = self._model.with_structured_output(titled, include_raw=True)
        except NotImplementedError:
            shown = f"Answer with JSON alone, of this schema:\n{json.dumps(schema)}"
            return _reply(self._model.invoke([*native, SystemMessage(shown)], _QUIET))
        answer: Any = structured.invoke(native, _QUIET)
        return _reply(answer["raw"], answer["parsed"])


def _reply(raw: BaseMessage, parsed: Any = None) -> StructuredReply:
    used = getattr(raw, "usage_metadata", None) or {}
    return StructuredReply(
        str(raw.text) if parsed is None else parsed,
        model=str(raw.response_metadata.get("model_name") or ""),
        input_tokens=used.get("input_tokens", 0),
        output_tokens=used.get("output_tokens", 0),
    )
