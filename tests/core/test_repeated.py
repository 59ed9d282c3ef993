"""What says the same is shown once, whether all that was found is read or only what can matter."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from memori import Memori, hookimpl
from memori.model import Fact, Recalled
from memori.recall.repeated import ShownOnce
from memori.storage.records import IndexRow
from memori.text import terms

from .conftest import ADA

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "anna moved the old red piano from the house by the river to her new flat near the station with tim on sunday"
LINES = (
    LONG,
    "the train leaves at 9",
    "I love rye bread",
    "this is not that",
    "東京の駅でピアノを見た",
    "C++ isn't Java",
)
PLACES = "foot monday horseback tuesday ships wednesday tiptoe thursday rafts friday wheels saturday"
CHANGES = ("", "really", "not", "7", "piano", "the", "?", "and so on, and on")


@st.composite
def wordings(draw):
    """A line of ours with a word or two taken out, put in or exchanged."""
    words = draw(st.sampled_from(LINES)).split()
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(words)))
        words[place : place + draw(st.integers(0, 1))] = [draw(st.sampled_from(CHANGES))]
    return draw(st.sampled_from((str.strip, str.title, str.upper)))(" ".join(words)) or "."


def memory(number, text, kind, speaker):
    said_at, key = NOW + timedelta(days=number % 7), f"message {number % 5}"
    fact = Fact(str(number), text, kind, speaker=speaker, said_at=said_at, mentions=number + 1, message_key=key)
    lexical = " ".join(terms(f"{fact.said_at:%d %B %Y} {speaker}: {text}"))
    row = IndexRow(fact.id, lexical, kind, "active", speaker, None, None, fact.said_at, None, None, None)
    return row, Recalled(fact, 1 - number / 100)


@given(
    st.lists(st.tuples(wordings(), st.sampled_from(["fact", "episode"]), st.sampled_from(["Ann", None])), max_size=30),
    st.integers(0, 5),
)
@settings(max_examples=300, deadline=None)
def test_what_is_not_read_could_not_have_been_shown_or_counted(found, limit):
    memories = [memory(number, *one) for number, one in enumerate(found)]
    whole, sparing = ShownOnce(limit), ShownOnce(limit)

    for _, one in memories:
        whole.add(one)
    for row, one in memories:
        if not sparing.full or sparing.may_repeat(row):
            sparing.add(one)

    assert sparing.memories() == whole.memories()


def test_a_memory_that_shares_few_words_with_what_is_shown_is_not_read():
    shown = ShownOnce(1)
    shown.add(memory(0, LONG, "fact", None)[1])

    assert not shown.may_repeat(memory(1, "anna moved the piano", "fact", None)[0])
    assert not shown.may_repeat(memory(1, LONG, "episode", None)[0])
    assert shown.may_repeat(memory(1, LONG.replace("sunday", "monday"), "fact", None)[0])


class Indifferent:
    @hookimpl
    def memori_score(self, recalled):
        return [1.0] * len(recalled)


def test_recall_answers_alike_whether_a_plugin_has_everything_read_or_not(tmp_path):
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    options = {"embedder": "hashing", "extractor": "none"}
    with Memori(url, **options) as memori:
        for number, place in enumerate(PLACES.split()):
            memori.remember(LONG.replace("sunday", place), attribution=ADA)
            memori.remember(f"{LINES[1 + number % 2]}, {number} times", attribution=ADA)

    def answers(**more):
        with Memori(url, **options, **more) as memori:
            asked = [memori.recall("Where is the piano of Anna?", attribution=ADA, limit=n) for n in (1, 3, 10, 40)]
        return [[(one.fact, one.score) for one in recalled] for recalled in asked]

    sparing, everything = answers(), answers(plugins=[Indifferent()])

    assert sparing == everything
    assert sparing[0][0][0].mentions == len(PLACES.split())


def shown(*found):
    """What is shown of (text, kind, message key)s, best first."""
    memories = ShownOnce(10)
    for number, (text, kind, key) in enumerate(found):
        memories.add(Recalled(Fact(str(number), text, kind, said_at=NOW, message_key=key), 1.0))
    return [one.text for one in memories.memories()]


def test_a_fact_and_its_message_take_one_place_and_facts_of_one_message_do_not():
    message = ("I moved to Porto and I row", "episode", "m")
    moved, rows = ("Ada moved to Porto", "event", "m"), ("Ada rows", "skill", "m")
    other = ("Ada likes tea", "preference", "n")

    assert shown(message, moved, rows, other) == ["I moved to Porto and I row", "Ada likes tea"]
    assert shown(moved, message, rows, other) == ["Ada moved to Porto", "Ada rows", "Ada likes tea"]
    again = ("Ada moved to Porto.", "event", "later")
    assert shown(moved, again, ("Yes, I moved to Porto", "episode", "later")) == ["Ada moved to Porto"]
    assert shown(moved, ("By hand", "fact", None), ("By hand too", "fact", None)) == [
        "Ada moved to Porto", "By hand", "By hand too",
    ]  # fmt: skip
