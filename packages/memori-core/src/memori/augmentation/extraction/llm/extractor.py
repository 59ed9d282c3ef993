"""Extraction by any chat model, in one structured call for each turn."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .... import telemetry
from ....errors import ConfigurationError, ExtractionError, MemoriError
from ....model import Message
from ....structured import StructuredModel, StructuredReply
from ....suppression import suppress
from ..base import Extraction, Extractor, Host, Turn
from . import prompt

logger = logging.getLogger("memori.augmentation")


class LLMExtractor(Extractor):
    """Asks a chat model what a turn says, given what was said before and what is known already.

    `extractor="llm"` asks a registered client or an OpenAI-compatible server, as the settings say; "llm:NAME" names
    the model. An integration brings its own: `LLMExtractor(ask, name="my-model")`, where `ask` is a `StructuredModel`.
    An answer that cannot be used is asked for once more; then the local extractor takes over and the job says so.
    """

    version = "llm/1"
    batch = 1
    reads_memories = True

    def __init__(self, model: str | StructuredModel | None = None, *, name: str | None = None) -> None:
        named = model if isinstance(model, str) else name
        super().__init__(named)
        self.structured: StructuredModel | None = None if isinstance(model, str) else model
        if named:
            self.version = f"{type(self).version}:{named}"
        self._host: Host | None = None

    def lent(self, host: Host) -> Extractor:
        """This extractor with the model and the fallback of one Memori object."""
        mine = copy.copy(self)
        mine._host = host
        return mine

    def extract(self, turns: Sequence[Turn]) -> list[Extraction]:
        """Ask the model about each turn. Raises `ExtractionError` only where there is nobody to take over."""
        return [self._learn(turn) for turn in turns]

    def _learn(self, turn: Turn) -> Extraction:
        if not any(prompt.readable(stored.message) for stored in turn.messages):
            return Extraction()
        try:
            return self._ask(turn)
        except Exception as error:  # noqa: BLE001 - a model of anybody's may raise anything
            problem = ExtractionError(f"the chat model {self.model or ''!r} did not extract: {_harmless(error)}")
            if self._host is None:
                raise problem from None
            telemetry.count("extraction.fallback", error=type(error).__name__)
            telemetry.failure(logger, "extraction by a model (the local extractor takes over)", problem)
            fallback = self._host.fallback()
            found = Extraction.of(fallback.extract([turn])[0])
            said = f"{problem}; the extractor {fallback.version!r} took over"
            return replace(found, version=found.version or fallback.version, problem=said)

    def _ask(self, turn: Turn) -> Extraction:
        from .answer import InvalidAnswerError, extraction, read, schema

        model = self._model()
        messages = prompt.ask(turn)
        content = self._call(model, messages, schema())
        try:
            answer = read(content)
        except InvalidAnswerError as problem:
            telemetry.count("extraction.repair")
            said = content if isinstance(content, str) else json.dumps(content)
            answer = read(self._call(model, prompt.ask_again(messages, said, str(problem)), schema()))
        found, refused = extraction(answer, turn)
        if refused:
            telemetry.count("extraction.refused", refused)
        return found

    def _model(self) -> StructuredModel:
        if self.structured is not None:
            return self.structured
        if self._host is None:
            raise ConfigurationError(
                "this extractor was given no chat model: LLMExtractor(ask), or Memori(extractor=…)"
            )
        return self._host.model(self.model)

    def _call(
        self, model: StructuredModel, messages: list[Message], schema: Mapping[str, Any]
    ) -> str | Mapping[str, Any]:
        # What Memori asks is no conversation of the user's.
        with suppress():
            reply = model(messages, schema)
        if not isinstance(reply, StructuredReply):
            reply = StructuredReply(reply)
        named = reply.model or self.model or ""
        telemetry.count("extraction.calls", model=named)
        telemetry.count("extraction.input_tokens", reply.input_tokens, model=named)
        telemetry.count("extraction.output_tokens", reply.output_tokens, model=named)
        if self._host is not None and any(self._host.prices):
            paid = self._host.prices[0] * reply.input_tokens + self._host.prices[1] * reply.output_tokens
            telemetry.count("extraction.cost", paid / 1e6, model=named)
        return reply.content


def _harmless(error: Exception) -> str:
    """What may be shown of an error. An SDK's own text may hold a key."""
    if isinstance(error, MemoriError):
        return f"{error}"
    status = getattr(error, "status_code", None)
    return type(error).__name__ + (f" (status {status})" if isinstance(status, int) else "")
