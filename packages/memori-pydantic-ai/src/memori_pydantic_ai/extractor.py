"""Any chat model of Pydantic AI as what extracts facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memori import LLMExtractor, Message, StructuredReply
from pydantic_ai import Agent, StructuredDict
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model

from .background_loop import LOOP


class PydanticAIExtractor(LLMExtractor):
    """Extracts with a chat model: `Memori(extractor=PydanticAIExtractor("openai:gpt-5-mini"))`.

    `model`: a model of Pydantic AI, or the name of one; its key is looked for when it is first asked. It is asked on an
    event loop of its own: give it a model that no agent uses. `timeout`: seconds that one turn may take. An answer that
    does not fit is asked for again; when the model fails, the local extractor takes over.
    """

    def __init__(self, model: Model | str, *, timeout: float = 60.0) -> None:
        if not isinstance(model, Model | str):
            raise TypeError(
                f"PydanticAIExtractor takes a model of Pydantic AI or its name, got {type(model).__name__}; "
                "of an agent, pass agent.model."
            )
        name = model if isinstance(model, str) else f"{model.system}:{model.model_name}"
        super().__init__(_Asked(model, timeout), name=name)


class _Asked:
    """The model, asked for JSON by an agent of its own: without memory, tools or the instructions of another."""

    def __init__(self, model: Model | str, timeout: float) -> None:
        self._model = model
        self._timeout = timeout

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
        """Ask for a document of the schema; blocks."""
        agent = Agent(
            self._model,
            output_type=StructuredDict(dict(schema), name="memory"),
            instructions=[message.content for message in messages if message.role == "system"],
            retries={"output": 2},
            defer_model_check=True,
        )
        *earlier, question = [message for message in messages if message.role != "system"]
        asked = agent.run(question.content, message_history=[_native(message) for message in earlier])
        result = LOOP.run(asked, timeout=self._timeout)
        return StructuredReply(
            result.output,
            model=result.response.model_name or "",
            input_tokens=result.usage.input_tokens,
            output_tokens=result.usage.output_tokens,
        )


def _native(message: Message) -> ModelMessage:
    if message.role == "assistant":
        return ModelResponse(parts=[TextPart(message.content)])
    return ModelRequest(parts=[UserPromptPart(message.content)])
