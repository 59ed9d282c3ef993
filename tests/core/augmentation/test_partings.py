"""A statement ends an earlier one of the same matter, in whatever words, and hardly ever one that goes on."""

from datetime import UTC, datetime, timedelta

import pytest
from memori import Attribution, Memori
from memori.augmentation.extraction.base import Extractor
from memori.embedding.onnx import MiniLMEmbedder
from memori.errors import EmbeddingError, UnsupportedError
from memori.model import Proposal
from memori.storage.sql.storage import SQLStorage

from benchmarks.extraction import load

ANOTHER_LIFE = {
    f"t{number:03}"
    for number in (
        1, 9, 10, 12, 13, 16, 23, 29, 33, 34, 44, 52, 53, 54, 55, 70, 74, 87, 108, 114, 116, 124, 125, 127, 132, 142,
        143, 150, 151, 152, 153, 165, 166, 173, 175, 187, 188, 189, 190, 194,
    )
}  # fmt: skip
"""Cases of the tuning set that no one person could say as well as the others: another home, name, age or diet."""
UNRELATED = """
My sister got a new job in Leeds. We went to the lake on Saturday. I finished a puzzle of a thousand pieces.
I bought a pair of boots. My neighbour sold his motorbike. I lost my umbrella on the tram.
We watched a film about whales.
I repaired the garden gate. Our kettle broke this morning. I baked two loaves of rye bread. My cousin quit smoking.
I learnt a card trick. I met an old friend at the market. We booked a table for four. The lift is out of order again.
I cut my finger while cooking. My aunt moved to Malta. I gave a talk about moths. I am tired of the rain now.
I changed a tyre on the motorway. My colleague left the firm. I found a coin from 1894. We painted the fence green.
"""

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class AsWritten(Extractor):
    """Takes each line for a statement: "event: The user sold the car."; without a kind it is a fact."""

    version = "as-written/1"

    def extract(self, turns):
        return [
            [
                Proposal(text, kind or "fact", at)
                for at, stored in enumerate(turn.messages)
                for line in stored.message.content.splitlines()
                for kind, _, text in [line.rpartition(": ")]
            ]
            for turn in turns
        ]


class WithoutExamples(MiniLMEmbedder):
    """Fails as soon as it is given many texts."""

    def embed(self, texts):
        if len(texts) > 50:
            raise EmbeddingError("too many texts")
        return super().embed(texts)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with Memori(f"sqlite:///{tmp_path_factory.mktemp('as written') / 'memory.db'}", embedder="minilm",
                extractor=AsWritten()) as made:  # fmt: skip
        yield made


def say(memori, who, *lines, day=0, name=None):
    """One message a line, a day apart, in one go."""
    memori.record(
        [
            {"role": "user", "content": line, "name": name, "created_at": NOW + timedelta(days=day + at)}
            for at, line in enumerate(lines)
        ],
        attribution=who,
    )
    assert memori.augmentation.wait(60)


def over(memori, who):
    kept = memori.facts(attribution=who, statuses=("superseded",), limit=1000)
    return {fact.text for fact in kept if fact.kind != "episode"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The user banks with Halifax.", "event: The user moved the account over to Starling last month."),
        ("The user takes 50mg sertraline each morning.", "event: The GP swapped the user onto mirtazapine."),
        ("The user is vegetarian.", "The user has gone back to eating meat, mostly beef."),
        ("The user is in the third year of the nursing degree.", "event: The user graduated today."),
        ("The user smokes a pack a day.", "The user has been smoke-free for a month now."),
        ("preference: The user can't stand coriander.", "Coriander has completely grown on the user."),
        ("The user keeps six hens.", "event: The user gave the hens to the neighbours."),
        ("The user's wrist is in a cast.", "The user's cast is off."),
        ("The user has a fiancée, Ruta.", "event: The user's fiancée Ruta called the wedding off."),
        ("The user rents a basement flat.", "event: The user got the keys to the user's own townhouse."),
        ("rule: The user asks the assistant to keep the answers short.", "The user wants long, detailed answers."),
    ],
)
def test_what_makes_an_earlier_statement_untrue_ends_it(written, request, before, after):
    who = Attribution(request.node.name)

    say(written, who, before, day=0)
    say(written, who, "The user has two sisters.", "The user likes to paint.", after, day=30)

    assert over(written, who) == {before.rpartition(": ")[2]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The user banks with Halifax.", "event: The user's sister moved her account over to Starling."),
        ("The user lives in Porto.", "event: The user spent two weeks in Berlin."),
        ("The user lives in Porto.", "The user might move to Berlin next year."),
        ("The user has a beagle.", "event: The user adopted a second dog."),
        ("The user speaks Danish.", "The user is learning Greek now."),
        ("The user works at Volvo.", "event: The user was offered a job at Scania."),
        ("The user is a teacher.", "event: The user finished a novel last night."),
        ("The user works as a nurse.", "event: The user gave a guest lecture at the nursing college."),
        ("The user wears glasses.", "event: The user bought a pair of sunglasses."),
        ("The user banks with ING.", "event: The user lost the user's bank card."),
        ("The user studies physics.", "event: The user finished the physics homework."),
        ("The user takes ibuprofen.", "event: The user finished the ibuprofen packet."),
        ("The user has a Samsung phone.", "event: The user dropped the user's phone."),
        ("The user goes to the gym twice a week.", "event: The user left the gym at eight."),
        ("The user is allergic to penicillin.", "The user can't eat gluten."),
        ("Ines is the user's wife.", "event: Ines just made partner at her firm."),
        ("preference: The user likes jazz.", "preference: The user likes techno."),
        ("event: The user moved to Oslo.", "event: The user moved on to Bergen."),
        ("rule: The user asks the assistant to show sources.", "rule: The user asks the assistant to use no emojis."),
    ],
)
def test_what_only_sounds_like_a_change_ends_nothing(written, request, before, after):
    who = Attribution(request.node.name)

    say(written, who, before, day=0)
    say(written, who, after, day=30)

    assert over(written, who) == set()


def test_statements_of_one_conversation_end_each_other_in_order(written):
    who = Attribution("one conversation")

    say(written, who, "The user is vegetarian.", "The user eats meat again.", "The user is vegetarian again.")

    facts = {fact.text: fact for fact in written.facts(attribution=who, statuses=("active", "superseded"))}
    assert facts["The user is vegetarian."].status == "superseded"
    assert facts["The user is vegetarian."].superseded_by == facts["The user eats meat again."].id


def test_an_end_takes_effect_only_on_what_was_said_before_it(written):
    who = Attribution("later")

    say(written, who, "event: The user sold the Polo.", day=0)
    say(written, who, "The user drives the Polo to work.", day=30)

    assert over(written, who) == set()


def test_what_one_person_says_ends_nothing_that_another_said(written):
    who = Attribution("a group")

    say(written, who, "Ada smokes a pack a day.", name="Ada", day=0)
    say(written, who, "Bob quit smoking.", name="Bob", day=30)

    assert over(written, who) == set()


def test_an_embedder_that_compares_words_concludes_nothing(database):
    with Memori(database, embedder="hashing", extractor=AsWritten()) as memori:
        who = Attribution("ada")
        say(memori, who, "The user banks with Halifax.", "event: The user moved the account over to Starling.")

        assert over(memori, who) == set()


def test_what_is_stated_by_hand_ends_nothing_unless_told_so(written):
    who = Attribution("by hand")
    written.remember("The user banks with Halifax.", attribution=who)
    written.remember("The user moved the account over to Starling.", attribution=who)

    assert over(written, who) == set()


def test_an_extractor_that_is_shown_what_is_known_decides_itself(database):
    class Informed(AsWritten):
        reads_memories = True

    with Memori(database, embedder="minilm", extractor=Informed()) as memori:
        who = Attribution("ada")
        say(memori, who, "The user banks with Halifax.", day=0)
        say(memori, who, "event: The user moved the account over to Starling.", day=30)

        assert over(memori, who) == set()


def test_all_is_kept_when_the_embedder_fails(database):
    with Memori(database, embedder=WithoutExamples(), extractor=AsWritten()) as memori:
        who = Attribution("ada")
        say(memori, who, "The user banks with Halifax.", "event: The user moved the account over to Starling.")

        assert over(memori, who) == set()
        assert len(memori.facts(attribution=who)) == 2


def test_a_storage_that_gives_no_vectors_has_its_facts_embedded_again(database, monkeypatch):
    def rows(*_, **__):
        raise UnsupportedError("no rows")

    monkeypatch.setattr(SQLStorage, "rows", rows)
    with Memori(database, embedder="minilm", extractor=AsWritten()) as memori:
        who = Attribution("ada")
        say(memori, who, "The user banks with Halifax.", day=0)
        say(memori, who, "event: The user moved the account over to Starling.", day=30)

        assert over(memori, who) == {"The user banks with Halifax."}


def test_among_many_facts_of_one_person_hardly_anything_ends(database):
    who = Attribution("one person")
    life = [case for case in load("tuning") if len(case.messages) == 1 and case.id not in ANOTHER_LIFE]
    said = [case.messages[0].content for case in life if case.messages[0].role == "user" and not case.messages[0].name]
    later = [f"{sentence.strip()}." for sentence in UNRELATED.strip().rstrip(".").split(".")]
    with Memori(database, embedder="minilm") as memori:
        say(memori, who, *said)
        known = [fact for fact in memori.facts(attribution=who, limit=1000) if fact.kind != "episode"]
        say(memori, who, *later, day=1000)

        assert len(known) >= 90
        assert over(memori, who) == set()
