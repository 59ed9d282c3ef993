"""Memori, the facade: it checks arguments, finds out who is speaking, and hands over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from . import telemetry
from .arguments import (
    asked_for,
    aware,
    check_budget,
    check_importance,
    check_kinds,
    check_limit,
    check_offset,
    check_query,
    check_relevance,
    check_statuses,
    check_texts,
)
from .errors import UnknownFactError
from .keys import new_key
from .messages import MessageLike, to_messages
from .model import (
    ACTIVE,
    KINDS,
    QUARANTINED,
    Attribution,
    Change,
    Consolidated,
    Context,
    Conversation,
    Fact,
    FactStatus,
    Kind,
    Message,
    ProcessAttribute,
    Recalled,
    Receipt,
    Reindexed,
    Reverted,
    StoredMessage,
    Transcript,
    check_id,
)
from .parts import Parts

if TYPE_CHECKING:
    from .knowledge.graph import Graph

P = ParamSpec("P")
R = TypeVar("R")


def _twin(method: Callable[Concatenate[Memori, P], R]) -> Callable[Concatenate[Memori, P], Coroutine[Any, Any, R]]:
    """The awaitable twin of a method: the same call in one of Memori's own threads, with the caller's context."""

    async def run(self: Memori, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.executor.run(method, self, *args, **kwargs)

    update_wrapper(run, method)
    run.__name__ = f"a{method.__name__}"
    run.__qualname__ = f"Memori.a{method.__name__}"
    run.__doc__ = f"Await `{method.__name__}` without blocking the event loop."
    return run


class Memori(Parts):
    """Memory for AI agents, in your own database.

    `conn`: a database URL, an SQLAlchemy Engine or sessionmaker, whatever an installed storage plugin takes, or None
    for MEMORI_DATABASE_URL, else sqlite:///memori.db. Options left out come from memori.json, then from MEMORI_* in
    the environment. `embedder`, `extractor`, `vector_index` and `reranker` (none by default) are names of installed
    providers, or instances. `model`: the chat model that `extractor="llm"` asks. `pool_size`: connections kept to a
    database with a server, 20 by default. `auto_ingest`: whether registered clients are given what is known.
    `conscious_ingest`: whether a conversation begins with what stands out of all that is known (its short-term tier),
    on top of what answers its first turn. `redact` and `codec` see every text before it is stored. Nothing is opened or
    loaded until it is needed.
    """

    # who is speaking

    def attribution(self, entity_id: str, process_id: str | None = None, *, session_id: str | None = None) -> Memori:
        """Say who is speaking in the current thread or task, and return this object.

        Naming the same entity and process again keeps their session. Raises `InvalidAttributionError`. Servers whose
        threads are reused use `scope`, or pass `attribution=` to each call.
        """
        new = Attribution(entity_id, process_id, session_id, self.namespace)
        present = self._current.get()
        if present is not None and session_id is None and present.with_session(None) == new:
            new = present
        self._current.set(new)
        return self

    @contextmanager
    def scope(
        self, entity_id: str | Attribution, process_id: str | None = None, *, session_id: str | None = None
    ) -> Iterator[Attribution]:
        """Say who is speaking for the length of a block, and restore what was before."""
        if isinstance(entity_id, Attribution):
            who = self._own(entity_id)
        else:
            who = Attribution(entity_id, process_id, session_id, self.namespace)
        with self._current.scope(who):
            yield who

    def new_session(self) -> str:
        """Begin a session of the current attribution and return its id."""
        return self.set_session(new_key())

    def set_session(self, session_id: str) -> str:
        """Go on in the session of that id."""
        self._current.set(self._who(None).with_session(session_id))
        return session_id

    @property
    def session_id(self) -> str | None:
        """The session that was set; None when Memori finds it from the conversation itself."""
        present = self._current.get()
        return None if present is None else present.session_id

    def current_attribution(self) -> Attribution | None:
        """Who is speaking in the current context, or None."""
        return self._current.get()

    # conversations

    def record(
        self,
        messages: MessageLike | Iterable[MessageLike],
        *,
        attribution: Attribution | None = None,
        conversation_id: str | None = None,
    ) -> Receipt:
        """Store messages and the job that will augment them, in one transaction.

        Messages may be `Message` values, mappings with role and content, or (role, content) pairs. Recording the same
        history again stores only what is new.
        """
        turn = to_messages(messages)
        if conversation_id is not None:
            check_id(conversation_id, "conversation_id")
        return self._append(turn, self._who(attribution), resent=len(turn), conversation_id=conversation_id, join=True)

    def record_turn(self, messages: Sequence[Message], *, attribution: Attribution, resent: int) -> Receipt:
        """Store one exchange with a model. The first `resent` messages may have been sent, and stored, before."""
        return self._append(
            to_messages(messages), self._own(attribution), resent=resent, conversation_id=None, join=False
        )

    def transcript(self, *, attribution: Attribution | None = None, archived: bool | None = False) -> Transcript:
        """The messages of the attribution's session, and its version, for those who edit them.

        `archived`: only archived messages, only the others (False), or all (None).
        """
        return self._ready().transcript(self._who_in_session(attribution, "transcript"), archived=archived)

    def replace_messages(
        self,
        messages: MessageLike | Iterable[MessageLike],
        *,
        attribution: Attribution | None = None,
        expected: int | None = None,
    ) -> Transcript:
        """Make the attribution's session hold exactly these messages. What was learnt from the old ones stays.

        Archived messages stay archived. With `expected`, raises `VersionConflictError` when the transcript's version
        is another.
        """
        who = self._who_in_session(attribution, "replace_messages")
        turn = self._redacted(to_messages(messages))
        return self._ready().replace_messages(who, turn, expected=expected, now=datetime.now(UTC))

    def delete_messages(self, keys: Collection[str], *, attribution: Attribution | None = None) -> int:
        """Delete messages of the attribution's session by key for good; return how many. What was learnt stays."""
        who = self._who_in_session(attribution, "delete_messages")
        return self._ready().delete_messages(who, check_texts("keys", keys))

    def archive_messages(
        self, keys: Collection[str], *, attribution: Attribution | None = None, archived: bool = True
    ) -> int:
        """Keep messages of the session out of what is shown, or put them back; return how many changed."""
        who = self._who_in_session(attribution, "archive_messages")
        return self._ready().archive_messages(who, check_texts("keys", keys), archived=archived)

    def messages(
        self,
        *,
        attribution: Attribution | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[StoredMessage]:
        """Messages of the session, or of all the entity's sessions when none is named; oldest first.

        `limit` keeps the newest; `before` pages back by position within a session.
        """
        if limit is not None:
            check_limit(limit)
        return self._ready().messages(
            self._who(attribution),
            conversation_id=conversation_id,
            limit=limit,
            before=None if before is None else check_offset(before, "before"),
        )

    def payloads(
        self, *, attribution: Attribution | None = None, limit: int | None = None
    ) -> Sequence[Mapping[str, Any] | None]:
        """What `messages` gives as `payload`, for those who need nothing else: much cheaper for a long history."""
        if limit is not None:
            check_limit(limit)
        return self._ready().payloads(self._who(attribution), limit=limit)

    def conversations(
        self, *, attribution: Attribution | None = None, limit: int = 100, offset: int = 0
    ) -> list[Conversation]:
        """The entity's conversations, newest first."""
        check_limit(limit)
        return self._ready().conversations(self._who(attribution), limit=limit, offset=check_offset(offset))

    # memories

    def recall(
        self,
        query: str,
        *,
        limit: int = 5,
        attribution: Attribution | None = None,
        kinds: Collection[Kind] | None = None,
        as_of: datetime | None = None,
        min_relevance: float | None = None,
        explain: bool = False,
    ) -> list[Recalled]:
        """The entity's memories that answer the query, best first. Never writes.

        `limit` is 1 to 10,000. `as_of`, with a time zone, asks what was true in the world at that time.
        `min_relevance`, 0..1, is where relevance ends. `explain` keeps the parts of each score. A blank query gives [].
        Raises `TypeError` or `ValueError` for an argument that means nothing.
        """
        check_query(query)
        check_limit(limit)
        chosen = None if kinds is None else check_kinds(kinds)
        moment = aware(as_of)
        least = self.recall_options.min_relevance if min_relevance is None else check_relevance(min_relevance)
        who = self._who(attribution)
        if not query.strip():
            return []
        found = self._recall.recall(query, who, limit=limit, kinds=chosen, as_of=moment, min_relevance=least)
        return found if explain else [Recalled(one.fact, one.score) for one in found]

    def context(
        self,
        query: str,
        *,
        attribution: Attribution | None = None,
        limit: int | None = None,
        token_budget: int | None = None,
        min_relevance: float | None = None,
        exclude: Sequence[str] = (),
        opening: bool | None = None,
    ) -> Context:
        """The block to show a model about the query, with what is in it and why.

        `exclude`: texts already in front of the model, which are not repeated. `opening`: whether this begins a
        conversation; None finds out whether the session of the attribution has messages. With `conscious_ingest` an
        opening shows the short-term tier too, in up to as many tokens again. Raises like `recall`.
        """
        check_query(query)
        options = self.recall_options
        most = options.limit if limit is None else check_limit(limit)
        budget = options.token_budget if token_budget is None else check_budget(token_budget)
        least = options.min_relevance if min_relevance is None else check_relevance(min_relevance)
        said = check_texts("exclude", exclude)
        who = self._who(attribution)
        if not query.strip():
            return Context("")
        at_hand = self._short_term(who) if self.settings.conscious_ingest and self._opens(who, opening) else []
        return self._recall.context(
            query, who, limit=most, token_budget=budget, min_relevance=least, exclude=said, at_hand=at_hand
        )

    def remember(
        self,
        text: str,
        *,
        kind: Kind = "fact",
        importance: float = 0.8,
        valid_from: datetime | None = None,
        attribution: Attribution | None = None,
    ) -> Fact:
        """Store a fact stated by hand and return it. The same words again count as another mention."""
        who = self._who(attribution)
        return self._pipeline.remember(who, self._stated(text, kind, importance, valid_from))

    def revise(self, fact_id: str, text: str, *, attribution: Attribution | None = None) -> Fact:
        """Put new words in the place of an active fact; the old ones stay as history.

        Raises `UnknownFactError`, also for a fact that was replaced, forgotten or not approved.
        """
        who = self._who(attribution)
        old = self._fact(fact_id, who)
        if old.status != "active":
            raise UnknownFactError(f"The fact {fact_id!r} is {old.status}; only an active one can be revised.")
        new = replace(self._stated(text, old.kind, old.importance, None), slot=old.slot, speaker=old.speaker)
        return self._pipeline.remember(who, new, replaces=fact_id)

    def forget(self, fact_id: str, *, attribution: Attribution | None = None) -> None:
        """Never return a fact again; it stays in the database as history. Raises `UnknownFactError`."""
        who = self._who(attribution)
        self._pipeline.forget(who, self._fact(fact_id, who))

    def facts(
        self,
        *,
        attribution: Attribution | None = None,
        kinds: Collection[Kind] | None = None,
        statuses: Collection[FactStatus] = ACTIVE,
        as_of: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Fact]:
        """The entity's facts, newest first; without `kinds` all but episodes."""
        check_limit(limit)
        who = self._who(attribution)
        return self._ready().facts(
            who,
            kinds=[kind for kind in KINDS if kind != "episode"] if kinds is None else check_kinds(kinds),
            statuses=check_statuses(statuses),
            as_of=aware(as_of),
            limit=limit,
            offset=check_offset(offset),
        )

    def diff(
        self, since: datetime, until: datetime | None = None, *, attribution: Attribution | None = None
    ) -> list[Change]:
        """What began or ceased to be so in the world after `since` and until `until` (now), oldest first."""
        from .augmentation.trust import changes_between

        begin, end = aware(since), aware(until) or datetime.now(UTC)
        if begin is None or begin > end:
            raise ValueError("diff goes from an earlier time to a later one: diff(since, until).")
        return changes_between(self._ready(), self._who(attribution), begin, end)

    # trust

    def review(self, *, attribution: Attribution | None = None, limit: int = 100, offset: int = 0) -> list[Fact]:
        """Facts in quarantine, newest first: claimed by an assistant, a tool or a page, or held back by a plugin."""
        return self.facts(attribution=attribution, statuses=QUARANTINED, limit=limit, offset=offset)

    def approve(self, fact_id: str, *, attribution: Attribution | None = None) -> Fact:
        """Take a fact out of quarantine as if the user had said it; return what it became.

        What is known already becomes a mention, and a newer value of a slot takes the old one's place. Raises
        `UnknownFactError` for a fact that does not wait for review.
        """
        who = self._who(attribution)
        return self._pipeline.approve(who, self._fact(fact_id, who))

    def reject(self, fact_id: str, *, attribution: Attribution | None = None) -> None:
        """Never look at a quarantined fact again; it stays as history. Raises `UnknownFactError`."""
        self._pipeline.reject(self._who(attribution), fact_id)

    def revert(self, source: str, *, attribution: Attribution | None = None) -> Reverted:
        """Take back all that a message, conversation (a document) or session brought in.

        `source` is a message's key or native id, or a conversation's or session's id; the first of these that there is.
        Facts said elsewhere too lose a mention and stay; what the others had replaced is active again, unless something
        else has replaced it since. The messages stay. Raises `UnknownSourceError`.
        """
        if not isinstance(source, str):
            raise TypeError(
                f"source must be the id of a message, conversation or session, got {type(source).__name__}."
            )
        return self._pipeline.revert(self._who(attribution), source)

    def process_attributes(self, *, attribution: Attribution | None = None, limit: int = 100) -> list[ProcessAttribute]:
        """What is known of the attribution's process, an agent, from conversations with this entity; newest first."""
        return self._ready().process_attributes(self._who(attribution), limit=check_limit(limit))

    def graph(
        self,
        entity_id: str | None = None,
        *,
        attribution: Attribution | None = None,
        as_of: datetime | None = None,
        limit: int = 1000,
    ) -> Graph:
        """An entity's knowledge as a graph of the triples of its facts, at most `limit`; `as_of`: what was true then.

        `entity_id`: whose, in this object's namespace; without it that of `attribution`, or whoever is speaking.
        """
        from .knowledge.graph import Graph

        check_limit(limit)
        if entity_id is not None and attribution is not None:
            raise TypeError("Pass entity_id or attribution, not both.")
        who = self._who(attribution) if entity_id is None else Attribution(entity_id, namespace=self.namespace)
        return Graph([triple for _, triple in self._ready().triples(who, limit=limit, as_of=aware(as_of))])

    def erase(self, entity_id: str) -> dict[str, int]:
        """Delete everything about an entity for good; return how many rows of each table went."""
        who = Attribution(entity_id, namespace=self.namespace)
        gone = self._ready().erase(who)
        self._forget_indexes(who)
        return gone

    def reindex(
        self,
        *,
        entity_id: str | None = None,
        drop_old: bool = False,
        batch: int = 256,
        progress: Callable[[int, int], None] | None = None,
    ) -> Reindexed:
        """Embed with this object's embedder what was embedded with another, or not at all: all, or one entity's.

        May run while others record and recall, be stopped and begun again, and run twice at once. `drop_old` deletes
        vectors of other embedders. `batch` facts commit together; `progress(done, total)` is called after each.
        """
        from .augmentation.reindex import reindex

        return reindex(
            self._ready(),
            self.embedder,
            self.namespace,
            entity_id=entity_id,
            drop_old=drop_old,
            batch=check_limit(batch),
            progress=progress or (lambda done, total: None),
            written=self.follow,
        )

    def consolidate(self, *, entity_id: str | None = None) -> Consolidated:
        """Expire what is older than `retention_days`, and put what stands out into the short-term tier: of all, or one
        entity. The worker does the same every six hours to entities that something is learnt of.
        """
        from .augmentation.owners import owners_of

        owners = owners_of(self._ready(), self.namespace, entity_id)
        done = [self._consolidation.run(who, now=datetime.now(UTC)) for who in owners]
        return Consolidated(
            len(done), sum(d.promoted for d in done), sum(d.demoted for d in done), sum(d.expired for d in done)
        )

    arecord = _twin(record)
    arecord_turn = _twin(record_turn)
    atranscript = _twin(transcript)
    areplace_messages = _twin(replace_messages)
    adelete_messages = _twin(delete_messages)
    aarchive_messages = _twin(archive_messages)
    amessages = _twin(messages)
    apayloads = _twin(payloads)
    aconversations = _twin(conversations)
    arecall = _twin(recall)
    acontext = _twin(context)
    aremember = _twin(remember)
    arevise = _twin(revise)
    aforget = _twin(forget)
    afacts = _twin(facts)
    adiff = _twin(diff)
    areview = _twin(review)
    aapprove = _twin(approve)
    areject = _twin(reject)
    arevert = _twin(revert)
    aprocess_attributes = _twin(process_attributes)
    agraph = _twin(graph)
    aerase = _twin(erase)
    areindex = _twin(reindex)
    aconsolidate = _twin(consolidate)

    # parts

    def enable(self) -> Memori:
        """Hear every call through LiteLLM in this process, its routers' too. Returns this object."""
        return self.llm.enable()

    def disable(self) -> Memori:
        """End what `enable` began. Returns this object."""
        return self.llm.disable()

    def __enter__(self) -> Memori:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memori({self._storage.display!r}, namespace={self.namespace!r})"

    def _append(
        self, messages: tuple[Message, ...], who: Attribution, *, resent: int, conversation_id: str | None, join: bool
    ) -> Receipt:
        from .storage.records import Turn

        storage = self._ready()
        for answer in self.plugins.hook.memori_before_record.get_hookimpls():
            given: Any = answer.function(**asked_for(answer.argnames, messages=messages, attribution=who))
            messages = messages if given is None else to_messages(given)
        if not messages:
            return Receipt(who.session_id or "", conversation_id, stored=0, repeated=0, job_id=None)
        turn = Turn(
            self._redacted(messages),
            resent=min(resent, len(messages)),
            now=datetime.now(UTC),
            conversation_id=conversation_id,
            join_recent=join,
        )
        receipt = storage.append(who, turn)
        if receipt.job_id:
            self.augmentation.enqueued(receipt.job_id, who)
        telemetry.count("recorded", receipt.stored)
        storage.after_commit(lambda: self.plugins.tell("memori_recorded", receipt=receipt, attribution=who))
        return receipt

    def _stated(self, text: str, kind: Kind, importance: float, valid_from: datetime | None) -> Fact:
        (message,) = to_messages([("user", text)])
        (kind,) = check_kinds([kind])
        (message,) = self._redacted((message,))
        if not message.content.strip():
            raise ValueError("There is nothing to remember in a blank text.")
        return Fact(
            id=new_key(),
            text=message.content.strip(),
            kind=kind,
            said_at=datetime.now(UTC),
            valid_from=aware(valid_from),
            importance=check_importance(importance),
            extractor="by hand",
        )

    def _opens(self, who: Attribution, opening: bool | None) -> bool:
        if opening is not None or who.session_id is None:
            return bool(opening)
        return not self._ready().messages(who, limit=1)

    def _short_term(self, who: Attribution) -> list[Fact]:
        from .augmentation.consolidation import short_term

        return short_term(self._ready(), who, now=datetime.now(UTC))

    def _fact(self, fact_id: str, who: Attribution) -> Fact:
        found = self._ready().facts(who, ids=[fact_id], statuses=())
        if not found:
            raise UnknownFactError(f"{who.entity_id!r} has no fact {fact_id!r}. memori.facts() lists those it has.")
        return found[0]
