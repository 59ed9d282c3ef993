"""What recall finds, in which order, and what it does when a part of it fails."""

import logging
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from memori import Memori, Message, Provider, RecallOptions, RecallWeights, hookimpl
from memori.augmentation.extraction.base import Extractor
from memori.errors import UnknownProviderError
from memori.model import Proposal, Triple
from memori.recall.base import Reranker

from .conftest import ADA, BOB

NOW = datetime.now(UTC)


def texts(recalled):
    return [one.text for one in recalled]


def said(memori, *lines, at=NOW, who=ADA):
    roles = ("user", "assistant")
    memori.record(
        [Message(roles[i % 2], line, created_at=at + timedelta(minutes=i)) for i, line in enumerate(lines)],
        attribution=who,
    )
    assert memori.augmentation.wait(30)


class Triples(Extractor):
    """Reads "subject | predicate | object" out of a message."""

    version = "triples/1"

    def extract(self, turns):
        return [
            [
                Proposal(" ".join(parts), "fact", number, triples=(Triple(*parts),))
                for number, stored in enumerate(turn.messages)
                if len(parts := tuple(part.strip() for part in stored.message.content.split("|"))) == 3
            ]
            for turn in turns
        ]


class Longest(Reranker):
    """Puts the longest text first."""

    def rerank(self, query, texts):
        return [min(len(text) / 100, 1.0) for text in texts]


class Failing(Reranker):
    """Answers with whatever it is given."""

    answer = None

    def rerank(self, query, texts):
        if self.answer is None:
            raise RuntimeError("out of memory")
        return self.answer


# the arms


def test_a_question_about_a_time_finds_what_was_said_then(memori):
    for ago, place in ((400, "Rome"), (40, "Oslo"), (1, "Kyiv")):
        said(memori, f"We had dinner in {place}", at=NOW - timedelta(days=ago), who=ADA.with_session(place))

    then = NOW - timedelta(days=40)
    found = memori.recall(f"Where did we have dinner on {then:%d %B %Y}?", attribution=ADA, explain=True)

    assert found[0].text == "We had dinner in Oslo"
    assert [one.parts["window"] > 0 for one in found] == [True, False, False]


def test_yesterday_is_seen_from_as_of(memori):
    for ago, place in ((31, "Oslo"), (1, "Kyiv")):
        said(memori, f"We had dinner in {place}", at=NOW - timedelta(days=ago), who=ADA.with_session(place))

    found = memori.recall("dinner yesterday", as_of=NOW - timedelta(days=30), attribution=ADA, explain=True)

    assert texts(found) == ["We had dinner in Oslo"]
    assert found[0].parts["window"] > 0


def test_the_graph_reaches_what_the_best_answer_is_about(database):
    with Memori(database, embedder="hashing", extractor=Triples()) as memori:
        said(memori, "my sister | is | Anna")
        for number in range(30):
            said(memori, f"Person {number} | lives in | Town {number}", who=ADA.with_session(str(number)))
        said(memori, "Anna | owns | a bakery", who=ADA.with_session("bakery"))

        found = memori.recall("my sister", kinds=["fact"], min_relevance=0, attribution=ADA, explain=True)

    assert texts(found)[:2] == ["my sister is Anna", "Anna owns a bakery"]
    assert found[1].parts["linked"] > 0


def test_a_forgotten_fact_links_nothing(database):
    with Memori(database, embedder="hashing", extractor=Triples()) as memori:
        said(memori, "my sister | is | Anna")
        said(memori, "Anna | owns | a bakery", who=ADA.with_session("bakery"))
        memori.recall("my sister", attribution=ADA)
        sister = next(fact for fact in memori.facts(attribution=ADA) if "sister" in fact.text)

        memori.forget(sister.id, attribution=ADA)
        found = memori.recall("my sister", kinds=["fact"], min_relevance=0, attribution=ADA, explain=True)

    assert all(one.parts["linked"] == 0 for one in found)
    assert "my sister is Anna" not in texts(found)


# the boosts


def test_the_newer_of_two_equally_good_answers_comes_first(memori):
    said(memori, "The garden code is blue heron", at=NOW - timedelta(days=300))
    said(memori, "The garden code is green heron", at=NOW - timedelta(hours=1), who=ADA.with_session("later"))

    assert texts(memori.recall("garden code", attribution=ADA))[0] == "The garden code is green heron"


def test_a_question_answers_less_than_a_statement(memori):
    said(memori, "Is the garden gate locked at night?")
    said(memori, "At night is the garden gate locked.", who=ADA.with_session("other"))

    assert texts(memori.recall("garden gate locked night", attribution=ADA))[0].endswith(".")


def test_what_is_remembered_as_important_comes_first(memori):
    memori.remember("Ada likes figs and honey", importance=0.2, attribution=ADA)
    memori.remember("Ada likes figs and cheese", importance=0.9, attribution=ADA)

    assert texts(memori.recall("figs", attribution=ADA)) == ["Ada likes figs and cheese", "Ada likes figs and honey"]


# what says the same


def test_what_says_the_same_is_shown_once_in_its_newest_wording(memori):
    for number, line in enumerate(("I really love rye bread", "i really love rye bread!", "I really love RYE bread")):
        said(memori, line, at=NOW + timedelta(days=number - 9), who=ADA.with_session(str(number)))

    [found] = memori.recall("rye bread", attribution=ADA)

    assert found.text == "I really love RYE bread"
    assert found.fact.mentions == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the last train to the coast leaves at 9 at noon", "the last train to the coast leaves at 8 at noon"),
        ("Anna loves Ben", "Ben loves Anna"),
        ("Am I allergic to peanuts?", "I am allergic to peanuts."),
        ("Ada does eat the fish her brother caught", "Ada does not eat the fish her brother caught"),
        ("Ada can eat the fish that her brother caught here", "Ada can't eat the fish that her brother caught here"),
    ],
)  # fmt: skip
def test_numbers_negations_order_and_questions_tell_memories_apart(memori, one, other):
    memori.remember(one, attribution=ADA)
    memori.remember(other, attribution=ADA)

    assert sorted(texts(memori.recall(one, attribution=ADA))) == sorted([one, other])


def test_two_speakers_who_say_the_same_are_both_heard(memori):
    said(memori, "I will bring the salad", "I will bring the salad")

    assert len(memori.recall("bring the salad", attribution=ADA)) == 2


# the block


def test_a_short_answer_comes_with_its_question(memori):
    memori.record(
        [
            Message("assistant", "When do you plant the tulips?", created_at=NOW),
            Message("user", "Tulips in late October.", created_at=NOW),
            Message("assistant", "Good.", created_at=NOW),
        ],
        attribution=ADA,
    )
    assert memori.augmentation.wait(30)

    block = memori.context("tulips October", limit=1, attribution=ADA).text
    alone = memori.context("tulips October", limit=1, attribution=ADA, exclude=["When do you plant the tulips?"]).text

    assert "The assistant asked: When do you plant the tulips? The user said: Tulips in late October." in block
    assert "Tulips in late October." in alone
    assert "asked" not in alone


def test_a_question_never_takes_the_room_of_a_memory(memori):
    long = "word " * 60
    memori.record(
        [
            Message("assistant", f"When do you plant the tulips, {long}?", created_at=NOW),
            Message("user", "Tulips in late October.", created_at=NOW),
        ],
        attribution=ADA,
    )
    assert memori.augmentation.wait(30)

    context = memori.context("tulips October", limit=1, token_budget=60, attribution=ADA)

    assert "asked" not in context.text
    assert context.tokens <= 60


def test_a_block_says_when_vectors_were_missing(database):
    class Deaf(type(_hashing())):
        def embed_query(self, query):
            raise RuntimeError("the model is gone")

    with Memori(database, embedder=Deaf(), extractor="none") as memori:
        memori.remember("Ada keeps bees", attribution=ADA)
        context = memori.context("bees", attribution=ADA)

    assert "bees" in context.text
    assert "words alone" in context.degraded


def _hashing():
    from memori.embedding.hashing import HashingEmbedder

    return HashingEmbedder()


# the reranker


def test_a_reranker_has_the_last_word(database):
    with Memori(database, embedder="hashing", extractor="none", reranker=Longest()) as memori:
        memori.remember("figs", attribution=ADA)
        memori.remember("figs with a great deal of honey on top", attribution=ADA)
        found = memori.recall("figs", attribution=ADA, explain=True)

    assert texts(found)[0] == "figs with a great deal of honey on top"
    assert found[0].score == found[0].parts["reranker"]
    assert "fused" in found[0].parts


@pytest.mark.parametrize("answer", [None, [0.5], [float("nan"), 1.0], ["high", "low"], [[1.0], [0.0]]])
def test_a_reranker_that_fails_leaves_the_order_of_fusion(database, answer, caplog):
    failing = Failing()
    failing.answer = answer
    with Memori(database, embedder="hashing", extractor="none", reranker=failing) as memori:
        memori.remember("figs", attribution=ADA)
        memori.remember("figs with a great deal of honey on top", attribution=ADA)
        with caplog.at_level(logging.DEBUG, "memori"):
            found = memori.recall("figs", attribution=ADA)

    assert texts(found)[0] == "figs"
    assert any("reranking" in record.message for record in caplog.records)


def test_a_plugin_brings_a_reranker_by_name(database):
    class Plugin:
        @hookimpl
        def memori_rerankers(self):
            return [Provider("longest", f"{__name__}:Longest")]

    with pytest.raises(UnknownProviderError, match="No reranker is named 'longest'"):
        Memori(database, reranker="longest")
    with Memori(database, embedder="hashing", extractor="none", reranker="longest", plugins=[Plugin()]) as memori:
        memori.remember("figs", attribution=ADA)
        memori.remember("figs with a great deal of honey on top", attribution=ADA)

        assert texts(memori.recall("figs", attribution=ADA))[0] == "figs with a great deal of honey on top"


def test_something_else_is_no_reranker(database):
    with pytest.raises(TypeError, match="Reranker"):
        Memori(database, reranker=object())


# the floor


def test_what_has_nothing_to_do_with_the_question_is_not_shown(database):
    with Memori(database, extractor="none") as memori:
        memori.remember("Ada is allergic to walnuts", attribution=ADA)

        assert texts(memori.recall("Which nuts must Ada not eat?", attribution=ADA)) == ["Ada is allergic to walnuts"]
        assert not memori.context("Reverse a linked list in C", attribution=ADA)


def test_the_floor_is_an_option(database):
    with Memori(database, embedder="hashing", extractor="none", recall=RecallOptions(min_relevance=1.0)) as memori:
        memori.remember("Ada is allergic to walnuts", attribution=ADA)

        assert memori.recall("walnuts and almonds", attribution=ADA) == []
        assert memori.recall("walnuts and almonds", min_relevance=0.0, attribution=ADA)
        assert memori.recall("walnuts and almonds", min_relevance=0.0, attribution=BOB) == []


def test_scores_stay_between_zero_and_one(memori):
    for number in range(20):
        memori.remember(f"honey of kind {number}", importance=1.0, attribution=ADA)

    found = memori.recall("honey", limit=20, attribution=ADA)

    assert len(found) == 20
    assert np.all([0 <= one.score <= 1 for one in found])


def test_weights_are_an_option(database):
    deaf_to_words = RecallOptions(weights=RecallWeights(lexical=0.0), min_relevance=0.0)
    with Memori(database, embedder="hashing", extractor="none", recall=deaf_to_words) as memori:
        memori.remember("figs and honey", attribution=ADA)

        [found] = memori.recall("figs", attribution=ADA, explain=True)

    base = found.parts["vector"] * found.parts["boost"]
    assert found.score == pytest.approx(base / (1 + 0.15 + 2 * 0.15 + 0.1 + 0.1))
