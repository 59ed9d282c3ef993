"""Copy what a Memori 3 database holds into a Memori, once, however often it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from ..augmentation.embedding import embed
from ..embedding.vectors import learnt_space
from ..errors import InvalidAttributionError, RevisionConflictError
from ..keys import derived_key
from ..messages import ROLE_ALIASES
from ..model import ROLES, Attribution, Message, Proposal, Role, StoredMessage
from ..privacy.codec import PlainCodec
from ..storage.records import FactChanges, NewFact, Unembedded
from ..text import fold, terms
from .drafts import Draft, connect, draft, merge
from .source import Entity, Known, Mention, Said, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..client import Memori

T = TypeVar("T")
Advance = Callable[[int], None]

_BATCH = 200
_ROLES: dict[str, Role] = {**{role: role for role in ROLES}, **ROLE_ALIASES, "model": "assistant", "bot": "assistant"}


@dataclass(slots=True)
class Copied:
    """What became of an entity; `known_...` was there before.

    `jobs` maps those that make messages recallable to the number of messages in each. `skipped` counts what was not
    copied, by reason.
    """

    entity: str
    messages: int = 0
    known_messages: int = 0
    facts: int = 0
    known_facts: int = 0
    triples: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)


def copy_messages(source: Source, memori: Memori, entity: Entity, advance: Advance) -> Copied:
    """Record what was said, under ids made of its place there, so that doing it again stores nothing twice."""
    copied = Copied(entity.id)
    who = _who(memori, entity, copied)
    if who is None:
        return copied
    for (process, session, conversation), said in groupby(source.messages(entity), key=_conversation):
        place = _place(who, process, session)
        if place is None:
            copied.skipped["messages of sessions or processes whose id cannot be used"] += len(list(said))
            continue
        for batch in _batches(said):
            messages = [message for one in batch if (message := _message(one, copied.skipped)) is not None]
            if messages:
                receipt = memori.record(messages, attribution=place, conversation_id=conversation)
                copied.messages += receipt.stored
                copied.known_messages += receipt.repeated
                if receipt.job_id:
                    copied.jobs[receipt.job_id] = receipt.stored
            advance(len(batch))
    for job in memori.config.storage.open_jobs(who):  # those of a run that was interrupted, too
        copied.jobs.setdefault(job, 1)
    return copied


def copy_facts(source: Source, memori: Memori, entity: Entity, copied: Copied, advance: Advance) -> None:
    """Store facts with their dates, mentions and triples, embedded anew. Messages come first: facts point to them."""
    who = _who(memori, entity, copied)
    if who is None:
        return
    facts = [
        replace(fact, mentions=tuple(m for m in fact.mentions if _place(who, m.process_id, m.session_id)))
        for fact in source.facts(entity)
    ]
    said = _said(memori, who, facts)
    drafts = merge(draft(who, fact, said) for fact in facts if fact.text)
    copied.skipped["facts without a text"] += sum(not fact.text for fact in facts)
    for batch in _batches(connect(who, drafts, source.triples(entity))):
        _store(memori, who, batch, copied)
        advance(sum(len(one.rows) for one in batch))


def _who(memori: Memori, entity: Entity, copied: Copied) -> Attribution | None:
    try:
        return Attribution(entity.id, namespace=memori.namespace)
    except InvalidAttributionError as error:
        copied.skipped[f"entities whose id cannot be used: {error}"] = 1
        return None


def _place(who: Attribution, process_id: str | None, session_id: str) -> Attribution | None:
    try:
        return replace(who, process_id=process_id, session_id=session_id)
    except InvalidAttributionError:
        return None


def _conversation(said: Said) -> tuple[str | None, str, str]:
    return said.process_id, said.session_id, said.conversation_id


def _message(said: Said, skipped: Counter[str]) -> Message | None:
    role = _ROLES.get(said.role)
    if role is None:
        skipped[f"messages with the role {said.role!r}"] += 1
        return None
    return Message(role, said.text, id=_native_id(said.key), created_at=said.created_at)


def _native_id(key: str) -> str:
    return f"memori3-{derived_key(key)}"


def _said(memori: Memori, who: Attribution, facts: Iterable[Known]) -> dict[Mention, StoredMessage]:
    """The messages that facts point to, as they are stored here."""
    pointed = {
        (mention.process_id, mention.session_id, _native_id(mention.message)): mention
        for fact in facts
        for mention in fact.mentions
        if mention.message is not None
    }
    found = {}
    for process, session in {(process, session) for process, session, _ in pointed}:
        place = replace(who, process_id=process, session_id=session)
        for stored in memori.config.storage.messages(place):
            mention = pointed.get((process, session, stored.message.id or ""))
            if mention is not None:
                found[mention] = stored
    return found


def _store(memori: Memori, who: Attribution, drafts: list[Draft], copied: Copied) -> None:
    """Add what is not there yet. What was forgotten, superseded or vetoed here stays so."""
    fresh = _unknown(memori, who, drafts)
    copied.known_facts += len(drafts) - len(fresh)
    allowed = [judged for one in fresh if (judged := _judged(memori, who, one)) is not None]
    copied.skipped["facts that a plugin vetoed"] += len(fresh) - len(allowed)
    for process in dict.fromkeys(one.process_id for one in allowed):
        added = _add(memori, replace(who, process_id=process), [one for one in allowed if one.process_id == process])
        copied.facts += len(added)
        copied.triples += sum(len(one.triples) for one in added)


def _unknown(memori: Memori, who: Attribution, drafts: list[Draft]) -> list[Draft]:
    """Those whose id is not stored, in whatever status, and whose words no active fact has."""
    storage = memori.config.storage
    stored = {fact.id for fact in storage.facts(who, ids=[one.fact.id for one in drafts], statuses=())}
    said = storage.facts_by_fingerprint(who, [_fingerprint(memori, one) for one in drafts])
    return [one for one in drafts if one.fact.id not in stored and _fingerprint(memori, one) not in said]


def _judged(memori: Memori, who: Attribution, one: Draft) -> Draft | None:
    """The draft as the plugins let it through: as it is, quarantined, or not at all."""
    proposal = Proposal(one.fact.text, one.fact.kind, 0, triples=one.triples)
    answers = set(memori.plugins.ask("memori_fact_proposed", failed="quarantine", fact=proposal, attribution=who))
    if "veto" in answers:
        return None
    return replace(one, fact=replace(one.fact, status="quarantined")) if "quarantine" in answers else one


def _add(memori: Memori, who: Attribution, drafts: list[Draft]) -> list[Draft]:
    """Embed and store; when the entity's facts move meanwhile, look again at what is there."""
    vectors = embed(memori.embedder, [Unembedded(one.fact) for one in drafts])
    vectors_of = {one.fact.id: some for one, some in zip(drafts, vectors, strict=True)}
    for attempt in Retrying(
        retry=retry_if_exception_type(RevisionConflictError),
        stop=stop_after_attempt(20),
        wait=wait_random(0, 0.05),
        reraise=True,
    ):
        with attempt:
            state = memori.config.storage.state(who)
            fresh = _unknown(memori, who, drafts)
            changes = FactChanges(
                add=tuple(_new_fact(memori, one, vectors_of[one.fact.id]) for one in fresh),
                mentions=tuple((one.fact.id, message) for one in fresh for message in one.messages[1:]),
                space=learnt_space(memori.embedder),
            )
            memori.config.storage.apply(who, changes, expected=state, now=datetime.now(UTC))
    memori.follow(who)
    return fresh


def _new_fact(memori: Memori, one: Draft, vectors: NDArray[np.float32] | None) -> NewFact:
    said_at = one.fact.said_at
    when = f"{said_at:%d %B %Y} " if said_at else ""
    # Each linked message counts as a mention when it is linked; the others were counted there.
    linked = max(0, len(one.messages) - 1)
    return NewFact(
        fact=replace(one.fact, mentions=max(1, one.fact.mentions - linked)),
        search_text=" ".join(terms(when + one.fact.text)),
        fingerprint=_fingerprint(memori, one),
        vectors=vectors,
        triples=one.triples,
    )


def _fingerprint(memori: Memori, one: Draft) -> str:
    return (memori.config.storage.options.codec or PlainCodec()).fingerprint(fold(one.fact.text))


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        yield batch
