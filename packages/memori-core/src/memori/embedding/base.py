"""The contract of an embedder."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..text import storable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PIECES = re.compile(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Space:
    """Where vectors live. Vectors of two spaces are never compared."""

    embedder: str
    model: str
    dimension: int

    @property
    def key(self) -> str:
        """One string for the three, e.g. "minilm/all-MiniLM-L6-v2-int8/384"."""
        return f"{self.embedder}/{self.model}/{self.dimension}"

    @classmethod
    def from_key(cls, key: str) -> Space:
        """The space of a key."""
        embedder, _, rest = key.partition("/")
        model, _, dimension = rest.rpartition("/")
        return cls(embedder, model, int(dimension))


class Embedder(ABC):
    """Turns texts into unit vectors. One instance serves a whole process, so `embed` must be thread-safe.

    `__init__` takes the part of the name after the first "/" (`embedder="ollama/nomic"` gives "nomic"), or None,
    and loads nothing: the model is loaded by the first `embed`, so that making a Memori object stays cheap.
    """

    max_tokens: int = 512
    """How many tokens of a text its vector stands for; what is longer is embedded in passages. Override where it is
    known: 512 is what most models read, and a text that is a little shorter than the window is found no worse."""

    semantic: bool = True
    """Whether texts that mean the same in other words are close. Nothing is concluded from what two statements are
    about where only words count."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    @property
    @abstractmethod
    def space(self) -> Space:
        """The space its vectors live in. Must be known without loading the model where it can be."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text, shape (len(texts), dimension), in order.

        The same text gives the same vector whatever it is batched with, to within rounding. An empty text gets a
        vector too, and so does one that holds NUL, lone surrogates or a megabyte; what is too long for the model may be
        cut. Raises `EmbeddingError` for failures of the model, `ModelIntegrityError` for a wrong file, `TypeError` for
        anything but a sequence of strings (a bare string is not one).
        """

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, at least one for each word. An estimate on the high side, for prose.

        Override where the model's tokenizer is at hand.
        """
        return sum(-(-len(piece) // 4) if piece.isascii() else len(piece) for piece in _PIECES.findall(text))

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a query, shape (dimension,). Override where a model embeds queries differently."""
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as an embedder may read them: encodable as UTF-8, without NUL. Raises `TypeError`."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"embed() takes a sequence of strings, not {type(texts).__name__}; write embed([text]).")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"embed() takes strings; item {position} is {type(text).__name__}.")
    return [storable(text) for text in texts]
