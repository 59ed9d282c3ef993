"""What the storage suites put into a storage: two tenants, turns, facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import HealthCheck
from hypothesis import strategies as st

from ..embedding.base import Space
from ..keys import new_key
from ..model import Attribution, Fact, Message
from ..storage.base import Storage
from ..storage.records import NewFact, Turn
from ..text import fold, terms

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ADA = Attribution("ada", "bot", "s1", namespace="conformance")
BOB = Attribution("bob", "bot", "s1", namespace="conformance")
SPACE = Space("test", "unit", 4)

# A suite that is subclassed shares its tests and fixtures between classes on purpose.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]

# Text every database must hold unchanged; NUL and lone surrogates are replaced before a storage sees them.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)


def said(*lines: str, ids: Sequence[str] | None = None) -> tuple[Message, ...]:
    """Messages of a user and an assistant in turn."""
    roles = ("user", "assistant")
    return tuple(
        Message(roles[i % 2], line, id=ids[i] if ids else None)  # type: ignore[arg-type]
        for i, line in enumerate(lines)
    )


def turn(*messages: Message, resent: int | None = None, now: datetime = NOW, **options: Any) -> Turn:
    """A turn all of whose messages may have been sent before."""
    return Turn(messages, resent=len(messages) if resent is None else resent, now=now, **options)


def new_fact(text: str, *, vector: Sequence[float] = (1, 0, 0, 0), **fields: Any) -> NewFact:
    """A fact as the pipeline would hand it over, with one unit vector."""
    fact = Fact(**{"id": new_key(), "text": text, "kind": "fact", "said_at": NOW, **fields})
    vectors = np.array([vector], dtype=np.float32)
    return NewFact(fact, " ".join(terms(text)), fold(text).encode().hex()[:64], vectors)


def contents(storage: Storage, who: Attribution) -> list[str]:
    """What is stored of a session, oldest first."""
    return [stored.message.content for stored in storage.messages(who)]


def texts(storage: Storage, who: Attribution, **options: Any) -> list[str]:
    """The entity's active facts."""
    return sorted(fact.text for fact in storage.facts(who, **options))
