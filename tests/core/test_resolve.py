"""What becomes of a proposed fact: another mention, a successor, a retirement, or a fact of its own."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memori import Attribution, Memori
from memori.agreement import contradicts, revises, same_statement
from memori.augmentation.extraction.base import Extractor
from memori.augmentation.resolve import Claim, Known, resolve
from memori.keys import new_key
from memori.model import Ending, Fact, Proposal
from memori.storage.records import NewFact
from memori.text import fold

from tests.core.conftest import ADA, BOB

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Verbatim(Extractor):
    """Takes each sentence of a user for a fact. "Home: Rome" is a value of the slot "home"."""

    version = "verbatim/1"

    def extract(self, turns):
        return [
            [
                Proposal(text, "fact", at, slot="ada|home" if text.startswith("Home") else None)
                for at, stored in enumerate(turn.messages)
                for text in stored.message.content.split(". ")
                if not text.lower().startswith("forget")
            ]
            for turn in turns
        ]


@pytest.fixture
def verbatim(database):
    with Memori(database, embedder="hashing", extractor=Verbatim()) as made:
        yield made


def say(memori, *lines, role="user", day=0, who=ADA):
    for line in lines:
        when = NOW + timedelta(days=day)
        memori.record({"role": role, "content": line, "created_at": when}, attribution=who)
        assert memori.augmentation.wait(20)


def facts(memori, **options):
    return {fact.text: fact for fact in memori.facts(attribution=ADA, **options)}


@pytest.mark.parametrize(
    ("some", "other", "same"),
    [
        ("Ada loves strong coffee.", "Ada really loves the strong coffee", True),
        ("Ada's favourite colour is blue", "Ada's favorite color is blue", True),
        ("Ada does not eat meat", "Ada doesn't eat meat", True),
        ("Ada does not eat meat", "Ada does eat meat", False),
        ("Ada has 2 dogs", "Ada has 3 dogs", False),
        ("Ada met Bob on Monday", "Ada met Bob on Tuesday", False),
        ("Ada met Bob", "Ada met Rob", False),
        ("Ada loves Bob", "Bob loves Ada", False),
        ("Ada lives in Rome", "Ada lived in Rome", False),
        ("Ada likes hot coffee in her blue cup at home", "Ada likes cold coffee in her blue cup at home", False),
        ("", "", False),
    ],
)  # fmt: skip
def test_what_says_the_same_agrees_in_all_that_carries_meaning(some, other, same):
    assert same_statement(some, other) is same


@pytest.mark.parametrize(
    ("later", "earlier", "revised"),
    [
        ("The user's commute takes 25 minutes now", "The user's commute takes 40 minutes", True),
        ("The user's rent is 950", "The user's rent is 900", True),
        ("The user's dog is three years old", "The user is 34 years old", False),
        ("The user runs 5 miles", "The user runs 3 miles", False),
    ],
)
def test_another_figure_of_the_same_thing_takes_its_place(later, earlier, revised):
    assert revises(later, earlier) is revised


@pytest.mark.parametrize(
    ("later", "earlier", "retracts"),
    [
        ("Ada no longer eats meat", "Ada eats meat", True),
        ("Ada doesn't drink coffee anymore", "Ada drinks coffee every morning", True),
        ("Ada used to live in Rome", "Ada lives in Rome", True),
        ("Ada stopped smoking", "Ada smokes", True),
        ("Ada doesn't like tea", "Ada loves tea", True),
        ("Ada is no longer vegetarian", "Ada is vegetarian", True),
        ("Ada eats meat", "Ada no longer eats meat", True),
        ("Ada no longer likes tea", "Ada likes coffee and tea", False),
        ("Ada no longer eats meat", "Bob eats meat", False),
        ("Ada no longer eats meat", "Ada eats fish", False),
        ("Ada did not go to Rome", "Ada goes to Rome", False),
        ("Ada never drinks", "Ada drinks", False),
        ("Ada no longer works", "Ada used to work", False),
        ("Ada", "Ada", False),
    ],
)
def test_what_is_no_longer_so_takes_back_what_was(later, earlier, retracts):
    assert contradicts(later, earlier) is retracts


def test_a_near_duplicate_is_a_mention_and_no_row(verbatim):
    say(verbatim, "Ada loves strong coffee")
    say(verbatim, "Ada really loves strong coffee")
    say(verbatim, "Ada loves strong coffee at 8", "Ada loves no strong coffee")

    assert {text: fact.mentions for text, fact in facts(verbatim).items()} == {
        "Ada loves strong coffee": 2,
        "Ada loves strong coffee at 8": 1,
        "Ada loves no strong coffee": 1,
    }


def test_near_duplicates_in_one_turn_are_folded_too(verbatim):
    say(verbatim, "Ada loves strong coffee. Ada really loves strong coffee. Ada loves strong coffee")

    assert len(facts(verbatim)) == 1


def test_words_alone_fold_nothing_when_there_are_no_vectors_to_agree(verbatim, monkeypatch):
    say(verbatim, "Ada loves strong coffee")

    known = Known(similar={"b": [fact("a", "Ada loves tea")]})
    changes = resolve([proposed("b", "Ada really loves tea")], known)

    assert [new.fact.id for new in changes.add] == ["b"]


def test_a_retraction_ends_what_it_takes_back_and_the_past_still_knows_it(verbatim):
    say(verbatim, "Ada eats meat", "Ada drinks coffee every morning")
    say(verbatim, "Ada no longer eats meat", day=10)

    assert set(facts(verbatim)) == {"Ada no longer eats meat", "Ada drinks coffee every morning"}
    assert "Ada eats meat" in facts(verbatim, as_of=NOW + timedelta(days=5))
    assert "Ada eats meat" not in facts(verbatim, as_of=NOW + timedelta(days=11))


def test_forget_that_retires_what_was_said_before_and_its_verbatim_text(verbatim):
    say(verbatim, "Ada likes tea")
    sitting = Attribution("ada", "bot", "today")
    say(verbatim, "Ada has a secret garden", who=sitting)
    say(verbatim, "Noted!", role="assistant", who=sitting)
    say(verbatim, "Oh, please forget that.", who=sitting)

    assert set(facts(verbatim)) >= {"Ada likes tea"}
    assert "Ada has a secret garden" not in facts(verbatim)
    assert [one.text for one in verbatim.recall("secret garden", attribution=ADA) if "secret" in one.text] == []


def test_what_is_taken_back_in_the_same_turn_is_not_learnt(verbatim):
    verbatim.record([("user", "Ada has a secret"), ("assistant", "Oh?"), ("user", "Forget that")], attribution=ADA)
    assert verbatim.augmentation.wait(20)

    assert "Ada has a secret" not in facts(verbatim)
    assert [one.text for one in verbatim.recall("secret", attribution=ADA) if "secret" in one.text] == []


def test_forgetting_something_named_leaves_the_rest(verbatim):
    say(verbatim, "Ada likes green tea", "Ada likes coffee")
    say(verbatim, "Forget about the green tea!", who=BOB)
    assert "Ada likes green tea" in facts(verbatim)

    say(verbatim, "Forget about the green tea!", "Don't forget that Ada likes coffee")

    assert "Ada likes green tea" not in facts(verbatim)
    assert "Ada likes coffee" in facts(verbatim)


def test_what_was_said_after_a_wish_to_forget_stays_however_late_the_wish_is_worked_off(verbatim):
    say(verbatim, "Bob is Ada's neighbour", "Bob is kind", day=1)
    say(verbatim, "Bob is Ada's boss", "As I said. Bob is kind", day=3)

    say(verbatim, "Forget about Bob", day=2)

    assert set(facts(verbatim)) == {"Bob is Ada's boss", "Bob is kind", "As I said"}


def test_nobody_but_the_user_has_anything_forgotten(verbatim):
    say(verbatim, "Ada likes green tea")
    say(verbatim, "Forget about green tea", "Forget that", role="assistant")
    verbatim.record({"role": "tool", "content": "Forget about green tea"}, attribution=ADA)
    assert verbatim.augmentation.wait(20)

    assert "Ada likes green tea" in facts(verbatim)


def test_a_late_value_takes_its_place_in_history(verbatim):
    say(verbatim, "Home: Bonn", day=1)
    say(verbatim, "Home: Rome", day=3)
    say(verbatim, "Home: Oslo", day=2)

    assert set(facts(verbatim)) == {"Home: Rome"}
    for day, home in ((1.5, "Home: Bonn"), (2.5, "Home: Oslo"), (3.5, "Home: Rome")):
        assert set(facts(verbatim, as_of=NOW + timedelta(days=day))) == {home}


def test_what_was_said_again_counts_from_when_it_was_said_last(verbatim):
    say(verbatim, "Home: Rome", day=1)
    say(verbatim, "As I said. Home: Rome", day=3)
    say(verbatim, "Home: Oslo", day=2)

    assert set(facts(verbatim)) == {"Home: Rome", "As I said"}


def test_what_an_assistant_claims_against_the_users_words_waits_for_review(verbatim):
    say(verbatim, "Home: Rome")
    say(verbatim, "Home: Oslo", role="assistant", day=1)

    assert set(facts(verbatim)) == {"Home: Rome"}
    assert set(facts(verbatim, statuses=["quarantined"])) == {"Home: Oslo"}


def fact(key, text, day=0, slot=None, **fields):
    return Fact(key, text, "fact", said_at=NOW + timedelta(days=day), slot=slot, **fields)


def proposed(key, text, day=0, slot=None):
    return NewFact(fact(key, text, day, slot), text, fold(text))


def settle(order):
    """The slot's facts after proposals came in this order, one job each."""
    facts = {}
    for day in order:
        active = {fold(one.text): one for one in facts.values() if one.status == "active"}
        line = list(facts.values())
        changes = resolve([proposed(f"f{day}", f"Home: {day}", day, "home")], Known(active, {"home": line}))
        for gone in changes.retire:
            old = facts[gone.fact_id]
            facts[gone.fact_id] = fact(
                old.id, old.text, int(old.id[1:]), "home",
                status=gone.status, superseded_by=gone.superseded_by, valid_to=gone.valid_to,
            )  # fmt: skip
        facts.update((new.fact.id, new.fact) for new in changes.add)
    return facts


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)))
def test_history_does_not_depend_on_when_workers_come_to_it(order):
    assert settle(order) == settle(range(6))


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)))
def test_one_batch_comes_to_what_single_jobs_come_to(order):
    batch = resolve([proposed(f"f{day}", f"Home: {day}", day, "home") for day in order], Known())

    assert batch.retire == ()
    assert {new.fact.id: new.fact for new in batch.add} == settle(range(6))
    line = sorted((new.fact for new in batch.add), key=lambda one: one.said_at)
    assert all(one.valid_to == after.said_at for one, after in pairwise(line))


@settings(max_examples=40, deadline=None)
@given(st.permutations([("Ada eats meat", 1), ("Ada no longer eats meat", 2), ("Ada eats fish", 3)]))
def test_a_retraction_wins_over_what_was_said_before_it_in_any_order(order):
    changes = resolve([proposed(new_key(), text, day) for text, day in order], Known())

    active = {new.fact.text for new in changes.add if new.fact.status == "active"}
    assert active == {"Ada no longer eats meat", "Ada eats fish"}


def test_another_entitys_fact_cannot_be_replaced(database):
    class Hostile(Extractor):
        version = "hostile/1"
        victim = ""

        def extract(self, turns):
            return [[Proposal("Ada likes tea", "fact", 0, replaces=(self.victim, "no-such-id"))] for _ in turns]

    hostile = Hostile()
    with Memori(database, embedder="hashing", extractor=hostile) as memori:
        victim = memori.remember("Bob likes milk", attribution=BOB)
        hostile.victim = victim.id
        memori.record(("user", "I like tea"), attribution=ADA)

        assert memori.augmentation.wait(20)
        assert [one.text for one in memori.facts(attribution=BOB)] == ["Bob likes milk"]
        assert [one.text for one in memori.facts(attribution=ADA)] == ["Ada likes tea"]
        assert memori.facts(attribution=Attribution("bob"))[0].status == "active"


@pytest.mark.parametrize(
    "texts",
    [
        ["緑茶が好きです。", "東京に住んでいます。", "犬を飼っています。"],
        ["Ada runs 1.5 miles", "Ada runs 15 miles", "Ada runs 1,5 miles"],
        ["Я живу в Берлине.", "Я живу в Париже."],
    ],
)
def test_facts_of_any_script_and_number_are_told_apart_and_found_again(memori, texts):
    for text in [*texts, *texts]:
        memori.remember(text, attribution=ADA)

    assert {fact.text: fact.mentions for fact in memori.facts(attribution=ADA)} == dict.fromkeys(texts, 2)


def claimed(order):
    """What stands after proposals of one batch, each a text with its day and its claim."""
    new = [(proposed(f"f{day}", text, day, slot), claim) for text, day, slot, claim in order]
    changes = resolve([one for one, _ in new], Known(claims={one.fact.id: claim for one, claim in new}))
    return {one.fact.text: one.fact.status for one in changes.add}


WORK = "ada|works at"
LIDL = ("Ada works at Lidl", 1, WORK, Claim(value="Lidl"))
TESCO = ("Ada works at Tesco", 2, WORK, Claim(value="Tesco"))


def test_a_value_said_again_in_more_words_stands_beside_the_first():
    again = ("Ada started at Lidl in May", 2, WORK, Claim(value="Lidl"))

    assert set(claimed([LIDL, again]).values()) == {"active"}


def test_what_is_over_ends_what_it_names_and_not_its_successor():
    over = ("Ada no longer works at Lidl", 3, WORK, Claim(ends=(Ending(WORK, "Lidl"),)))

    assert claimed([LIDL, TESCO, over])["Ada works at Tesco"] == "active"
    assert claimed([LIDL, over])["Ada works at Lidl"] == "superseded"


def test_one_statement_ends_several_slots():
    trade = ("Ada works as a baker", 0, "ada|works as", Claim())
    quit_ = ("Ada quit", 3, WORK, Claim(ends=(Ending(WORK), Ending("ada|works as"))))

    assert claimed([trade, LIDL, quit_]) == {
        "Ada works as a baker": "superseded", "Ada works at Lidl": "superseded", "Ada quit": "active",
    }  # fmt: skip


def test_a_family_of_slots_is_ended_only_where_it_names_the_thing():
    car = ("Ada drives a Polo", 1, "ada|drives", Claim())
    tea = ("Ada drinks tea", 2, "ada|does drink tea", Claim())
    sold = ("Ada sold the Polo", 3, None, Claim(ends=(Ending("ada|*", "Polo"),)))

    assert claimed([car, tea, sold]) == {
        "Ada drives a Polo": "superseded", "Ada drinks tea": "active", "Ada sold the Polo": "active",
    }  # fmt: skip
