"""Extraction on labelled conversations: which statements are found, and are they right?

`python -m benchmarks.extraction [--set NAME] [--failures]` records the cases of
tests/data/extraction message by message through `Memori` and compares what the extractor proposed, and what became
of it, with what a person expected. `--failures` shows the misses of the sets that the rules are improved on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import snowballstemmer
from memori import Attribution, Memori
from memori.augmentation.extraction.base import Extractor, Turn
from memori.augmentation.extraction.local import LocalExtractor
from memori.model import STATUSES, Fact, Message, Proposal

from benchmarks.retrieval import database

DATA = Path(__file__).parents[1] / "tests" / "data" / "extraction"
SETS = ("tuning", "changes", "changes_aside", "held_back")
TUNED = ("tuning", "changes")
_IRREGULAR = {
    form: base
    for base, forms in {
        "be": "am is are was were been being", "have": "has had having", "do": "does did done", "go": "went goes gone",
        "buy": "bought", "get": "got gotten", "give": "gave given", "take": "took taken", "leave": "left",
        "grow": "grew grown", "break": "broke broken", "begin": "began begun", "teach": "taught", "run": "ran",
        "fly": "flew flown", "see": "saw seen", "make": "made", "meet": "met", "lose": "lost", "sell": "sold",
        "speak": "spoke spoken", "know": "knew known", "write": "wrote written", "become": "became", "bear": "born",
        "drive": "drove driven", "eat": "ate eaten", "win": "won", "find": "found", "tell": "told", "keep": "kept",
    }.items()
    for form in forms.split()
}  # fmt: skip
_stem = snowballstemmer.stemmer("english").stemWord
_NEGATIVE = re.compile(r"n't\b|\b(?:not|no|never|cannot|without|none|neither|nor)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Expected:
    """A statement that a message should give.

    `words`: patterns that all occur in it. `kinds`: any of them is right. `valid_from`, `valid_to`: as precise as the
    text is ("2021-03"), None where it must have none; `dated` says whether the label names it at all.
    `replaces`: the expected statement of the same case that it supersedes.
    """

    message: int
    statement: str
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    triple: tuple[str, str, str] | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    dated: frozenset[str] = frozenset()
    negated: bool = False
    replaces: int | None = None

    def matches(self, message: int, text: str) -> bool:
        """Whether a statement of that message says this."""
        return message == self.message and all(re.search(word, text, re.IGNORECASE) for word in self.words)


@dataclass(frozen=True)
class Case:
    """A short conversation with what it should teach, and patterns that no statement may contain."""

    id: str
    note: str
    messages: tuple[Message, ...]
    expected: tuple[Expected, ...]
    must_not: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a case: proposals with the number of their message, and the facts stored."""

    case: Case
    found: tuple[tuple[int, Proposal], ...]
    facts: tuple[Fact, ...]

    @property
    def pairs(self) -> dict[int, int]:
        """Which proposal says which expected statement, each at most once: as many pairs as can be made."""
        wanted = {
            number: sorted(
                (
                    place
                    for place, (message, proposal) in enumerate(self.found)
                    if expected.matches(message, proposal.text)
                ),
                key=lambda place: self.found[place][1].kind not in expected.kinds,
            )
            for number, expected in enumerate(self.case.expected)
        }
        taken: dict[int, int] = {}
        for number in wanted:
            _assign(number, wanted, taken, set())
        return {number: place for place, number in taken.items()}

    @property
    def forbidden(self) -> list[str]:
        """Statements that the case says must not be there."""
        return [p.text for _, p in self.found if any(re.search(one, p.text, re.I) for one in self.case.must_not)]

    @property
    def statuses(self) -> dict[int, bool]:
        """Of each expected statement found, whether it is superseded exactly when it should be.

        One that is replaced is judged where its successor was found too: nothing else could tell that it is over.
        """
        pairs, successor = self.pairs, {one.replaces: n for n, one in enumerate(self.case.expected)}
        return {
            number: (self._status(place) == "superseded") == (number in successor)
            for number, place in pairs.items()
            if number not in successor or successor[number] in pairs
        }

    @property
    def supersession(self) -> bool | None:
        """Whether the whole case came out right; None where one message is all there is to go by.

        A replaced statement and its successor must have been found. Others count where they were.
        """
        if len(self.case.messages) < 2 or not self.case.expected:
            return None
        pairs = self.pairs
        needed = {n for one in self.case.expected if one.replaces is not None for n in (one.replaces,)}
        needed |= {number for number, one in enumerate(self.case.expected) if one.replaces is not None}
        return needed <= pairs.keys() and all(self.statuses.values())

    def _status(self, place: int) -> str:
        text = self.found[place][1].text
        return next((fact.status for fact in self.facts if fact.text == text), "folded")


def _assign(number: int, wanted: dict[int, list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Give an expected statement a proposal, moving others to their next choice where that helps (Kuhn)."""
    for place in wanted[number]:
        if place not in tried:
            tried.add(place)
            if place not in taken or _assign(taken[place], wanted, taken, tried):
                taken[place] = number
                return True
    return False


class Recording(Extractor):
    """An extractor that remembers what another proposed, by entity and position of the message."""

    def __init__(self, inner: Extractor) -> None:
        super().__init__()
        self.version = inner.version
        self.proposed: dict[str, dict[int, list[Proposal]]] = defaultdict(dict)
        self._inner = inner

    def extract(self, turns: Sequence[Turn]) -> Sequence[Sequence[Proposal]]:
        """Return what the other proposes."""
        answers = self._inner.extract(turns)
        for turn, proposals in zip(turns, answers, strict=True):
            for index, stored in enumerate(turn.messages):
                own = [proposal for proposal in proposals if proposal.message == index]
                self.proposed[turn.attribution.entity_id][stored.position] = own
        return answers


def load(name: str) -> list[Case]:
    """Read a set of cases. Raises `ValueError` naming the line that cannot be read."""
    cases = []
    for number, line in enumerate((DATA / f"{name}.jsonl").read_text("utf-8").splitlines(), 1):
        try:
            cases.append(_case(json.loads(line)))
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise ValueError(f"{name}.jsonl, line {number}: {error!r}") from error
    return cases


def _case(raw: dict[str, Any]) -> Case:
    messages = tuple(
        Message(one["role"], one["text"], name=one.get("name"), created_at=datetime.fromisoformat(one["at"]))
        for one in raw["messages"]
    )
    expected = tuple(
        Expected(
            message=one["message"],
            statement=one["statement"],
            words=tuple(one["words"]),
            kinds=tuple(one["kinds"]),
            triple=tuple(one["triple"]) if one.get("triple") else None,
            valid_from=one.get("valid_from"),
            valid_to=one.get("valid_to"),
            dated=frozenset({"valid_from", "valid_to"} & one.keys()),
            negated=bool(one.get("negated")),
            replaces=one.get("replaces"),
        )
        for one in raw["expected"]
    )
    for pattern in itertools.chain(raw.get("must_not", ()), *(one.words for one in expected)):
        re.compile(pattern)
    return Case(raw["id"], raw.get("note", ""), messages, expected, tuple(raw.get("must_not", ())))


def run(cases: Sequence[Case]) -> list[Outcome]:
    """Record the cases message by message, each an entity of its own, and collect what came of them."""
    extractor = Recording(LocalExtractor())
    with database("extraction") as url, Memori(url, embedder="minilm", extractor=extractor) as memori:
        who = {case.id: Attribution(case.id, session_id=f"session of {case.id}") for case in cases}
        for round_ in itertools.count():
            speaking = [case for case in cases if round_ < len(case.messages)]
            if not speaking:
                break
            for case in speaking:
                memori.record(case.messages[round_], attribution=who[case.id])
            if not memori.augmentation.wait():
                raise SystemExit(f"Augmentation failed: {memori.augmentation.status()}")
        outcomes = []
        for case in cases:
            said = sorted(extractor.proposed[case.id].items())
            found = tuple((number, one) for number, (_, many) in enumerate(said) for one in many)
            facts = memori.facts(attribution=who[case.id], statuses=STATUSES, limit=1000)
            outcomes.append(Outcome(case, found, tuple(facts)))
    return outcomes


@dataclass
class Share:
    """How many of how many."""

    hits: int = 0
    of: int = 0

    def add(self, hit: bool) -> None:
        """Count one more."""
        self.hits += hit
        self.of += 1

    @property
    def value(self) -> float:
        """0..1; 1 where there was nothing to get wrong."""
        return self.hits / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.hits}/{self.of})"


@dataclass
class Scores:
    """Precision by the kind proposed, recall by the first kind expected, and how right the matches are."""

    precision: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    recall: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    kind: Share = field(default_factory=Share)
    triple: Share = field(default_factory=Share)
    date: Share = field(default_factory=Share)
    negation: Share = field(default_factory=Share)
    status: Share = field(default_factory=Share)
    replaced: Share = field(default_factory=Share)
    supersession: Share = field(default_factory=Share)
    replacing: Share = field(default_factory=Share)
    silent: Share = field(default_factory=Share)
    forbidden: int = 0


def score(outcomes: Sequence[Outcome]) -> Scores:
    """Compare what was found with what was expected. `silent`: cases with nothing to store that stored nothing."""
    scores = Scores()
    for outcome in outcomes:
        case, pairs = outcome.case, outcome.pairs
        for place, (_, proposal) in enumerate(outcome.found):
            for kind in ("all", proposal.kind):
                scores.precision[kind].add(place in pairs.values())
        for number, expected in enumerate(case.expected):
            for kind in ("all", expected.kinds[0]):
                scores.recall[kind].add(number in pairs)
            if number in pairs:
                _compare(expected, outcome.found[pairs[number]][1], scores)
        if not case.expected:
            scores.silent.add(not outcome.found)
        scores.forbidden += len(outcome.forbidden)
        if (right := outcome.supersession) is not None:
            replaced = {one.replaces for one in case.expected}
            for number, as_expected in outcome.statuses.items():
                scores.status.add(as_expected)
                if number in replaced:
                    scores.replaced.add(as_expected)
            scores.supersession.add(right)
            if any(one.replaces is not None for one in case.expected):
                scores.replacing.add(right)
    return scores


def _compare(expected: Expected, found: Proposal, scores: Scores) -> None:
    scores.kind.add(found.kind in expected.kinds)
    if expected.triple is not None:
        scores.triple.add(has_triple(expected.triple, found))
    for end in expected.dated:
        scores.date.add(is_date(getattr(expected, end), getattr(found, end)))
    if expected.negated:
        scores.negation.add(_NEGATIVE.search(found.text) is not None)


def has_triple(wanted: tuple[str, str, str], found: Proposal) -> bool:
    """Whether a proposal has a triple whose subject and object contain the patterns, and whose predicate the words.

    Predicates are compared by their words' base forms ("lives_in" is "live in"), alternatives standing apart by "|".
    """
    subject, predicates, target = wanted
    return any(
        re.search(subject, triple.subject, re.IGNORECASE)
        and re.search(target, triple.object, re.IGNORECASE)
        and any(_base_forms(one) <= _base_forms(triple.predicate) for one in predicates.split("|"))
        for triple in found.triples
    )


def _base_forms(predicate: str) -> set[str]:
    return {_stem(_IRREGULAR.get(word, word)) for word in predicate.lower().replace("_", " ").split()}


def is_date(wanted: str | None, found: datetime | None) -> bool:
    """Whether a date is the expected one, as precisely as that is given; None expects none."""
    return found is None if wanted is None else found is not None and found.date().isoformat().startswith(wanted)


def report(name: str, scores: Scores) -> str:
    """The tables, as they stand in benchmarks/README.md."""
    kinds = ["all", *sorted((scores.precision.keys() | scores.recall.keys()) - {"all"})]
    lines = [f"| {name} | precision | recall |", "|---|---|---|"]
    lines += [f"| {kind} | {scores.precision[kind]} | {scores.recall[kind]} |" for kind in kinds]
    lines += ["", "| of the statements found | right |", "|---|---|"]
    lines += [
        f"| {label} | {share} |"
        for label, share in (
            ("kind", scores.kind),
            ("triple", scores.triple),
            ("date", scores.date),
            ("negation kept", scores.negation),
            ("superseded or still active, in conversations of several messages", scores.status),
            ("- those replaced by another that was found", scores.replaced),
            ("whole conversations of several messages, misses count as wrong", scores.supersession),
            ("- those in which something is replaced", scores.replacing),
            ("conversations with nothing to store", scores.silent),
        )
    ]
    return "\n".join([*lines, "", f"Statements that must not be there: {scores.forbidden}."])


def failures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What is not as expected, case by case."""
    for outcome in outcomes:
        case, pairs = outcome.case, outcome.pairs
        lines = []
        for number, expected in enumerate(case.expected):
            if number not in pairs:
                lines.append(f"  missed   {expected.statement}")
                continue
            found, one = outcome.found[pairs[number]][1], Scores()
            _compare(expected, found, one)
            wrong = [name for name in ("kind", "triple", "date", "negation") if getattr(one, name).value < 1]
            if wrong:
                lines.append(f"  {'+'.join(wrong)}: {expected} BUT {found}")
        for place, (_, proposal) in enumerate(outcome.found):
            if place not in pairs.values():
                lines.append(f"  surplus  {proposal.text} [{proposal.kind}]")
        lines += [f"  forbidden {text}" for text in outcome.forbidden]
        if outcome.supersession is False:
            states = "; ".join(f"{fact.text} {fact.status} {fact.slot}" for fact in outcome.facts)
            lines.append(f"  supersession: {states}")
        if lines:
            yield "\n".join([f"{case.id} {case.note}: {' / '.join(m.content for m in case.messages)}", *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.extraction", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--set", choices=SETS, action="append", help="which set (default: all)")
    parser.add_argument(
        "--failures", action="store_true", help="show what goes wrong in the sets the rules are improved on"
    )
    given = parser.parse_args(arguments)
    for name in given.set or SETS:
        outcomes = run(load(name))
        if given.failures and name in TUNED:
            print("\n".join(failures(outcomes)), end="\n\n")
        print(report(name, score(outcomes)), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
