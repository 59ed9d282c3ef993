"""Find among an entity's facts those that new statements put an end to."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ... import telemetry
from ...embedding.base import Embedder
from ...embedding.vectors import embed_texts, learnt_space
from ...errors import EmbeddingError, UnsupportedError
from ...model import Attribution, Fact, Kind
from ...storage.base import Storage
from ...storage.records import NewFact
from ..embedding import voiced
from .choice import Known, ended_by, may_end_something
from .topics import topics

logger = logging.getLogger("memori.augmentation")
_COMPARED = 200
"""Statements compared with a new one: the newest, and those that share words with it."""
_LASTING: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "episode")


def partings(
    storage: Storage, embedder: Embedder, attribution: Attribution, new: Sequence[NewFact], alike: Collection[Fact]
) -> dict[str, list[Fact]]:
    """Return the facts that new ones end, by the ids of the new ones; none where the embedder only compares words.

    `alike`: facts that share words with the new ones.
    """
    usable = [one for one in new if one.fact.source == "user_input" and one.vectors is not None]
    ending = {one.fact.id for one in usable if one.fact.status == "active" and may_end_something(one.fact)}
    if not embedder.semantic or not ending:
        return {}
    try:
        return _partings(storage, embedder, attribution, usable, ending, alike)
    except EmbeddingError as error:
        telemetry.failure(logger, "looking for what is over (all is kept)", error)
        return {}


def _partings(
    storage: Storage,
    embedder: Embedder,
    attribution: Attribution,
    new: Sequence[NewFact],
    ending: Collection[str],
    alike: Collection[Fact],
) -> dict[str, list[Fact]]:
    facts = {one.id: one for one in storage.facts(attribution, kinds=_LASTING, limit=_COMPARED)}
    facts |= {one.id: one for one in alike}
    facts |= {one.fact.id: one.fact for one in new}
    vectors = {one.fact.id: one.vectors[0] for one in new if one.vectors is not None}
    vectors |= _vectors(storage, embedder, attribution, [one for one in facts.values() if one.id not in vectors])
    about = topics(embedder)
    usable = [one for one in facts.values() if one.id in vectors]
    everything = Known(usable, *about.place([vectors[one.id] for one in usable]))
    found = {}
    for place, fact in enumerate(usable):
        if fact.id in ending:
            before = [at for at, one in enumerate(usable) if one.speaker == fact.speaker and _earlier(one, fact)]
            known = Known([usable[at] for at in before], everything.told[before], everything.about[before])
            found[fact.id] = ended_by(everything[place], known, about)
    return {new_id: over for new_id, over in found.items() if over}


def _earlier(one: Fact, new: Fact) -> bool:
    if one.id == new.id or (one.message_key is not None and one.message_key == new.message_key):
        return False
    if one.said_at is None or new.said_at is None:
        return new.said_at is not None or one.created_at is not None
    return (one.said_at, one.position or 0) <= (new.said_at, new.position or 0)


def _vectors(
    storage: Storage, embedder: Embedder, attribution: Attribution, facts: Sequence[Fact]
) -> Mapping[str, NDArray[np.float32]]:
    """The vectors of known facts as they are stored; made again where the storage cannot tell or has none."""
    if not facts:
        return {}
    try:
        rows = storage.rows(attribution, learnt_space(embedder), [one.id for one in facts])
    except UnsupportedError:
        rows = []
    vectors = {row.fact_id: row.vectors[0] for row in rows if row.vectors is not None}
    missing = [one for one in facts if one.id not in vectors]
    made = embed_texts(embedder, [voiced(one) for one in missing])
    return vectors | {one.id: vector for one, vector in zip(missing, made, strict=True) if vector is not None}
