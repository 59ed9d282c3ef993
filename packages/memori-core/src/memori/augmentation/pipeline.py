"""Turn leased jobs into facts: extract, embed, resolve, store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from .. import telemetry
from ..embedding.base import Embedder
from ..embedding.vectors import known_space
from ..errors import EmbeddingError, ExtractionError, ModelIntegrityError, RevisionConflictError
from ..keys import derived_key
from ..model import Attribution, Fact, Proposal, StoredMessage
from ..plugins import Plugins
from ..storage.base import Codec, FactChanges, Job, NewFact, Retirement, Storage, Unembedded
from ..text import asks, fold, terms
from .deadline import MOST_FACTS, extract
from .embedding import WINDOW, embed, embed_missing, voiced
from .extraction.base import Extractor
from .lease import Lease
from .proposals import problem, sound_triples
from .resolve import Known, resolve
from .retry import give_back

if TYPE_CHECKING:
    from ..storage.base import EntityState

logger = logging.getLogger("memori.augmentation")
_QUESTION = 0.25
"""The importance of a turn that asks: it seldom answers another question."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A fact before it is embedded: `lexical` are its words to find, `before` the episodes embedded with it."""

    fact: Fact
    lexical: str
    before: tuple[Fact, ...] = ()
    triples: tuple[Any, ...] = ()


class Pipeline:
    """The write side of one Memori object. Called by the worker, never by the host's threads."""

    def __init__(
        self,
        storage: Storage,
        embedder: Embedder,
        extractor: Extractor,
        plugins: Plugins,
        codec: Codec,
        *,
        max_attempts: int,
        extraction_timeout: float,
        written: Callable[[Attribution], None] = lambda _: None,
    ) -> None:
        """`written` is called after each write of an entity's facts; it does not raise.

        An extractor that takes longer than `extraction_timeout` seconds is given up.
        """
        self._storage = storage
        self._embedder = embedder
        self._extractor = extractor
        self._plugins = plugins
        self._codec = codec
        self._max_attempts = max_attempts
        self._extraction_timeout = extraction_timeout
        self._written = written

    @property
    def batch(self) -> int:
        """So many jobs the extractor is best given at once."""
        return max(1, getattr(self._extractor, "batch", Extractor.batch))

    def process(self, jobs: Sequence[Job], lease: Lease) -> None:
        """Bring each job to its end, or give it back. A job that fails costs the others nothing."""
        alive = [job for job in jobs if not self._buried(job)]
        for job, proposed in extract(self._extractor, alive, lease, seconds=self._extraction_timeout):
            if not lease.holds(job):
                continue
            try:
                error = proposed if isinstance(proposed, Exception) else None
                drafts, problem = self._drafts(job, [] if isinstance(proposed, Exception) else proposed)
                self._finish(job, drafts, error, problem)
            except Exception as failure:  # noqa: BLE001 - the worker's one boundary: the job is retried, or says why not
                give_back(self._storage, job, failure, max_attempts=self._max_attempts)
            lease.let_go(job)

    def remember(self, attribution: Attribution, fact: Fact, *, replaces: str | None = None) -> Fact:
        """Store a fact stated by hand, in the place of another if told so. Returns the fact that now says it.

        Words known already become a mention of it. Without a working embedder the fact is found by its words.
        """
        draft = _Draft(fact, fact.text)
        try:
            vectors = self._embed([draft])[0]
        except EmbeddingError as error:
            telemetry.failure(logger, "embedding a fact (stored without a vector)", error)
            vectors = None
        new = self._new_fact(draft, vectors)
        said_by = fact.id

        def store(changes: FactChanges, state: EntityState) -> tuple[Fact, ...]:
            nonlocal said_by
            said_by = fact.id if changes.add else changes.mentions[0][0]
            if replaces is not None and said_by != replaces:
                old = Retirement(replaces, "superseded", said_by, fact.valid_from or fact.said_at)
                changes = replace(changes, retire=(*changes.retire, old))
            return self._apply(attribution, changes, state)

        self._settle(attribution, [new], store)
        return self._storage.facts(attribution, ids=[said_by], statuses=())[0]

    def forget(self, attribution: Attribution, fact: Fact) -> None:
        """Never find a fact again. What was said around an episode is embedded again without it.

        Without a working embedder those are found by their words, until `reindex`.
        """
        changes = FactChanges(retire=(Retirement(fact.id, "forgotten"),))
        self._storage.apply(attribution, changes, expected=None, now=datetime.now(UTC))
        self._embed_again(attribution, [fact])
        self._written(attribution)

    def expire(self, attribution: Attribution, facts: Sequence[Fact]) -> None:
        """Never find those facts again: what they were kept for is over."""
        changes = FactChanges(retire=tuple(Retirement(fact.id, "forgotten") for fact in facts))
        self._storage.apply(attribution, changes, expected=None, now=datetime.now(UTC))
        self._embed_again(attribution, facts)
        self._written(attribution)

    def _embed_again(self, attribution: Attribution, unsaid: Sequence[Fact]) -> None:
        episodes = sum(fact.kind == "episode" for fact in unsaid)
        if not episodes:
            return
        try:
            # Those that lost their vectors have just changed, so they come first.
            embed_missing(self._storage, self._embedder, attribution, limit=episodes * WINDOW)
        except Exception as error:  # noqa: BLE001 - an embedder of anybody's may raise anything; the fact is forgotten
            telemetry.failure(logger, "embedding what was said around a forgotten message (found by words)", error)

    def _drafts(self, job: Job, proposals: Sequence[Proposal]) -> tuple[list[_Draft], str | None]:
        """What is to be stored, and what is wrong with the rest."""
        drafts = _episodes(job)
        problems = []
        for number, proposal in enumerate(proposals[:MOST_FACTS]):
            if said := problem(proposal, job):
                problems.append(said)
                continue
            verdict = self._verdict(proposal, job.attribution)
            if verdict != "veto":
                drafts.append(_statement(job, number, proposal, self._extractor.version, verdict == "quarantine"))
        if len(proposals) > MOST_FACTS:
            problems.append(f"the extractor proposed more than {MOST_FACTS} facts; the first of them were looked at")
        for said in problems:
            telemetry.failure(logger, "proposal", ExtractionError(said))
        return drafts, "; ".join(dict.fromkeys(problems)) or None

    def _verdict(self, proposal: Proposal, attribution: Attribution) -> str | None:
        # A gatekeeper that fails lets nothing through unseen.
        answers = list(
            self._plugins.ask("memori_fact_proposed", failed="quarantine", fact=proposal, attribution=attribution)
        )
        return next((verdict for verdict in ("veto", "quarantine") if verdict in answers), None)

    def _finish(self, job: Job, drafts: list[_Draft], error: Exception | None, problem: str | None) -> None:
        drafts = self._not_yet_stored(job, drafts)
        try:
            vectors = self._embed(drafts)
        except EmbeddingError as failure:
            if job.attempt < self._max_attempts and not isinstance(failure, ModelIntegrityError):
                raise
            telemetry.failure(logger, "embedding facts (stored without vectors)", failure)
            vectors = [None] * len(drafts)
        facts = [self._new_fact(draft, vector) for draft, vector in zip(drafts, vectors, strict=True)]
        if error is not None:
            # What was said verbatim is worth keeping now, whatever becomes of the extraction.
            self._settle(job.attribution, facts, lambda changes, state: self._apply(job.attribution, changes, state))
            raise error
        added = self._settle(
            job.attribution, facts, lambda changes, state: self._complete(job, changes, state, problem)
        )
        telemetry.count("augmented", len(added))
        self._plugins.tell("memori_augmented", facts=added, attribution=job.attribution)

    def _settle(
        self,
        attribution: Attribution,
        facts: list[NewFact],
        store: Callable[[FactChanges, EntityState], tuple[Fact, ...]],
    ) -> tuple[Fact, ...]:
        """Resolve against the facts as they are now and store; when they moved meanwhile, resolve again."""
        for attempt in Retrying(
            retry=retry_if_exception_type(RevisionConflictError),
            stop=stop_after_attempt(20),
            wait=wait_random(0, 0.05),
            reraise=True,
        ):
            with attempt:
                state = self._storage.state(attribution)
                # Nothing is forgotten between this look and the commit, which expects the state.
                unsaid = self._unsaid(attribution, {one for new in facts for one in new.window})
                facts = [replace(new, vectors=None) if unsaid & set(new.window) else new for new in facts]
                changes = replace(resolve(facts, self._known(attribution, facts)), space=known_space(self._embedder))
                return store(changes, state)
        raise AssertionError("unreachable: the last attempt raises")

    def _known(self, attribution: Attribution, facts: list[NewFact]) -> Known:
        fingerprints = {new.fingerprint for new in facts if new.fact.kind != "episode"}
        slots = {new.fact.slot for new in facts if new.fact.slot}
        found = self._storage.facts_by_fingerprint(attribution, fingerprints) if fingerprints else {}
        current = self._storage.facts(attribution, slots=slots) if slots else []
        return Known(found, {fact.slot: fact for fact in current if fact.slot})

    def _complete(self, job: Job, changes: FactChanges, state: EntityState, problem: str | None) -> tuple[Fact, ...]:
        added = self._storage.complete(job, changes, expected=state, now=datetime.now(UTC), problem=problem)
        self._written(job.attribution)
        return added

    def _apply(self, attribution: Attribution, changes: FactChanges, state: EntityState) -> tuple[Fact, ...]:
        self._storage.apply(attribution, changes, expected=state, now=datetime.now(UTC))
        self._written(attribution)
        return ()

    def _embed(self, drafts: Sequence[_Draft]) -> list[NDArray[np.float32] | None]:
        return embed(self._embedder, [Unembedded(draft.fact, draft.before) for draft in drafts])

    def _new_fact(self, draft: _Draft, vectors: NDArray[np.float32] | None) -> NewFact:
        return NewFact(
            fact=draft.fact,
            search_text=" ".join(terms(draft.lexical)),
            fingerprint=self._codec.fingerprint(fold(draft.fact.text)),
            vectors=vectors,
            window=tuple(one.id for one in draft.before),
            triples=draft.triples,
        )

    def _not_yet_stored(self, job: Job, drafts: list[_Draft]) -> list[_Draft]:
        stored = {
            fact.id for fact in self._storage.facts(job.attribution, ids=[d.fact.id for d in drafts], statuses=())
        }
        unsaid = self._unsaid(job.attribution, {one.id for draft in drafts for one in draft.before})
        return [
            replace(draft, before=tuple(one for one in draft.before if one.id not in unsaid))
            for draft in drafts
            if draft.fact.id not in stored
        ]

    def _unsaid(self, attribution: Attribution, episodes: set[str]) -> set[str]:
        """Which of the episodes were forgotten: their text goes into no vector any more."""
        if not episodes:
            return set()
        gone = self._storage.facts(attribution, ids=episodes, statuses=("forgotten", "quarantined"))
        return {fact.id for fact in gone}

    def _buried(self, job: Job) -> bool:
        """A job leased more often than it may be tried took its workers down with it: bury it."""
        if job.attempt <= self._max_attempts:
            return False
        error = f"given up after {self._max_attempts} attempts; the last worker never reported back"
        self._storage.fail(job, error, retry_at=None, now=datetime.now(UTC))
        return True


def _episodes(job: Job) -> list[_Draft]:
    """What was said, verbatim, by people and assistants; never what a tool returned or a system prompt ordered."""
    spoken = [m for m in (*job.context, *job.messages) if m.message.role in ("user", "assistant") and _said(m)]
    facts = [_episode(stored) for stored in spoken]
    drafts = []
    for place, (stored, fact) in enumerate(zip(spoken, facts, strict=True)):
        if stored.position < job.messages[0].position:
            continue
        when = f"{fact.said_at:%d %B %Y} " if fact.said_at else ""
        drafts.append(_Draft(fact, when + voiced(fact), tuple(facts[max(0, place - WINDOW) : place])))
    return drafts


def _episode(stored: StoredMessage) -> Fact:
    message = stored.message
    return Fact(
        id=derived_key("episode", stored.key),
        text=message.content,
        kind="episode",
        speaker=message.name,
        source=message.source_class,
        said_at=message.created_at,
        session_id=stored.session_id,
        position=stored.position,
        message_key=stored.key,
        importance=_QUESTION if asks(message.content) else 0.5,
        extractor="episode/1",
    )


def _said(stored: StoredMessage) -> bool:
    return any(char.isalnum() for char in stored.message.content)


def _statement(job: Job, number: int, proposal: Proposal, version: str, quarantine: bool) -> _Draft:
    stored = job.messages[proposal.message]
    fact = Fact(
        # The same at every attempt, and in the order of the proposals.
        id=f"{derived_key('fact', job.id)[:28]}{number:04x}",
        text=proposal.text.strip(),
        kind=proposal.kind,
        status="quarantined" if quarantine or proposal.quarantine else "active",
        speaker=proposal.speaker or stored.message.name,
        source=stored.message.source_class,
        said_at=stored.message.created_at,
        valid_from=proposal.valid_from,
        valid_to=proposal.valid_to,
        slot=proposal.slot,
        importance=min(max(proposal.importance, 0.0), 1.0),
        session_id=stored.session_id,
        position=stored.position,
        message_key=stored.key,
        extractor=version,
    )
    when = f"{stored.message.created_at:%d %B %Y} " if stored.message.created_at else ""
    return _Draft(fact, when + fact.text, triples=sound_triples(proposal))
