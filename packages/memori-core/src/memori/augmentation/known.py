"""Look up what of an entity's facts concerns newly proposed ones, at a cost that does not grow with their number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Embedder
from ..embedding.vectors import embed_texts
from ..errors import EmbeddingError, UnsupportedError
from ..model import Attribution, Ending, Fact
from ..storage.base import Storage
from ..storage.records import NewFact
from ..text import terms
from .embedding import voiced
from .partings import partings
from .resolve import Claim, Known

logger = logging.getLogger("memori.augmentation")
_LOOKED_AT = 40
"""Facts looked at for each proposal: those that share most words with it."""
_SHARED = 0.5
_CLOSE = 0.8
"""The cosine from which the vectors of two statements of the same words agree."""


def look_up(
    storage: Storage,
    embedder: Embedder,
    attribution: Attribution,
    facts: Sequence[NewFact],
    claims: Mapping[str, Claim],
    *,
    infer: bool = False,
) -> Known:
    """What is known that the facts repeat, contradict or take the place of. `claims` by a fact's id.

    `infer`: what they end in other words is found too. Not for what is stated by hand, nor where an extractor that was
    shown what is known has decided.
    """
    statements = [new for new in facts if new.fact.kind != "episode" and new.fact.status != "quarantined"]
    if not statements:
        return Known()
    same = storage.facts_by_fingerprint(attribution, {new.fingerprint for new in statements})
    slots: dict[str, list[Fact]] = {}
    claims = {new.fact.id: claims[new.fact.id] for new in statements if new.fact.id in claims}
    wanted = {new.fact.slot for new in statements if new.fact.slot}
    wanted |= {end.slot for claim in claims.values() for end in claim.ends if not end.slot.endswith("*")}
    for fact in storage.facts(attribution, slots=wanted, statuses=("active", "superseded")) if wanted else ():
        slots.setdefault(fact.slot or "", []).append(fact)
    shared: dict[str, list[str]] = {
        new.fact.id: _sharing(storage, attribution, new) for new in statements if new.fingerprint not in same
    }
    for new_id, claim in claims.items():
        for end in claim.ends:
            if end.slot.endswith("*"):
                shared.setdefault(new_id, []).extend(_naming(storage, attribution, end))
    replaces = {new: claim.replaces for new, claim in claims.items()}
    named = {one for ids in (*shared.values(), *replaces.values()) for one in ids}
    found = {fact.id: fact for fact in storage.facts(attribution, ids=named)} if named else {}
    statement = {key: fact for key, fact in found.items() if fact.kind != "episode"}
    replaced = {new: [statement[one] for one in ids if one in statement] for new, ids in replaces.items()}
    over = partings(storage, embedder, attribution, statements, list(statement.values())) if infer else {}
    for new_id, ended in over.items():
        replaced.setdefault(new_id, []).extend(ended)
    return Known(
        by_fingerprint=same,
        by_slot=slots,
        similar={new: [statement[one] for one in ids if one in statement] for new, ids in shared.items()},
        replaced=replaced,
        claims=claims,
        repeated=last_said(
            storage, attribution, [*statement.values(), *(one for line in slots.values() for one in line)]
        ),
        close=_close(embedder, statements),
    )


def _sharing(storage: Storage, attribution: Attribution, new: NewFact) -> list[str]:
    said = set(terms(new.fact.text))
    if not said:
        return []
    found = storage.search(attribution, list(dict.fromkeys(terms(new.fact.text))), limit=_LOOKED_AT)
    return [fact_id for fact_id, text in found if len(said.intersection(text.split())) >= _SHARED * len(said)]


def _naming(storage: Storage, attribution: Attribution, end: Ending) -> list[str]:
    """The facts that say what an ending is about."""
    words = terms(end.about or end.slot.rpartition("|")[2])
    found = storage.search(attribution, list(dict.fromkeys(words)), limit=_LOOKED_AT) if words else []
    return [fact_id for fact_id, text in found if set(words) & set(text.split())]


def last_said(storage: Storage, attribution: Attribution, facts: Sequence[Fact]) -> dict[str, datetime]:
    """When facts that were said more than once were said last, by their ids."""
    often = [fact.id for fact in facts if fact.mentions > 1]
    try:
        mentions = storage.mentions(attribution, facts=often) if often else []
    except UnsupportedError:
        return {}
    latest: dict[str, datetime] = {}
    for one in mentions:
        if one.said_at is not None:
            latest[one.fact_id] = max(one.said_at, latest.get(one.fact_id, one.said_at))
    return latest


def _close(embedder: Embedder, statements: Sequence[NewFact]) -> Callable[[Fact, Fact], bool]:
    """Whether the vectors of two facts agree. Texts said alike are few, so that known ones are embedded again."""
    vectors: dict[str, NDArray[np.float32] | None] = {
        new.fact.id: None if new.vectors is None else new.vectors[0] for new in statements
    }

    def vector(fact: Fact) -> NDArray[np.float32] | None:
        if fact.id not in vectors:
            try:
                vectors[fact.id] = embed_texts(embedder, [voiced(fact)])[0]
            except EmbeddingError as error:
                telemetry.failure(logger, "comparing two facts (both are kept)", error)
                vectors[fact.id] = None
        return vectors[fact.id]

    def close(some: Fact, other: Fact) -> bool:
        one, two = vector(some), vector(other)
        return one is not None and two is not None and float(np.dot(one, two)) >= _CLOSE

    return close
