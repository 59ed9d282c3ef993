"""What is wrong with a proposal. An extractor is anybody's code: nothing of it is stored unseen."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from ..model import KINDS, Ending, Proposal, Triple
from ..storage.records import Job

_LONGEST_FACT = 2000
_LONGEST_NAME = 255
_LONGEST_TYPE = 64
_MOST_TRIPLES = 50
_MOST_ENDINGS = 20


def problem(proposal: object, job: Job) -> str | None:
    """Why a proposal is not kept; None when it is sound."""
    if not isinstance(proposal, Proposal):
        return f"the extractor proposed a {type(proposal).__name__}, no Proposal"
    if not isinstance(proposal.kind, str) or proposal.kind not in KINDS or proposal.kind == "episode":
        return f"the extractor proposed the kind {proposal.kind!r:.40}; kinds are {', '.join(KINDS[:-1])}"
    if not isinstance(proposal.message, int) or not 0 <= proposal.message < len(job.messages):
        return f"the extractor names message {proposal.message!r:.40} of {len(job.messages)}"
    if not isinstance(proposal.text, str) or not proposal.text.strip() or len(proposal.text) > _LONGEST_FACT:
        return f"the extractor proposed a text of {_size(proposal.text)}; 1 to {_LONGEST_FACT} characters are kept"
    if not isinstance(proposal.importance, int | float) or not isfinite(proposal.importance):
        return f"the extractor proposed the importance {proposal.importance!r:.40}; it is a number from 0 to 1"
    for what, name, most in (("slot", proposal.slot, _LONGEST_NAME), ("speaker", proposal.speaker, _LONGEST_FACT)):
        if name is not None and not _is_name(name, most):
            return f"the extractor proposed a {what} of {_size(name)}; 1 to {most} characters are kept"
    if proposal.value is not None and not _is_name(proposal.value, _LONGEST_FACT):
        return f"the extractor proposed a value of {_size(proposal.value)}; 1 to {_LONGEST_FACT} characters are kept"
    for moment in (proposal.valid_from, proposal.valid_to):
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            return f"the extractor proposed the time {moment!r:.40}; a time has a zone"
    return None


def sound_triples(proposal: Proposal) -> tuple[Triple, ...]:
    """Those of its triples that can be stored. A fact is kept without the others."""
    if not isinstance(proposal.triples, tuple | list):
        return ()
    return tuple(triple for triple in proposal.triples[:_MOST_TRIPLES] if isinstance(triple, Triple) and _sound(triple))


def sound_endings(proposal: Proposal) -> tuple[Ending, ...]:
    """Those of its endings that can be looked up."""
    if not isinstance(proposal.ends, tuple | list):
        return ()
    return tuple(
        end
        for end in proposal.ends[:_MOST_ENDINGS]
        if isinstance(end, Ending) and _is_name(end.slot, _LONGEST_NAME) and isinstance(end.about, str)
    )


def _sound(triple: Triple) -> bool:
    names = (triple.subject, triple.predicate, triple.object)
    types = (triple.subject_type, triple.object_type)
    return all(_is_name(name, _LONGEST_FACT) for name in names) and all(
        isinstance(kind, str) and len(kind) <= _LONGEST_TYPE for kind in types
    )


def _size(value: object) -> str:
    # What was said is not repeated: errors are stored and logged in the clear.
    return f"{len(value)} characters" if isinstance(value, str) else f"the type {type(value).__name__}"


def _is_name(value: object, most: int) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= most
