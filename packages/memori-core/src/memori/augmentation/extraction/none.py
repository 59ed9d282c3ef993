"""Extract nothing: memory is then what was said, verbatim."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import Proposal
from .base import Extractor, Turn


class NoExtractor(Extractor):
    """Proposes no facts; episodes are still kept and found."""

    version = "none/1"

    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        """Return an empty list for each turn."""
        return [[] for _ in turns]
