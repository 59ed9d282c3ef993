"""Turn leased jobs into facts: extract, embed, resolve, store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import telemetry
from ..embedding.base import Embedder
from ..embedding.vectors import known_space
from ..errors import EmbeddingError, ExtractionError, ModelIntegrityError, UnknownFactError
from ..model import Attribution, Fact, Proposal, Reverted
from ..plugins import Plugins
from ..storage.base import Storage
from ..storage.records import Codec, FactChanges, Job, NewFact, Retirement, Unembedded
from ..text import fold, terms
from .deadline import MOST_FACTS, Proposed, extract
from .drafts import Draft, episodes, statement, without
from .embedding import WINDOW, embed, embed_missing
from .extraction.base import Extraction, Extractor, Turn
from .known import look_up
from .learnt import joined, learnt
from .lease import Lease
from .proposals import problem
from .resolve import Claim, resolve
from .retry import give_back, unless_moved
from .trust import approval, messages_of, rejection, reversal
from .turns import turn_of, without_context
from .withdrawal import withdrawn

if TYPE_CHECKING:
    from ..storage.records import EntityState

logger = logging.getLogger("memori.augmentation")
_MOST_AROUND = 256
"""Facts embedded again at once; `reindex` does the rest."""


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
        alive = [without_context(job) for job in jobs if not self._buried(job, lease)]
        shown: dict[str, Turn] = {}
        for job in alive:
            try:
                shown[job.id] = turn_of(self._extractor, self._storage, job)
            except Exception as failure:  # noqa: BLE001 - what is known cannot be read: as bad as no answer
                self._end(job, failure, lease)
        asked = [job for job in alive if job.id in shown]
        for job, found in extract(self._extractor, asked, shown, lease, seconds=self._extraction_timeout):
            self._end(job, found, lease)

    def _end(self, job: Job, found: Proposed, lease: Lease) -> None:
        if not lease.holds(job):
            return
        try:
            error = found if isinstance(found, Exception) else None
            extraction = Extraction() if isinstance(found, Exception) else found
            self._finish(job, extraction, error)
        except Exception as failure:  # noqa: BLE001 - the worker's one boundary: the job is retried, or says why not
            give_back(self._storage, job, failure, max_attempts=self._max_attempts)
        lease.let_go(job)

    def remember(self, attribution: Attribution, fact: Fact, *, replaces: str | None = None) -> Fact:
        """Store a fact stated by hand, in the place of another if told so. Returns the fact that now says it.

        Words known already become a mention of it. Without a working embedder the fact is found by its words.
        """
        draft = Draft(fact, fact.text)
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
            if replaces is not None and not self._storage.facts(attribution, ids=[replaces]):
                raise UnknownFactError(f"The fact {replaces!r} was replaced or taken back meanwhile.")
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
        if fact.kind == "episode":
            self._embed_around(attribution)
        self._written(attribution)

    def expire(self, attribution: Attribution, facts: Sequence[Fact]) -> None:
        """Never find those facts again: what they were kept for is over."""
        changes = FactChanges(retire=tuple(Retirement(fact.id, "forgotten") for fact in facts))
        self._storage.apply(attribution, changes, expected=None, now=datetime.now(UTC))
        if said := sum(fact.kind == "episode" for fact in facts):
            self._embed_around(attribution, episodes=said)
        self._written(attribution)

    def approve(self, attribution: Attribution, fact: Fact) -> Fact:
        """Make a quarantined fact active, or what it then comes to; return it, or the fact that says the same."""
        draft = Draft(fact, fact.text)
        try:
            new = self._new_fact(draft, self._embed([draft])[0])
        except EmbeddingError as error:
            telemetry.failure(logger, "embedding a fact to compare it (approved as it is)", error)
            new = self._new_fact(draft, None)
        stated = replace(new, fact=replace(fact, status="active"))
        said_by = fact.id

        def decide() -> FactChanges:
            nonlocal said_by
            known = look_up(self._storage, self._embedder, attribution, [stated], {})
            changes, said_by = approval(self._storage, attribution, new, known)
            return changes

        self._change(attribution, decide)
        # Only what recall may find is embedded when the embedder changes.
        self._embed_around(attribution)
        return self._storage.facts(attribution, ids=[said_by], statuses=())[0]

    def reject(self, attribution: Attribution, fact_id: str) -> None:
        """Forget a quarantined fact."""
        self._change(attribution, lambda: rejection(self._storage, attribution, fact_id))

    def revert(self, attribution: Attribution, source: str) -> Reverted:
        """Take back what a source brought in."""
        keys = messages_of(self._storage, attribution, source)
        done = Reverted(len(keys))

        def decide() -> FactChanges:
            nonlocal done
            changes, done = reversal(self._storage, attribution, keys, lambda text: self._codec.fingerprint(fold(text)))
            return changes

        self._change(attribution, decide)
        self._embed_around(attribution, episodes=max(1, len(done.retired)))
        return done

    def _change(self, attribution: Attribution, decide: Callable[[], FactChanges]) -> FactChanges:
        """Decide on the facts as they are and apply; when they moved meanwhile, decide again."""
        for attempt in unless_moved():
            with attempt:
                state = self._storage.state(attribution)
                changes = decide()
                self._apply(attribution, changes, state)
                return changes
        raise AssertionError("unreachable: the last attempt raises")

    def _embed_around(self, attribution: Attribution, *, episodes: int = 1) -> None:
        """Embed again what lost its vector with so many episodes."""
        try:
            # Those that lost their vectors have just changed, so they come first.
            embed_missing(self._storage, self._embedder, attribution, limit=min(WINDOW * episodes, _MOST_AROUND))
        except Exception as error:  # noqa: BLE001 - an embedder of anybody's may raise anything; the fact is forgotten
            telemetry.failure(logger, "embedding what was said around a forgotten message (found by words)", error)

    def _drafts(self, job: Job, extraction: Extraction) -> tuple[list[Draft], str | None]:
        """What is to be stored, and what is wrong with the rest."""
        drafts = episodes(job)
        version = extraction.version or self._extractor.version
        problems = [extraction.problem] if extraction.problem else []
        for number, proposal in enumerate(extraction[:MOST_FACTS]):
            if said := problem(proposal, job):
                problems.append(said)
                telemetry.failure(logger, "proposal", ExtractionError(said))
                continue
            verdict = self._verdict(proposal, job.attribution)
            if verdict != "veto":
                drafts.append(statement(job, number, proposal, version, verdict == "quarantine"))
        if len(extraction) > MOST_FACTS:
            problems.append(f"the extractor proposed more than {MOST_FACTS} facts; the first of them were looked at")
        return drafts, "; ".join(dict.fromkeys(problems)) or None

    def _verdict(self, proposal: Proposal, attribution: Attribution) -> str | None:
        # A gatekeeper that fails lets nothing through unseen.
        answers = list(
            self._plugins.ask("memori_fact_proposed", failed="quarantine", fact=proposal, attribution=attribution)
        )
        return next((verdict for verdict in ("veto", "quarantine") if verdict in answers), None)

    def _finish(self, job: Job, extraction: Extraction, error: Exception | None) -> None:
        drafts, problems = self._drafts(job, extraction)
        gone = withdrawn(self._storage, job)
        drafts = self._not_yet_stored(job, without(drafts, gone))
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
        claims = {draft.fact.id: draft.claim for draft in drafts}
        version = extraction.version or self._extractor.version
        more = learnt(self._storage, self._codec, job, extraction, drafts, gone, version=version)

        def complete(changes: FactChanges, state: EntityState) -> tuple[Fact, ...]:
            return self._complete(job, joined(changes, more), state, problems)

        # Who was shown what is known has said what is over.
        told = extraction.version is None and getattr(self._extractor, "reads_memories", Extractor.reads_memories)
        added = self._settle(job.attribution, facts, complete, claims=claims, infer=not told)
        if more.retire:
            self._embed_around(job.attribution, episodes=len(more.retire))
        telemetry.count("augmented", len(added))
        self._plugins.tell("memori_augmented", facts=added, attribution=job.attribution)

    def _settle(
        self,
        attribution: Attribution,
        facts: list[NewFact],
        store: Callable[[FactChanges, EntityState], tuple[Fact, ...]],
        *,
        claims: Mapping[str, Claim] = MappingProxyType({}),
        infer: bool = False,
    ) -> tuple[Fact, ...]:
        """Resolve against the facts as they are now and store; when they moved meanwhile, resolve again.

        `infer`: as in `look_up`.
        """
        for attempt in unless_moved():
            with attempt:
                state = self._storage.state(attribution)
                # Nothing is forgotten between this look and the commit, which expects the state.
                unsaid = self._unsaid(attribution, {one for new in facts for one in new.window})
                facts = [replace(new, vectors=None) if unsaid & set(new.window) else new for new in facts]
                known = look_up(self._storage, self._embedder, attribution, facts, claims, infer=infer)
                return store(replace(resolve(facts, known), space=known_space(self._embedder)), state)
        raise AssertionError("unreachable: the last attempt raises")

    def _complete(self, job: Job, changes: FactChanges, state: EntityState, problem: str | None) -> tuple[Fact, ...]:
        added = self._storage.complete(job, changes, expected=state, now=datetime.now(UTC), problem=problem)
        self._written(job.attribution)
        return added

    def _apply(self, attribution: Attribution, changes: FactChanges, state: EntityState) -> tuple[Fact, ...]:
        self._storage.apply(attribution, changes, expected=state, now=datetime.now(UTC))
        self._written(attribution)
        return ()

    def _embed(self, drafts: Sequence[Draft]) -> list[NDArray[np.float32] | None]:
        return embed(self._embedder, [Unembedded(draft.fact, draft.before) for draft in drafts])

    def _new_fact(self, draft: Draft, vectors: NDArray[np.float32] | None) -> NewFact:
        return NewFact(
            fact=draft.fact,
            search_text=" ".join(terms(draft.lexical)),
            fingerprint=self._codec.fingerprint(fold(draft.fact.text)),
            vectors=vectors,
            window=tuple(one.id for one in draft.before),
            triples=draft.triples,
        )

    def _not_yet_stored(self, job: Job, drafts: list[Draft]) -> list[Draft]:
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

    def _buried(self, job: Job, lease: Lease) -> bool:
        """A job leased more often than it may be tried took its workers down with it: bury it.

        One whose messages cannot be read is given back.
        """
        if job.unreadable is not None:
            give_back(self._storage, job, job.unreadable, max_attempts=self._max_attempts)
            lease.let_go(job)
            return True
        if job.attempt <= self._max_attempts:
            return False
        error = f"given up after {self._max_attempts} attempts; the last worker never reported back"
        self._storage.fail(job, error, retry_at=None, now=datetime.now(UTC))
        return True
