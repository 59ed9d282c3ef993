"""The contract of an extractor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...model import Attribution, Proposal, StoredMessage


@dataclass(frozen=True, slots=True)
class Turn:
    """What an extractor is shown: the new messages of one job, and up to ten that came before them, oldest first.

    Only `messages` may be extracted from; `context` helps to understand them.
    """

    attribution: Attribution
    messages: tuple[StoredMessage, ...]
    context: tuple[StoredMessage, ...] = ()


class Extractor(ABC):
    """Proposes facts. One instance serves a whole process, so `extract` must be thread-safe.

    `__init__` takes the part of the name after the first ":" (`extractor="local:zh_core_web_sm"`), or None, and
    loads nothing. `version` is stored with every fact; change it when the output changes.
    """

    version: str

    batch: int = 16
    """Turns that are best extracted in one call. One that asks a model for each turn says 1: a call has a time-out."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    @abstractmethod
    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        """Return the proposals of each turn, in order. No episode: verbatim text is kept by Memori itself.

        A proposal's `message` indexes `turn.messages`. Raises `ExtractionError`; a turn that says nothing
        worth keeping gives [].
        """
