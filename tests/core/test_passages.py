"""A text longer than an embedder reads is embedded whole, in passages, and found by whatever it says."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memori import Attribution, Memori
from memori.augmentation.embedding import embed
from memori.augmentation.passages import MOST, spans, split
from memori.embedding.hashing import HashingEmbedder
from memori.embedding.onnx import MiniLMEmbedder
from memori.errors import EmbeddingError
from memori.model import Fact
from memori.storage.records import Unembedded

ADA = Attribution("ada", "bot")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["tea", "Really?", "It rained.", "\n\n", "私は東京に住んでいます。", "x" * 90, "naïve", "…", "“Yes.”"]
)
TEXTS = st.lists(WORDS, max_size=80).map(" ".join)
count = HashingEmbedder().count_tokens


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.integers(1, 40))
@example("0:0 0\x080 0 0\x1b0\x080:0{0 0:0 0:0 0:0:0:0\x1b 000000000", 32)
def test_passages_are_the_text_in_order_each_within_the_window(text, window):
    passages = spans(text, window=window, count=count)

    assert passages == spans(text, window=window, count=count)
    assert 1 <= len(passages) <= MOST
    assert all(count(text[start:end]) <= window for start, end in passages)
    for (start, end), (following, further) in itertools.pairwise(passages):
        assert start < following
        assert end < further
        assert not text[end:following].strip()
    assert not text[: passages[0][0]].strip()
    assert len(passages) == MOST or not text[passages[-1][1] :].strip()


def test_passages_end_where_sentences_do_and_overlap():
    text = " ".join(f"This is the sentence with number {number}." for number in range(40))

    passages = split(text, window=60, count=count)

    assert len(passages) > 3
    assert all(passage.endswith(".") for passage in passages)
    for one, following in itertools.pairwise(passages):
        assert any(following.startswith(one[-length:]) for length in range(1, len(one)))


def test_a_text_of_any_length_is_split_in_few_passages():
    for text in ("word " * 200_000, "x" * 1_000_000, "語" * 100_000):
        assert len(split(text, window=254, count=count)) == MOST or text.startswith("x")


def test_a_passage_is_never_longer_than_the_default_model_reads():
    embedder = MiniLMEmbedder()
    text = " ".join(f"Zwölfeinhalb xqzj{number} antidisestablishmentarianism, 東京 {number}!" for number in range(120))

    passages = split(text, window=embedder.max_tokens, count=embedder.count_tokens)

    assert len(passages) > 5
    assert max(embedder.count_tokens(passage) for passage in passages) <= embedder.max_tokens
    assert embedder.count_tokens("a b \ud800") == 2


def test_a_fact_has_a_vector_for_each_passage_and_its_speaker_in_each():
    embedder = HashingEmbedder()
    embedder.max_tokens = 16
    said = Fact(id="1", text="I keep bees in Rome. " * 3 + "My boat is red.", kind="episode", speaker="Ada")
    before = Fact(id="2", text="And you?", kind="episode", speaker="Bob")

    ((*vectors,),) = [one.tolist() for one in embed(embedder, [Unembedded(said, (before,))])]
    short = embed(embedder, [Unembedded(before)])[0]

    passages = split(said.text, window=embedder.max_tokens - count("Ada: "), count=count)
    assert len(vectors) == len(passages) > 1
    assert vectors[-1] == pytest.approx(embedder.embed([f"Ada: {passages[-1]}"])[0])
    assert short.shape == (1, embedder.space.dimension)


def test_what_is_said_at_the_end_of_a_long_message_is_found_by_its_meaning(database):
    meeting = "The quarterly figures were discussed and the budget for the new office was put off again. " * 30
    long = meeting + "By the way, my sister has adopted a parrot."
    with Memori(database, extractor="none") as memori:
        for number, text in enumerate(
            (long, "We bought a house.", "The train was late.", "I cooked pasta with basil.")
        ):
            memori.record([("user", text)], attribution=ADA.with_session(str(number)))
        assert memori.augmentation.wait(60)

        found = memori.recall("Which bird lives with a sibling?", attribution=ADA, limit=3, min_relevance=0)

    assert found[0].text == long


class Unknowing(HashingEmbedder):
    """Knows its dimension only once it has embedded something."""

    answered = False

    @property
    def space(self):
        if not self.answered:
            raise EmbeddingError("the dimension is not known yet")
        return super().space

    def embed(self, texts):
        self.answered = True
        return super().embed(texts)


def test_an_embedder_that_learns_its_dimension_from_its_first_answer_works(database):
    with Memori(database, embedder="hashing/64", extractor="none") as memori:
        memori.remember("Ann drinks green tea", attribution=ADA)
    with Memori(database, embedder=Unknowing(), extractor="none") as memori:
        assert memori.reindex().facts == 1
    with Memori(database, embedder=Unknowing(), extractor="none") as memori:
        assert memori.recall("green tea", attribution=ADA)[0].text == "Ann drinks green tea"
    with Memori(database, embedder=Unknowing(), extractor="none") as memori:
        memori.remember("Ann has a boat", attribution=ADA)
        space = memori.embedder.space
        rows = memori.config.storage.changes_since(Attribution("ada", namespace="default"), space, -1).rows
        assert all(row.vectors is not None and np.any(row.vectors) for row in rows)
