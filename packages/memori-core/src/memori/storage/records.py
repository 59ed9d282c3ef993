"""The values that a storage takes and gives: turns, jobs, changes of facts, what an index is fed with, items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..embedding.base import Space
from ..model import (
    Attribution,
    Fact,
    FactStatus,
    Item,
    Kind,
    Message,
    SourceClass,
    StoredMessage,
    Tier,
    Triple,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Migrate = Literal["auto", "check", "off"]


class Codec(Protocol):
    """What text passes through on its way to and from the database. The default changes nothing."""

    def encode(self, text: str) -> str:
        """Return what is stored."""

    def decode(self, stored: str) -> str:
        """Return the text."""

    def fingerprint(self, folded: str) -> str:
        """Return a fixed-length token that is equal for equal text and reveals nothing an attacker may not see."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages to append. The first `resent` of them may have been stored before; the rest are new for certain.

    `conversation_id` forces a conversation; `augment=False` stores without a job. `join_recent`: where no session is
    named and nothing was resent, go on in the last one rather than begin a new one.
    """

    messages: tuple[Message, ...]
    resent: int
    now: datetime
    conversation_id: str | None = None
    augment: bool = True
    join_recent: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A leased job. `token` proves the lease; `attribution` carries the session the messages are in.

    `unreadable`: why its messages could not be read, where a codec cannot decode them; there are none then.
    """

    id: str
    token: str
    attempt: int
    attribution: Attribution
    messages: tuple[StoredMessage, ...]
    context: tuple[StoredMessage, ...]
    unreadable: Exception | None = None


@dataclass(frozen=True, slots=True)
class EntityState:
    """What caches are keyed by. Both change with the facts; `generation` on every hard delete.

    `space` is the entity's active one: that of its first vectors, until `activate` changes it. No cache is keyed by it.
    """

    revision: int = 0
    generation: str = ""
    space: Space | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to add. `fact.id` is chosen by the caller and derived from the job, so that a retry repeats nothing.

    `search_text` is normalised; `fingerprint` is the codec's; `vectors` has shape (passages, dimension) or is None
    when the embedder failed; `window` names the facts whose text went into the vector.
    """

    fact: Fact
    search_text: str
    fingerprint: str
    vectors: NDArray[np.float32] | None = None
    window: tuple[str, ...] = ()
    triples: tuple[Triple, ...] = ()


@dataclass(frozen=True, slots=True)
class Retirement:
    """A fact to take out of the active set: superseded by another, forgotten, or quarantined.

    The text of a forgotten or quarantined one is in the vectors of those that name it in their window: these vectors
    go in the same transaction, and their facts are `unembedded` until they are embedded again.
    """

    fact_id: str
    status: FactStatus
    superseded_by: str | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """The tier of a fact, and when its place in it ends. Ids the entity hasn't got are passed over."""

    fact_id: str
    tier: Tier
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Restoration:
    """A fact to make active again: a quarantined one that was approved, or one whose successor was taken back.

    `valid_to` is what it has from now on.
    """

    fact_id: str
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewAttribute:
    """Something learnt about the attribution's process. The same fingerprint again counts as another mention."""

    text: str
    fingerprint: str
    message_key: str
    source: SourceClass
    extractor: str


@dataclass(frozen=True, slots=True)
class FactChanges:
    """What becomes of an entity's facts, in one transaction. `mentions` pairs fact ids with message keys.

    `space` is where the vectors live. It becomes the entity's active space only where there is none yet.

    The rest is asked only of a storage with provenance. `restore` makes facts active; `unsaid` takes mentions back;
    `summary` pairs a message key with what its conversation is about; `attributes` are learnt about the process;
    `unlearnt` names messages whose attributes go.
    """

    add: tuple[NewFact, ...] = ()
    retire: tuple[Retirement, ...] = ()
    mentions: tuple[tuple[str, str | None], ...] = ()
    space: Space | None = None
    place: tuple[Placement, ...] = ()
    restore: tuple[Restoration, ...] = ()
    unsaid: tuple[tuple[str, str], ...] = ()
    summary: tuple[str, str] | None = None
    attributes: tuple[NewAttribute, ...] = ()
    unlearnt: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        facts = self.add or self.retire or self.mentions or self.restore or self.unsaid or self.place
        return bool(facts or self.summary or self.attributes or self.unlearnt)


@dataclass(frozen=True, slots=True)
class Mention:
    """A message that said a fact. `said_at` is None when the message is gone."""

    fact_id: str
    message_key: str
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What an index needs of a fact. `text` is the normalised search text; `vectors` is None in another space.

    `nodes` names what the fact's triples are about, subjects and objects, each once, sorted.
    """

    fact_id: str
    text: str
    kind: Kind
    status: FactStatus
    speaker: str | None
    session_id: str | None
    position: int | None
    said_at: datetime | None
    valid_from: datetime | None
    valid_to: datetime | None
    vectors: NDArray[np.float32] | None
    importance: float = 0.5
    mentions: int = 1
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Every fact changed after a revision, retired ones too, and the state the rows bring a cache to."""

    state: EntityState
    rows: Sequence[IndexRow]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What words weigh among an entity's active and superseded facts, and who speaks in them.

    `documents` is their number, `mean_length` how many words one has, `frequencies` in how many each word stands: one
    that is missing there stands in few or none. `speakers` are casefolded. All that as of a revision of a generation.
    """

    documents: int
    mean_length: float
    frequencies: Mapping[str, int]
    speakers: frozenset[str] = frozenset()
    revision: int = 0
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A fact without a vector in a space. `before`: the active episodes said before it in its session, oldest first."""

    fact: Fact
    before: tuple[Fact, ...] = ()

    def holds(self, now: Mapping[str, Fact]) -> bool:
        """Whether the entity's facts by id, as they are now, still are what this says: same texts, nothing retired."""
        fact = now.get(self.fact.id)
        return (
            fact is not None
            and fact.status in ("active", "superseded")
            and fact.text == self.fact.text
            and all(one.id in now and now[one.id].status == "active" for one in self.before)
            and all(now[one.id].text == one.text for one in self.before)
        )


@dataclass(frozen=True, slots=True)
class FactVectors:
    """Vectors of a fact, shape (passages, dimension), and whose texts went into them."""

    of: Unembedded
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How a storage is opened. `busy_timeout` is in seconds; `conversation_gap` ends a conversation."""

    migrate: Migrate = "auto"
    codec: Codec | None = None
    busy_timeout: float = 20.0
    conversation_gap: float = 30 * 60
    pool_size: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """Put a value under a key, or delete it (`value` None). `ttl` in seconds; None never expires.

    `vectors`, shape (fields, dimension), belong to `space` and are given back by `search_items`.
    """

    namespace: tuple[str, ...]
    key: str
    value: Mapping[str, Any] | None
    ttl: float | None = None
    vectors: NDArray[np.float32] | None = None
    space: Space | None = None


Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison with the value found under a path of keys: Condition(("meta", "age"), "gte", 18).

    Numbers compare with numbers and strings with strings; a missing path satisfies only "ne".
    """

    path: tuple[str, ...]
    operator: Operator
    operand: Any


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an item must be for a write to take place: there and meeting `condition`, or (None) not there."""

    namespace: tuple[str, ...]
    key: str
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item with its vectors in the space that was asked for."""

    item: Item
    vectors: NDArray[np.float32] | None = None
