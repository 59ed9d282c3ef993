"""The values that pass between Memori's parts. All are frozen; all times are aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from .errors import InvalidAttributionError

Role = Literal["system", "user", "assistant", "tool"]
Kind = Literal["fact", "preference", "skill", "rule", "event", "relationship", "attribute", "person", "episode"]
SourceClass = Literal["user_input", "assistant", "tool", "web", "system"]
FactStatus = Literal["active", "superseded", "quarantined", "forgotten"]
Tier = Literal["short", "long"]
JobState = Literal["pending", "running", "done", "dead"]

ROLES: tuple[Role, ...] = get_args(Role)
KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[FactStatus, ...] = get_args(FactStatus)
ACTIVE: tuple[FactStatus, ...] = ("active",)
QUARANTINED: tuple[FactStatus, ...] = ("quarantined",)
MAX_ID_LENGTH = 255
"""Longest entity, process, session, namespace or native message id, in characters."""


def check_id(value: object, what: str) -> str:
    """Return `value` if it can name an entity, process, session or namespace.

    Raises `InvalidAttributionError` for anything but a non-blank string of at most `MAX_ID_LENGTH`
    characters without NUL or lone surrogates, which some database would refuse or fold.
    """
    if not isinstance(value, str):
        raise InvalidAttributionError(
            f"{what} must be a string, got {type(value).__name__}. Pass str({what}) if that is what you mean."
        )
    if not value.strip():
        raise InvalidAttributionError(f"{what} is blank. Pass the id your application knows this {what[:-3]} by.")
    if len(value) > MAX_ID_LENGTH:
        raise InvalidAttributionError(
            f"{what} has {len(value)} characters; at most {MAX_ID_LENGTH} are stored. Pass a shorter or hashed id."
        )
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidAttributionError(f"{what} contains a NUL or a lone surrogate, which no database can store.")
    return value


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose memory a call is about.

    `entity_id`: the person (or thing) remembered. `process_id`: the agent that talks to it.
    `session_id`: one sitting; None lets Memori find it from the conversation itself. `namespace` separates
    applications that share a database; "" means that of the Memori object it is used with.
    Ids are opaque strings: "1" is never a row number. Raises `InvalidAttributionError`.
    """

    entity_id: str
    process_id: str | None = None
    session_id: str | None = None
    namespace: str = ""

    def __post_init__(self) -> None:
        check_id(self.entity_id, "entity_id")
        if self.namespace != "":
            check_id(self.namespace, "namespace")
        if self.process_id is not None:
            check_id(self.process_id, "process_id")
        if self.session_id is not None:
            check_id(self.session_id, "session_id")

    def with_session(self, session_id: str | None) -> Attribution:
        """Return the same entity and process in another session."""
        return replace(self, session_id=session_id)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asked for. `arguments` is JSON text, exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, independent of any provider or framework.

    `name`: the speaker, where several share a role. `created_at`: when it was said; None means now.
    `id`: the framework's own id, where it has one. `payload`: the native message as JSON-ready data,
    given back untouched. `source`: where the text came from; None means what the role implies.
    `partial`: the stream ended before the message did.
    """

    role: Role
    content: str
    name: str | None = None
    created_at: datetime | None = None
    id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    source: SourceClass | None = None
    payload: Mapping[str, Any] | None = None
    partial: bool = False

    @property
    def source_class(self) -> SourceClass:
        """Where the text came from: as stated, else as the role implies."""
        return self.source or _SOURCE_OF_ROLE[self.role]

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two messages without native ids the same one: role, exact content, tool ids."""
        return self.role, self.content, tuple(call.id for call in self.tool_calls), self.tool_call_id


_SOURCE_OF_ROLE: dict[Role, SourceClass] = {
    "system": "system",
    "user": "user_input",
    "assistant": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in the database, with its place: `position` counts up within the session from 0.

    An archived message is kept and listed on request, but no longer part of what an application shows a model.
    """

    key: str
    message: Message
    session_id: str
    conversation_id: str
    position: int
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of one session, oldest first. `version` changes with every write; 0 means there was none."""

    version: int
    messages: tuple[StoredMessage, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A JSON document an application keeps under a key of a namespace, apart from what is learnt."""

    namespace: tuple[str, ...]
    key: str
    value: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stretch of a session without a long pause."""

    id: str
    session_id: str
    started_at: datetime
    last_at: datetime
    message_count: int
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `record` did. `stored` counts new messages; `repeated` those that were there already."""

    session_id: str
    conversation_id: str | None
    stored: int
    repeated: int
    job_id: str | None


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What `reindex` did: into which space, how many entities it saw to, and how many facts it embedded."""

    space: str
    entities: int
    facts: int


@dataclass(frozen=True, slots=True)
class Consolidated:
    """What `consolidate` did: entities seen to, facts put into the short-term tier, taken out of it, and expired."""

    entities: int = 0
    promoted: int = 0
    demoted: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class Triple:
    """A statement as subject, predicate, object, with the type of each node (PERSON, ORG, ...)."""

    subject: str
    predicate: str
    object: str
    subject_type: str = ""
    object_type: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """A slot whose facts a statement ends: of them those that say `about` (a name or thing), "" for whichever holds.

    A `slot` that ends in "*" stands for all that begin so ("ada|*"), among the facts that share words with `about`, or
    with the slot's own where that is "". Events are not ended by it.
    """

    slot: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A fact an extractor proposes; resolve decides what becomes of it.

    `message`: index of the message it came from, in the list the extractor was given.
    `valid_from`: when it became true in the world, where the text says so.
    `slot`: what a single-valued fact is about ("ada|lives in"): a new value supersedes the old one.
    `value`: what the slot holds, in the statement's own words ("Oslo"): a fact that affirms it is not replaced.
    `ends`: slots that it closes, its own one included where it says no new value ("no longer works at Siemens").
    `speaker`: who said it or whom it is about, as a name; None means the message's own speaker.
    `replaces`: ids of facts of the entity, as the turn showed them, in whose place it comes; `reason` says why.
    """

    text: str
    kind: Kind
    message: int
    triples: tuple[Triple, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    slot: str | None = None
    speaker: str | None = None
    importance: float = 0.5
    quarantine: bool = False
    replaces: tuple[str, ...] = ()
    reason: str | None = None
    value: str | None = None
    ends: tuple[Ending, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known about an entity. `said_at`: when it was said; `created_at`: when it was stored.

    `valid_from` and `valid_to` bound when it held in the world; `retired_at` is when it left the active set.
    `importance` is 0..1. `slot` names what a single-valued fact is about; a new value supersedes the old.
    `tier`: consolidation keeps what stands out in "short"; `expires_at` is when its place there ends.
    """

    id: str
    text: str
    kind: Kind
    status: FactStatus = "active"
    speaker: str | None = None
    source: SourceClass = "user_input"
    said_at: datetime | None = None
    created_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    retired_at: datetime | None = None
    expires_at: datetime | None = None
    superseded_by: str | None = None
    slot: str | None = None
    importance: float = 0.5
    mentions: int = 1
    tier: Tier = "long"
    message_key: str | None = None
    session_id: str | None = None
    position: int | None = None
    extractor: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ProcessAttribute:
    """Something known about an agent from conversations with one entity: its task, its manners, what it was told."""

    id: str
    text: str
    mentions: int = 1
    created_at: datetime | None = None
    source: SourceClass | None = None
    message_key: str | None = None
    extractor: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that began or ceased to hold in the world between two times. `by` is what took its place."""

    what: Literal["began", "ended"]
    at: datetime
    fact: Fact
    by: Fact | None = None


@dataclass(frozen=True, slots=True)
class Reverted:
    """What `revert` did: to how many messages, which facts it retired and brought back, how many lost a mention."""

    messages: int
    retired: tuple[Fact, ...] = ()
    restored: tuple[Fact, ...] = ()
    mentions: int = 0


@dataclass(frozen=True, slots=True)
class Recalled:
    """A fact that answers a query. `score` is 0..1, higher is closer; `parts` names what it is made of.

    `reply_to`: in a context, the question that a short turn answers and is hard to understand without.
    """

    fact: Fact
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    reply_to: Fact | None = None

    @property
    def text(self) -> str:
        """The fact's text."""
        return self.fact.text

    @property
    def id(self) -> str:
        """The fact's id."""
        return self.fact.id


@dataclass(frozen=True, slots=True)
class Context:
    """The block to show a model. `text` is "" when nothing is relevant; `recalled` is what is in it, and why.

    `tokens` is an estimate (four characters each), never above the budget that was asked for.
    """

    text: str
    recalled: Sequence[Recalled] = ()
    tokens: int = 0
    degraded: str | None = None

    def __bool__(self) -> bool:
        return bool(self.text)


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """What each part of a memory's score is worth.

    `lexical` is the share of the words' score, the rest is the vector's. `speaker` is added to what the one person
    named in the query said, `window` to what belongs to the time the query names. `neighbour` is the share of each
    neighbouring turn's own score that is added, `linked` that of the best memory that shares a node of the graph.

    The last three multiply: `importance` by up to half of it up or down (0.5 changes nothing), `mentions` by its share
    of what an often repeated memory gains, `recency` by its share of what a memory of this moment gains, halved every
    `half_life` days.
    """

    lexical: float = 0.2
    speaker: float = 0.15
    neighbour: float = 0.15
    window: float = 0.1
    linked: float = 0.1
    importance: float = 0.32
    mentions: float = 0.05
    recency: float = 0.05
    half_life: float = 30.0


@dataclass(frozen=True, slots=True)
class RecallOptions:
    """How memories are found and shown. `timeout`: the most seconds that a model call waits for them, and for its turn
    to be stored.

    `inject`: the block goes into the last human message ("user", which keeps prompt caches) or into a system message.
    """

    limit: int = 5
    min_relevance: float = 0.15
    token_budget: int = 250
    timeout: float = 2.0
    inject: Literal["user", "system"] = "user"
    weights: RecallWeights = RecallWeights()


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job of the outbox as it stands. `attribution` names the session its messages are in, `first` to `last`.

    `attempts` counts the one under way. `due_at`: when a pending job is tried next. `leased_until`: when a running one
    is taken for abandoned unless its worker prolongs it. `error` is its last; a job that is done has one when something
    of it could not be kept.
    """

    id: str
    state: JobState
    attempts: int
    attribution: Attribution
    first: int
    last: int
    created_at: datetime
    due_at: datetime | None = None
    leased_until: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The outbox at one moment. `oldest_age` is in seconds, of the oldest job not yet final."""

    pending: int = 0
    running: int = 0
    done: int = 0
    dead: int = 0
    oldest_age: float | None = None
    last_error: str | None = None
