"""What the model must answer, as one Pydantic model, and what is made of it. Every id and index in it is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ....errors import ExtractionError
from ....model import Fact, Proposal, Triple
from ....text import storable
from ..base import Extraction, Turn
from .prompt import MOST_MEMORIES, readable

_LONGEST_FACT = 2000
_LONGEST_NAME = 200
_LONGEST_TYPE = 64

Kinds = Literal["fact", "preference", "skill", "rule", "event", "relationship", "attribute", "person"]


class _Part(BaseModel):
    # A strict mode wants every property required and no other allowed; what comes in is read leniently.
    model_config = ConfigDict(
        json_schema_extra={"additionalProperties": False}, json_schema_serialization_defaults_required=True
    )


class TripleAnswer(_Part):
    """A statement about one thing and another."""

    subject: str
    predicate: str
    object: str
    subject_type: str = ""
    object_type: str = ""


class FactAnswer(_Part):
    """A fact that a message states."""

    text: str
    kind: Kinds
    message: int
    single_valued: bool = False
    triples: list[TripleAnswer] = []
    valid_from: str | None = None
    valid_to: str | None = None
    importance: float = 0.5


class ChangedAnswer(FactAnswer):
    """A fact that takes the place of a memory."""

    replaces: int
    why: str = ""


class UnchangedAnswer(_Part):
    """A memory that a message says again."""

    id: int
    message: int


class AttributeAnswer(_Part):
    """Something that a message shows about the assistant."""

    text: str
    message: int


class Answer(_Part):
    """What the model found in a turn."""

    new: list[FactAnswer] = []
    changed: list[ChangedAnswer] = []
    unchanged: list[UnchangedAnswer] = []
    process_attributes: list[AttributeAnswer] = []
    summary: str = ""


class InvalidAnswerError(ExtractionError):
    """The model answered with something else than was asked for. The message holds nothing of what it said."""


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema of an answer."""
    made: dict[str, Any] = _without_defaults(Answer.model_json_schema(mode="serialization"))
    return made


def read(content: str | Mapping[str, Any]) -> Answer:
    """Check an answer. Raises `InvalidAnswerError` saying what is wrong, for the model to read."""
    try:
        data = json.loads(_bare(content)) if isinstance(content, str) else content
    except ValueError as error:
        raise InvalidAnswerError(f"it is no JSON ({error})") from None
    try:
        return Answer.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()[:5])
        raise InvalidAnswerError(f"it does not match the schema ({wrong[:500]})") from None


def extraction(answer: Answer, turn: Turn) -> tuple[Extraction, int]:
    """What is to be learnt, and how much of the answer was refused because it names what it was not shown."""
    memories = turn.memories[:MOST_MEMORIES]
    shown = {index for index, stored in enumerate(turn.messages) if readable(stored.message)}
    refused = 0
    proposals: list[Proposal] = []
    for one in (*answer.new, *answer.changed):
        replaced: tuple[Fact, ...] = ()
        if isinstance(one, ChangedAnswer):
            replaced = (memories[one.replaces],) if 0 <= one.replaces < len(memories) else ()
            refused += not replaced
        text = storable(one.text).strip()
        if one.message in shown and 0 < len(text) <= _LONGEST_FACT:
            proposals.append(_proposal(one, text, turn, replaced))
        else:
            refused += 1
    said = [(memories[one.id].id, one.message) for one in answer.unchanged if _named(one, len(memories), shown)]
    learnt = [(storable(one.text), one.message) for one in answer.process_attributes if one.message in shown]
    refused += len(answer.unchanged) - len(said) + len(answer.process_attributes) - len(learnt)
    summary = storable(answer.summary).strip() or None
    return Extraction(tuple(proposals), tuple(said), tuple(learnt), summary), refused


def _named(one: UnchangedAnswer, memories: int, shown: set[int]) -> bool:
    return 0 <= one.id < memories and one.message in shown


def _proposal(one: FactAnswer, text: str, turn: Turn, replaced: tuple[Fact, ...]) -> Proposal:
    message = turn.messages[one.message].message
    triples = tuple(triple for triple in map(_triple, one.triples) if triple is not None)
    began, ended = _moment(one.valid_from), _moment(one.valid_to)
    if began and ended and ended < began:
        ended = None
    slot = f"{triples[0].subject.casefold()}|{triples[0].predicate}" if one.single_valued and triples else None
    return Proposal(
        text,
        one.kind,
        one.message,
        triples=triples,
        valid_from=began,
        valid_to=ended,
        slot=slot,
        importance=min(max(one.importance, 0.0), 1.0) if one.importance == one.importance else 0.5,
        quarantine=one.kind in ("rule", "preference") and message.source_class != "user_input",
        replaces=tuple(fact.id for fact in replaced),
        reason=storable(one.why)[:_LONGEST_NAME] if isinstance(one, ChangedAnswer) else None,
    )


def _triple(one: TripleAnswer) -> Triple | None:
    names = [storable(name).strip()[:_LONGEST_NAME] for name in (one.subject, one.predicate, one.object)]
    types = [storable(kind).strip()[:_LONGEST_TYPE] for kind in (one.subject_type, one.object_type)]
    return Triple(*names, *types) if all(names) else None


def _moment(text: str | None) -> datetime | None:
    """The time of an ISO date; None for one that does not exist."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _bare(text: str) -> str:
    """JSON without the fence that many models put around it."""
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.partition("\n")[2].rpartition("```")[0]
    return bare


def _without_defaults(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_defaults(value) for key, value in node.items() if key not in ("default", "title")}
    return [_without_defaults(one) for one in node] if isinstance(node, list) else node
