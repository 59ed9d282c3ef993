"""A memory that can be watched and made to fail, for what a real one cannot be asked to do on time."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from memori.attribution import CurrentAttribution
from memori.builtin import memori_llm_adapters
from memori.hookspecs import Provider
from memori.llm.base import Adapter
from memori.llm.register import LLMRegistry
from memori.model import Attribution, Context, Message, Receipt
from memori.process import BoundedExecutor

ADA = Attribution("ada")
BOB = Attribution("bob")
ADAPTERS = {provider.name: provider for provider in memori_llm_adapters()}


def load(provider: Provider) -> type[Adapter]:
    module, _, name = provider.target.partition(":")
    found: type[Adapter] = getattr(import_module(module), name)
    return found


def block(text: str) -> str:
    return f"<memori_context>\n- {text}\n</memori_context>"


@dataclass(frozen=True)
class Turn:
    attribution: Attribution
    messages: tuple[Message, ...]
    resent: int

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.messages]


@dataclass
class WatchedMemory:
    """Knows what `known` says for an entity, keeps every turn, and fails where it is told to."""

    known: dict[str, str] = field(default_factory=dict)
    auto_ingest: bool = True
    executor: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(threads=4))
    turns: list[Turn] = field(default_factory=list)
    queries: list[tuple[str, Attribution, tuple[str, ...]]] = field(default_factory=list)
    on_context: Callable[[], Any] = lambda: None
    on_record: Callable[[], Any] = lambda: None
    recorded: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    speaker: CurrentAttribution = field(default_factory=CurrentAttribution)

    def current_attribution(self) -> Attribution | None:
        return self.speaker.get()

    def context(
        self, query: str, *, attribution: Attribution, exclude: Sequence[str] = (), opening: bool | None = None
    ) -> Context:
        self.queries.append((query, attribution, tuple(exclude)))
        self.on_context()
        known = self.known.get(attribution.entity_id)
        return Context(block(known)) if known else Context("")

    def record_turn(self, messages: Sequence[Message], *, attribution: Attribution, resent: int) -> Receipt:
        self.on_record()
        self.turns.append(Turn(attribution, tuple(messages), resent))
        self.recorded.release()
        return Receipt("session", None, len(messages), 0, None)

    def registry(self, **options: Any) -> LLMRegistry["WatchedMemory"]:
        return LLMRegistry(self, ADAPTERS, load, self, **options)
