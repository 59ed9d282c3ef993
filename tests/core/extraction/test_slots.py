"""What has one value at a time shares a slot however it is said; what can be true twice does not."""

from datetime import UTC, datetime

import pytest
from memori.augmentation.extraction.base import Turn
from memori.augmentation.extraction.local import LocalExtractor
from memori.model import Attribution, Message, StoredMessage


def turn(*said: tuple[str, str | None]) -> Turn:
    """The last message, with those before it as context."""
    stored = tuple(
        StoredMessage(
            str(n), Message("user", text, name=name, created_at=datetime(2024, 5, n + 1, tzinfo=UTC)), "s", "c", n
        )
        for n, (text, name) in enumerate(said)
    )
    return Turn(Attribution("u-17"), stored[-1:], stored[:-1])


def slots(*said: tuple[str, str | None]) -> set[str]:
    [found] = LocalExtractor().extract([turn(*said)])
    return {proposal.slot for proposal in found if proposal.slot}


SUCCESSORS = [
    ("I live in Oslo.", "I moved to Bergen yesterday."),
    ("I work at KPMG.", "I quit my job last week."),
    ("My manager is Helen.", "Dmitri is my manager now."),
    ("I'm single.", "Ravi and I got engaged!"),
    ("I love coffee.", "I don't like coffee anymore."),
    ("I have a bike.", "My bike was stolen."),
    ("My favourite food is pho.", "Lasagna is my favourite food."),
    ("Our wedding is on June 8.", "We had to move the wedding to September 14."),
    ("I work night shifts.", "I work day shifts now."),
]


@pytest.mark.parametrize(("earlier", "later"), SUCCESSORS)
def test_what_ends_or_replaces_a_statement_shares_its_slot(earlier, later):
    assert slots((earlier, None)) & slots((earlier, None), (later, None))


APART = [
    ("I speak German.", "I speak Italian."),
    ("I like jazz.", "I like techno."),
    ("I live in Oslo.", "My sister lives in Bergen."),
    ("I live in Oslo.", "I might move to Bergen."),
    ("I live in Oslo.", "I moved to Bergen in 2009."),
    ("I have a dog called Rex.", "I have a dog called Bo."),
]


@pytest.mark.parametrize(("earlier", "later"), APART)
def test_what_can_be_true_as_well_has_a_slot_of_its_own(earlier, later):
    assert not slots((earlier, None)) & slots((earlier, None), (later, None))


def test_the_slots_of_an_unnamed_speaker_and_of_the_same_speaker_named_meet():
    assert slots(("I live in Ghent.", None)) == slots(("I live in Ghent.", None), ("I live in Antwerp now.", "Lucas"))


def test_two_people_have_slots_of_their_own():
    assert slots(("I live in Dallas.", "Maya"), ("I live in Houston.", "Ben")) == {"ben|lives in"}


def test_a_name_given_earlier_is_linked_to_my_wife():
    [found] = LocalExtractor().extract(
        [turn(("My wife Ines is a lawyer.", None), ("My wife is allergic to nuts.", None))]
    )

    assert [(triple.subject, triple.predicate) for triple in found[0].triples] == [("Ines", "be allergic to")]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("I live in Split, no wait, I live in Zagreb.", ["The user lives in Zagreb."]),
        ("I'm 27, sorry, I mean I'm 28.", ["The user is 28."]),
    ],
)
def test_what_a_sentence_takes_back_is_not_kept(words, kept):
    [found] = LocalExtractor().extract([turn((words, None))])

    assert [proposal.text for proposal in found] == kept
