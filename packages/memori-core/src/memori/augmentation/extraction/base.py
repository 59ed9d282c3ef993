"""The contract of an extractor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from ...model import Attribution, Fact, Proposal, StoredMessage

if TYPE_CHECKING:
    from ...structured import StructuredModel


@dataclass(frozen=True, slots=True)
class Turn:
    """What an extractor is shown: the new messages of one job, and up to ten that came before them, oldest first.

    Only `messages` may be extracted from; `context` helps to understand them. An extractor that `reads_memories` is
    also given up to ten facts known already that resemble the messages, and the conversation's summary so far.
    """

    attribution: Attribution
    messages: tuple[StoredMessage, ...]
    context: tuple[StoredMessage, ...] = ()
    memories: tuple[Fact, ...] = ()
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Extraction(Sequence[Proposal]):
    """What an extractor that finds more than proposals returns for a turn; it reads as the list of the proposals.

    `mentions`: known facts said again, as (fact id, index of the message). `attributes`: what was learnt about the
    agent, as (text, index of the message). `summary`: of the conversation so far. `problem`: what went wrong although
    there is a result; it stays with the job. `version`: that of the extractor which made it, if not the one asked.
    """

    proposals: tuple[Proposal, ...] = ()
    mentions: tuple[tuple[str, int], ...] = ()
    attributes: tuple[tuple[str, int], ...] = ()
    summary: str | None = None
    problem: str | None = None
    version: str | None = None

    @classmethod
    def of(cls, found: Iterable[Proposal]) -> Extraction:
        """The extraction itself, or what holds the proposals of a plain list."""
        return found if isinstance(found, Extraction) else cls(tuple(found))

    @overload
    def __getitem__(self, index: int) -> Proposal: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Proposal, ...]: ...
    def __getitem__(self, index: int | slice) -> Proposal | tuple[Proposal, ...]:
        return self.proposals[index]

    def __len__(self) -> int:
        return len(self.proposals)


@dataclass(frozen=True, slots=True)
class Host:
    """What a Memori object lends to its extractor.

    `model`: gives the chat model of a name, or of the name in the settings; raises `ConfigurationError` where there is
    none. `fallback`: gives the extractor that works without one. `prices`: of a million tokens in, and out.
    """

    model: Callable[[str | None], StructuredModel]
    fallback: Callable[[], Extractor]
    prices: tuple[float, float] = (0.0, 0.0)


class Extractor(ABC):
    """Proposes facts. One instance serves a whole process, so `extract` must be thread-safe.

    `__init__` takes the part of the name after the first ":" (`extractor="local:zh_core_web_sm"`), or None, and
    loads nothing. `version` is stored with every fact; change it when the output changes.
    """

    version: str

    batch: int = 16
    """Turns that are best extracted in one call. One that asks a model for each turn says 1: a call has a time-out."""

    reads_memories: bool = False
    """Whether `Turn.memories` and `Turn.summary` are wanted; finding them costs a search."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    def lent(self, host: Host) -> Extractor:
        """The extractor that one Memori object works with: this one, unless it needs what only that object has."""
        return self

    @abstractmethod
    def extract(self, turns: Sequence[Turn]) -> Sequence[Sequence[Proposal]]:
        """Return the proposals of each turn, in order: a list, or an `Extraction` to say more.

        No episode: verbatim text is kept by Memori itself. A proposal's `message` indexes `turn.messages`. Raises
        `ExtractionError`; a turn that says nothing worth keeping gives [].
        """
