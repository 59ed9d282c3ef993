"""Turn leased jobs into facts: extract, embed, resolve, store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from .. import telemetry
from ..embedding.base import Embedder
from ..embedding.vectors import known_space
from ..errors import EmbeddingError, ExtractionError, ModelIntegrityError, RevisionConflictError
from ..keys import derived_key
from ..model import KINDS, Attribution, Fact, Proposal, Reverted, StoredMessage
from ..plugins import Plugins
from ..storage.base import Codec, FactChanges, Job, NewAttribute, NewFact, Retirement, Storage, Unembedded
from ..text import asks, fold, terms
from .embedding import WINDOW, embed, embed_missing, voiced
from .extraction.base import Extraction, Extractor
from .known import look_up
from .resolve import resolve
from .retry import give_back
from .trust import approval, messages_of, rejection, reversal
from .turns import turns, without_context
from .withdrawal import Withdrawn, withdrawn

if TYPE_CHECKING:
    from ..storage.base import EntityState

logger = logging.getLogger("memori.augmentation")
_LONGEST_FACT = 2000
_LONGEST_SUMMARY = 2000
_MOST_FACTS = 200
_QUESTION = 0.25
"""The importance of a turn that asks: it seldom answers another question."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A fact before it is embedded: `lexical` are its words to find, `before` the episodes embedded with it."""

    fact: Fact
    lexical: str
    before: tuple[Fact, ...] = ()
    triples: tuple[Any, ...] = ()
    replaces: tuple[str, ...] = ()


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
        written: Callable[[Attribution], None] = lambda _: None,
    ) -> None:
        """`written` is called after each write of an entity's facts; it does not raise."""
        self._storage = storage
        self._embedder = embedder
        self._extractor = extractor
        self._plugins = plugins
        self._codec = codec
        self._max_attempts = max_attempts
        self._written = written

    def process(self, jobs: Sequence[Job]) -> None:
        """Bring each job to its end, or give it back. A job that fails costs the others nothing."""
        alive = [without_context(job) for job in jobs if not self._buried(job)]
        for job, found in zip(alive, self._extract(alive), strict=True):
            try:
                error = found if isinstance(found, Exception) else None
                extraction = Extraction() if isinstance(found, Exception) else Extraction.of(found)
                self._finish(job, self._drafts(job, extraction), error, extraction)
            except Exception as failure:  # noqa: BLE001 - the worker's one boundary: the job is retried, or says why not
                give_back(self._storage, job, failure, max_attempts=self._max_attempts)

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
        if fact.kind == "episode":
            self._embed_around(attribution)
        self._written(attribution)

    def approve(self, attribution: Attribution, fact: Fact) -> Fact:
        """Make a quarantined fact active, or what it then comes to; return it, or the fact that says the same."""
        draft = _Draft(fact, fact.text)
        try:
            new = self._new_fact(draft, self._embed([draft])[0])
        except EmbeddingError as error:
            telemetry.failure(logger, "embedding a fact to compare it (approved as it is)", error)
            new = self._new_fact(draft, None)
        stated = replace(new, fact=replace(fact, status="active"))

        def decide() -> FactChanges:
            known = look_up(self._storage, self._embedder, attribution, [stated], {})
            return approval(self._storage, attribution, new, known)

        changes = self._change(attribution, decide)
        # Only what recall may find is embedded when the embedder changes.
        self._embed_around(attribution)
        said_by = changes.mentions[0][0] if changes.mentions else fact.id
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
        self._embed_around(attribution)
        return done

    def _change(self, attribution: Attribution, decide: Callable[[], FactChanges]) -> FactChanges:
        """Decide on the facts as they are and apply; when they moved meanwhile, decide again."""
        for attempt in _unless_moved():
            with attempt:
                state = self._storage.state(attribution)
                changes = decide()
                self._apply(attribution, changes, state)
                return changes
        raise AssertionError("unreachable: the last attempt raises")

    def _embed_around(self, attribution: Attribution) -> None:
        try:
            # Those that lost their vectors have just changed, so they come first.
            embed_missing(self._storage, self._embedder, attribution, limit=WINDOW)
        except Exception as error:  # noqa: BLE001 - an embedder of anybody's may raise anything; the fact is forgotten
            telemetry.failure(logger, "embedding what was said around a forgotten message (found by words)", error)

    def _extract(self, jobs: Sequence[Job]) -> list[Sequence[Proposal] | Exception]:
        try:
            found = self._extractor.extract(turns(self._extractor, self._storage, jobs))
            if len(found) != len(jobs):
                raise ExtractionError(f"the extractor answered {len(found)} of {len(jobs)} turns")
        except Exception as error:  # noqa: BLE001 - foreign code; find out which turn it fails on
            if len(jobs) > 1:
                return [one for job in jobs for one in self._extract([job])]
            return [error] if jobs else []
        return list(found)

    def _drafts(self, job: Job, extraction: Extraction) -> list[_Draft]:
        drafts = _episodes(job)
        version = extraction.version or self._extractor.version
        for number, proposal in enumerate(extraction[:_MOST_FACTS]):
            problem = _problem(proposal, job)
            if problem:
                telemetry.failure(logger, "proposal", ExtractionError(problem))
                continue
            verdict = self._verdict(proposal, job.attribution)
            if verdict != "veto":
                drafts.append(_statement(job, number, proposal, version, verdict == "quarantine"))
        return drafts

    def _verdict(self, proposal: Proposal, attribution: Attribution) -> str | None:
        # A gatekeeper that fails lets nothing through unseen.
        answers = list(
            self._plugins.ask("memori_fact_proposed", failed="quarantine", fact=proposal, attribution=attribution)
        )
        return next((verdict for verdict in ("veto", "quarantine") if verdict in answers), None)

    def _finish(self, job: Job, drafts: list[_Draft], error: Exception | None, extraction: Extraction) -> None:
        gone = withdrawn(self._storage, job)
        drafts = self._not_yet_stored(job, _without(drafts, gone))
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
        replaces = {draft.fact.id: draft.replaces for draft in drafts if draft.replaces}
        learnt = self._learnt(job, extraction, gone)

        def complete(changes: FactChanges, state: EntityState) -> tuple[Fact, ...]:
            return self._complete(job, joined(changes, learnt), state, extraction.problem)

        added = self._settle(job.attribution, facts, complete, replaces=replaces)
        if learnt.retire:
            self._embed_around(job.attribution)
        telemetry.count("augmented", len(added))
        self._plugins.tell("memori_augmented", facts=added, attribution=job.attribution)

    def _settle(
        self,
        attribution: Attribution,
        facts: list[NewFact],
        store: Callable[[FactChanges, EntityState], tuple[Fact, ...]],
        *,
        replaces: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> tuple[Fact, ...]:
        """Resolve against the facts as they are now and store; when they moved meanwhile, resolve again."""
        for attempt in _unless_moved():
            with attempt:
                state = self._storage.state(attribution)
                # Nothing is forgotten between this look and the commit, which expects the state.
                unsaid = self._unsaid(attribution, {one for new in facts for one in new.window})
                facts = [replace(new, vectors=None) if unsaid & set(new.window) else new for new in facts]
                known = look_up(self._storage, self._embedder, attribution, facts, replaces)
                return store(replace(resolve(facts, known), space=known_space(self._embedder)), state)
        raise AssertionError("unreachable: the last attempt raises")

    def _learnt(self, job: Job, extraction: Extraction, gone: Withdrawn) -> FactChanges:
        """What the extraction holds beside proposals, and what is to be forgotten. What names nothing is refused."""
        named = {fact_id for fact_id, _ in extraction.mentions}
        mine = {fact.id for fact in self._storage.facts(job.attribution, ids=named)} if named else set()
        here = range(len(job.messages))
        mentions = [(one, job.messages[at].key) for one, at in extraction.mentions if one in mine and at in here]
        said = [(text.strip(), at) for text, at in extraction.attributes if at in here and 0 < len(text.strip()) <= 500]
        refused = len(extraction.mentions) - len(mentions) + len(extraction.attributes) - len(said)
        if refused:
            telemetry.failure(
                logger, "proposal", ExtractionError(f"{refused} mentions or attributes name nothing here")
            )
        version = extraction.version or self._extractor.version
        attributes = [
            NewAttribute(text, self._codec.fingerprint(fold(text)), spoken.key, spoken.message.source_class, version)
            for text, spoken in ((text, job.messages[at]) for text, at in said)
        ]
        summary = (extraction.summary or "").strip()[:_LONGEST_SUMMARY]
        return FactChanges(
            retire=tuple(Retirement(one, "forgotten") for one in gone.facts),
            mentions=tuple(dict.fromkeys(mentions)),
            attributes=tuple(attributes),
            summary=(job.messages[-1].key, summary) if summary and job.messages else None,
        )

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


def _unless_moved() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(RevisionConflictError),
        stop=stop_after_attempt(20),
        wait=wait_random(0, 0.05),
        reraise=True,
    )


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


def _problem(proposal: Proposal, job: Job) -> str | None:
    if proposal.kind not in KINDS or proposal.kind == "episode":
        return f"the extractor proposed the kind {proposal.kind!r}; kinds are {', '.join(KINDS[:-1])}"
    if not 0 <= proposal.message < len(job.messages):
        return f"the extractor names message {proposal.message} of {len(job.messages)}"
    if not proposal.text.strip() or len(proposal.text) > _LONGEST_FACT:
        return f"the extractor proposed a text of {len(proposal.text)} characters; 1 to {_LONGEST_FACT} are kept"
    return None


def _statement(job: Job, number: int, proposal: Proposal, version: str, quarantine: bool) -> _Draft:
    stored = job.messages[proposal.message]
    fact = Fact(
        # The same at every attempt, and in the order of the proposals.
        id=f"{derived_key('fact', job.id)[:28]}{number:04x}",
        text=proposal.text.strip(),
        kind=proposal.kind,
        status="quarantined" if quarantine or proposal.quarantine or _untrusted(proposal, stored) else "active",
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
    # What waits for review takes nobody's place, and neither does what the user has not said.
    replaces = proposal.replaces if fact.status == "active" and fact.source == "user_input" else ()
    return _Draft(fact, when + fact.text, triples=proposal.triples, replaces=replaces)


def _untrusted(proposal: Proposal, stored: StoredMessage) -> bool:
    """What only the user may say: rules and preferences; what tools, pages and prompts say is reviewed in any case."""
    source = stored.message.source_class
    return source in ("tool", "web", "system") or (source != "user_input" and proposal.kind in ("rule", "preference"))


def _without(drafts: Sequence[_Draft], gone: Withdrawn) -> list[_Draft]:
    """The drafts but those that the user has just taken back."""
    if not gone.messages and not gone.unlearnt:
        return list(drafts)
    return [
        replace(draft, before=tuple(one for one in draft.before if not gone.covers(one)))
        for draft in drafts
        if not gone.covers(draft.fact)
    ]


def joined(changes: FactChanges, more: FactChanges) -> FactChanges:
    """Both changes as one. What is to be forgotten is neither superseded nor mentioned."""
    forgotten = {one.fact_id for one in more.retire}
    return replace(
        changes,
        retire=(*(one for one in changes.retire if one.fact_id not in forgotten), *more.retire),
        mentions=tuple(one for one in dict.fromkeys((*changes.mentions, *more.mentions)) if one[0] not in forgotten),
        attributes=more.attributes,
        summary=more.summary,
    )
