"""Whatever is said and whatever an extractor answers, the job ends, keeps what it can, and says what it could not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from memori import Attribution, Memori, Message
from memori.model import Proposal, Triple
from memori.privacy.codec import PlainCodec
from memori.settings import load

from tests.core.augmentation.conftest import Scripted

ADA, BOB = Attribution("ada", namespace="default"), Attribution("bob", namespace="default")
SOUND = Proposal("Ada likes tea.", "preference", 0)

TABLE = "| name | age |\n|------|-----|\n| Ana  | 31  |\n" * 50
LOG = "2026-03-04 10:00:00,123 ERROR [pool-7] failed to like my tea\nTraceback (most recent call last):\n" * 50
ODD = {
    "empty": "",
    "blank": " \n\t \u200b ",
    "a megabyte": "I like green tea and long walks. " * 32_000,
    "a megabyte without a space": "a" * 1_000_000,
    "binary": bytes(range(256)).decode("latin-1") * 40,
    "NUL and a lone surrogate": "I like \x00 tea \ud800.",
    "mixed languages": "Я живу в Берлине. 我住在柏林。 أنا أعيش في برلين. Ich wohne in Berlin. I live in Berlin.",
    "emoji": "🎉👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "code": "```python\nimport os\nI = my.wife()\nprint(I.like('tea'))\n```",
    "a table": TABLE,
    "a log": LOG,
    "a date that does not exist": "I was born on 31 February 1999 and on 45/13/2020.",
    "a contradiction": "I live in Rome, I live in Paris and I don't live anywhere.",
}


@pytest.fixture
def answering(database: str):
    """Learn from one message what the extractor answers for it; return the memory and the job."""
    opened = []

    def answering(answer: object):
        memori = Memori(
            database,
            embedder="hashing",
            extractor=Scripted(lambda text: answer() if callable(answer) else answer),
            settings=load(drain_timeout=0.0, max_attempts=1),
        )
        opened.append(memori)
        memori.attribution("ada").record([("user", "I like tea.")])
        memori.augmentation.wait(30)
        (job,) = memori.config.storage.jobs(None)
        return memori, job

    yield answering
    for memori in opened:
        memori.close()


def texts(memori: Memori) -> list[str]:
    return sorted(fact.text for fact in memori.facts(attribution=ADA, limit=1000))


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (replace(SOUND, kind="gossip"), "kind 'gossip'; kinds are fact"),  # type: ignore[arg-type]
        (replace(SOUND, kind="episode"), "kind 'episode'"),
        (replace(SOUND, kind=["fact"]), "kind ['fact']"),  # type: ignore[arg-type]
        (replace(SOUND, message=7), "names message 7 of 1"),
        (replace(SOUND, message="0"), "names message '0' of 1"),  # type: ignore[arg-type]
        (replace(SOUND, text=" "), "a text of 1 characters"),
        (replace(SOUND, text="x" * 2001), "a text of 2001 characters"),
        (replace(SOUND, text=None), "a text of the type NoneType"),  # type: ignore[arg-type]
        (replace(SOUND, importance=float("nan")), "the importance nan"),
        (replace(SOUND, importance="high"), "the importance 'high'"),  # type: ignore[arg-type]
        (replace(SOUND, slot="s" * 300), "a slot of 300 characters"),
        (replace(SOUND, speaker=3), "a speaker of the type int"),  # type: ignore[arg-type]
        (replace(SOUND, valid_from=datetime(2026, 1, 1)), "a time has a zone"),  # noqa: DTZ001 - that is the point
        (replace(SOUND, valid_to="soon"), "the time 'soon'"),  # type: ignore[arg-type]
        ({"text": "Ada likes tea.", "kind": "fact"}, "proposed a dict, no Proposal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_proposal_is_left_out_and_the_job_says_so(answering, bad: object, complaint: str) -> None:
    memori, job = answering([bad, SOUND])

    assert texts(memori) == ["Ada likes tea."]
    assert job.state == "done"
    assert complaint in job.error
    assert complaint in memori.augmentation.status().last_error


def test_a_fact_is_kept_without_the_triples_that_cannot_be_stored(answering) -> None:
    triples = (
        Triple("Ada", "likes", "tea"),
        Triple("Ada", "", "tea"),
        Triple("Ada", "likes", "t" * 3000),
        Triple("Ada", "likes", "milk", object_type="T" * 300),
        ("Ada", "likes", "rum"),
    )
    memori, job = answering([replace(SOUND, triples=triples)])

    assert texts(memori) == ["Ada likes tea."]
    assert [triple.object for triple in memori.graph(attribution=ADA)] == ["tea"]
    assert job.state == "done"


def _without_end():
    number = 0
    while True:
        number += 1
        yield Proposal(f"Ada likes number {number}.", "preference", 0)


@pytest.mark.parametrize(
    "answer",
    [[Proposal(f"Ada likes number {n}.", "preference", 0) for n in range(10_000)], _without_end],
    ids=["ten thousand", "without end"],
)
def test_of_too_many_facts_the_first_are_kept(answering, answer: object) -> None:
    memori, job = answering(answer)

    assert len(texts(memori)) == 200
    assert job.state == "done"
    assert "more than 200 facts" in job.error


def _raise() -> None:
    raise RuntimeError("out of oil")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [(_raise, "RuntimeError: out of oil"), (None, "TypeError"), (7, "TypeError")],
    ids=["raises", "answers nothing", "answers a number"],
)
def test_an_extractor_that_fails_costs_no_message(answering, answer: object, complaint: str) -> None:
    memori, job = answering(answer)

    assert (job.state, texts(memori)) == ("dead", [])
    assert complaint in job.error
    assert [one.fact.text for one in memori.recall("tea", attribution=ADA)] == ["I like tea."]


def test_what_an_extractor_says_of_one_entity_reaches_no_other(database: str) -> None:
    """It is shown turns of several tenants at once; a proposal names a message of its own turn, and no id."""
    said: Callable[[str], object] = lambda text: [  # noqa: E731 - it is typed
        Proposal(f"{text} in turn.", "fact", 0, slot="bob|name"),
        Proposal(f"{text} of another turn.", "fact", 1),
        Proposal(f"{text} of no turn.", "fact", -1),
    ]
    with Memori(database, embedder="hashing", extractor=Scripted(said)) as memori:
        memori.augmentation._wake = lambda: None  # type: ignore[method-assign]
        for name in ("ada", "bob"):
            memori.record([("user", f"I am {name}")], attribution=Attribution(name))
        del memori.augmentation._wake

        assert memori.augmentation.wait(30)

        for name in ("ada", "bob"):
            (fact,) = memori.facts(attribution=Attribution(name))
            assert fact.text == f"I am {name} in turn."
        assert [job.error for job in memori.augmentation.jobs()] == [
            "the extractor names message 1 of 1; the extractor names message -1 of 1"
        ] * 2


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The extractor and the embedder as shipped."""
    with Memori(f"sqlite:///{tmp_path_factory.mktemp('odd')}/memory.db", settings=load(cache_dir="off")) as memori:
        yield memori


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_messages_are_learnt_from_or_kept_and_nobody_waits(shipped: Memori, text: str) -> None:
    with shipped.scope(f"ada {hash(text)}"):
        receipt = shipped.record([("user", text), ("user", "I am allergic to walnuts.")])

        assert shipped.augmentation.wait(120) is True
        assert receipt.stored >= 1
        assert any("walnuts" in one.fact.text for one in shipped.recall("walnuts"))
        kept = [fact.text for fact in shipped.facts(kinds=["episode"])]
        said = [m.message.content for m in shipped.messages() if any(c.isalnum() for c in m.message.content)]
        assert sorted(kept) == sorted(said)


def test_code_tables_and_logs_are_kept_verbatim_and_give_no_facts(shipped: Memori) -> None:
    for name in ("code", "a table", "a log"):
        with shipped.scope(f"machine {name}"):
            shipped.record([("user", ODD[name])])

            assert shipped.augmentation.wait(60) is True
            assert [fact.text for fact in shipped.facts(kinds=["episode"])] == [ODD[name]]
            assert shipped.facts() == []


def test_a_message_dated_in_the_future_is_learnt_from_like_any_other(shipped: Memori) -> None:
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    with shipped.scope("traveller"):
        shipped.record([Message("user", "I moved to Lisbon yesterday.", created_at=tomorrow)])

        assert shipped.augmentation.wait(60) is True
        (episode,) = shipped.facts(kinds=["episode"])
        assert episode.said_at == tomorrow
        assert [one.fact.text for one in shipped.recall("Lisbon")]


def test_a_job_about_which_nothing_can_be_looked_up_costs_no_other_job_anything(database, monkeypatch):
    class Reader(Scripted):
        reads_memories = True

    extractor = Reader(lambda text: [replace(SOUND, text=text)])
    with Memori(database, embedder="hashing", extractor=extractor, settings=load(max_attempts=1)) as memori:
        search = memori.config.storage.search

        def broken(who, terms, **options):
            if "row" in terms:
                raise RuntimeError("a row that cannot be read")
            return search(who, terms, **options)

        monkeypatch.setattr(memori.config.storage, "search", broken)
        for who in (ADA, Attribution("bob")):
            memori.record(
                [("user", "I like tea."), ("user", "A row." if who is ADA else "And boats.")], attribution=who
            )
        assert not memori.augmentation.wait(30)

        states = {job.attribution.entity_id: (job.state, job.error) for job in memori.augmentation.jobs()}
        assert states["bob"] == ("done", None)
        assert states["ada"] == ("dead", "RuntimeError: a row that cannot be read")
        assert memori.facts(attribution=Attribution("bob"))
        assert [one.text for one in memori.facts(attribution=ADA, kinds=["episode"])] == ["A row.", "I like tea."]


class Locked(PlainCodec):
    """A codec that has lost the key to one text."""

    def decode(self, stored: str) -> str:
        """Return the text. Raises for the one."""
        if stored == "locked":
            raise ValueError("no key")
        return stored


def test_messages_that_cannot_be_decoded_hold_up_nobody_elses(database: str, monkeypatch) -> None:
    monkeypatch.setenv("MEMORI_MAX_ATTEMPTS", "1")
    with Memori(database, embedder="hashing", extractor="none", codec=Locked()) as memori:
        memori.record([("user", "locked")], attribution=ADA)
        memori.record([("user", "I drink tea")], attribution=BOB)

        assert not memori.augmentation.wait(30)
        assert [one.text for one in memori.recall("tea", attribution=BOB)] == ["I drink tea"]
        assert [(job.state, job.error) for job in memori.augmentation.jobs(states=["dead"])] == [
            ("dead", "ValueError: no key")
        ]
