"""What has one value at a time shares a slot however it is said; what can be true twice does not."""

from datetime import UTC, datetime

import pytest
from memori import Memori
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


def learnt(*said: str) -> dict[str, str]:
    """What is known of the user, with its status, after they said this day by day."""
    who = Attribution("u-17", session_id="s")
    with Memori("sqlite://", embedder="hashing") as memori:
        for day, text in enumerate(said):
            memori.record(Message("user", text, created_at=datetime(2024, 5, 10 + day, tzinfo=UTC)), attribution=who)
            assert memori.augmentation.wait()
        facts = memori.facts(attribution=who, statuses=["active", "superseded"])
    return {fact.text: fact.status for fact in facts if fact.kind != "episode"}


ENDED = [
    ("I work at a bakery in town.", "I quit my job yesterday."),
    ("I'm a waiter.", "I got laid off last week."),
    ("I work for Vodafone.", "I've switched from Vodafone to Orange."),
    ("I drive a Polo.", "I sold the Polo."),
    ("I'm learning Spanish.", "I gave up Spanish."),
    ("I wear glasses.", "I wear contacts now."),
    ("I run every morning before work.", "I stopped running because of my knee."),
    ("I have a cat called Milo.", "Milo passed away yesterday."),
    ("My flight to Athens is on July 3.", "They moved my flight to Athens to July 5."),
    ("My commute takes 40 minutes.", "My commute takes 25 minutes now."),
]


@pytest.mark.parametrize(("before", "later"), ENDED)
def test_what_is_over_is_superseded(before, later):
    facts = learnt(before, later)

    assert sorted(facts.values()) == ["active", "superseded"]
    assert next(iter(facts.values())) != next(reversed(facts.values()))


GOES_ON = [
    ("I go to the gym twice a week.", "I left the gym at eight."),
    ("I have a Samsung phone.", "I dropped my phone."),
    ("I live in Denver.", "I live in Denver with my sister."),
    ("I moved to Bergen last year.", "I live in Bergen with my cat."),
    ("My favourite colour is green.", "Green is my favourite colour."),
    ("I'm a paralegal.", "I left KPMG."),
    ("I speak French.", "I speak Dutch."),
    ("My phone number is 5551234.", "I lost my phone."),
    ("My sister is 30.", "My brother is 28."),
]


@pytest.mark.parametrize(("before", "later"), GOES_ON)
def test_what_is_said_again_or_of_something_else_supersedes_nothing(before, later):
    assert set(learnt(before, later).values()) == {"active"}


def test_the_same_value_in_other_words_is_a_mention():
    assert list(learnt("My favourite colour is green.", "Green is my favourite colour.")) == [
        "The user's favourite colour is green."
    ]


def test_leaving_an_earlier_employer_leaves_the_present_one():
    facts = learnt("I work at Lidl.", "I started working at Tesco.", "I no longer work at Lidl.", "I work at Aldi now.")

    assert [text for text, status in facts.items() if status == "active"] == [
        "The user works at Aldi now.",
        "The user no longer works at Lidl.",
    ]
