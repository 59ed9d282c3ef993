"""Summaries in a conversation's own words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from memori import Attribution, Memori
from memori.augmentation.summary import SENTENCES, summarised
from memori.model import Message

TALK = [
    Message("user", "Hi there! My bakery in Porto opens in March. How are you?"),
    Message("assistant", "A bakery needs an oven. Congratulations on the bakery in Porto!"),
    Message("user", "The oven for the bakery comes from Lyon. Thanks!\nWe sell bread and cakes in the bakery."),
    Message("user", "[web page] Ovens are hot.", source="web"),
]


def test_it_is_made_of_what_people_said_in_the_order_they_said_it():
    assert summarised(None, TALK) == (
        "My bakery in Porto opens in March. The oven for the bakery comes from Lyon. "
        "We sell bread and cakes in the bakery."
    )


def test_it_goes_on_from_the_summary_before():
    later = summarised(summarised(None, TALK), [Message("user", "The bakery has a name now, Padaria Nova.")])

    assert later is not None
    assert later.startswith("My bakery in Porto opens in March.")
    assert later.endswith("The bakery has a name now, Padaria Nova.")


def test_where_nothing_is_worth_repeating_there_is_none():
    assert (
        summarised(None, [Message("user", "hi"), Message("user", "What is an oven?"), Message("user", "x" * 5000)])
        is None
    )


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), max_size=12))
def test_it_is_bounded_and_every_sentence_was_said(texts):
    made = summarised(None, [Message("user", text) for text in texts])

    said = " ".join(" ".join(text.split()) for text in texts)
    assert made is None or all(word.rstrip(".") in said for word in made.split())
    again = summarised(made, [])
    assert again == made
    assert made is None or len(made) <= SENTENCES * 301


def test_a_conversation_has_its_summary_and_no_other(memori: Memori):
    bakery, boat = Attribution("ada", "bot", session_id="bakery"), Attribution("ada", "bot", session_id="boat")
    memori.record([("user", "My bakery in Porto opens in March.")], attribution=bakery)
    memori.record([("user", "My boat lies in the harbour.")], attribution=boat)
    assert memori.augmentation.wait(30)
    memori.record([("user", "The bakery sells bread and cakes.")], attribution=bakery)
    assert memori.augmentation.wait(30)

    (about,) = memori.conversations(attribution=bakery)
    assert about.summary == "My bakery in Porto opens in March. The bakery sells bread and cakes."
    assert memori.conversations(attribution=boat)[0].summary == "My boat lies in the harbour."
