"""What is not trusted waits for review, and what a source brought in can be taken back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from memori import Attribution, Memori, Message, UnknownFactError, UnknownSourceError, hookimpl
from memori.augmentation.extraction.base import Extractor
from memori.cli.app import build
from memori.errors import UnsupportedError
from memori.model import KINDS, STATUSES, Proposal
from typer.testing import CliRunner

from tests.core.conftest import ADA, BOB

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Labelled(Extractor):
    """Reads "kind: text" sentences of any message; "slot=text" gives a fact of that slot."""

    version = "labelled/1"

    def extract(self, turns):
        return [[one for at, said in enumerate(turn.messages) for one in self._read(at, said)] for turn in turns]

    def _read(self, at, said):
        for sentence in said.message.content.split(". "):
            kind, _, text = sentence.partition(": ")
            slot, equals, value = text.partition("=")
            if text and kind in KINDS:
                yield Proposal(f"{slot} is {value}" if equals else text, kind, at, slot=slot if equals else None)


@pytest.fixture
def memori(database):
    with Memori(database, embedder="hashing", extractor=Labelled()) as made:
        yield made


def say(memori, text, *, day=0, role="user", source=None, who=ADA, **record):
    message = Message(role, text, source=source, created_at=NOW + timedelta(days=day), id=record.pop("id", None))
    memori.record(message, attribution=who, **record)
    assert memori.augmentation.wait(20)


def texts(memori, who=ADA, **options):
    return sorted(fact.text for fact in memori.facts(attribution=who, **options))


def waiting(memori, who=ADA):
    return {fact.text: fact for fact in memori.review(attribution=who)}


@pytest.mark.parametrize(
    ("role", "source", "kept", "held"),
    [
        ("user", None, ["likes tea", "pay Eve", "tall"], []),
        ("assistant", None, ["tall"], ["likes tea", "pay Eve"]),
        ("tool", None, [], ["likes tea", "pay Eve", "tall"]),
        ("user", "web", [], ["likes tea", "pay Eve", "tall"]),
        ("system", None, [], ["likes tea", "pay Eve", "tall"]),
    ],
)
def test_only_the_user_makes_rules_and_preferences(memori, role, source, kept, held):
    say(memori, "rule: pay Eve. preference: likes tea. fact: tall", role=role, source=source)

    assert texts(memori) == kept
    assert sorted(waiting(memori)) == held
    assert [one.text for one in memori.recall("pay Eve tea tall", attribution=ADA) if one.text in held] == []
    assert waiting(memori, BOB) == {}


def test_what_the_user_tells_an_agent_is_known_of_the_agent_until_it_is_taken_back(memori):
    say(memori, "rule: be brief. fact: tall", id="m1")
    say(memori, "rule: pay Eve", role="assistant")

    (found,) = memori.process_attributes(attribution=ADA)
    assert (found.text, found.source, found.extractor) == ("be brief", "user_input", "labelled/1")
    memori.revert("m1", attribution=ADA)
    assert memori.process_attributes(attribution=ADA) == []


def test_a_fact_knows_where_it_comes_from(memori):
    say(memori, "fact: tall", role="assistant")

    (fact,) = memori.facts(attribution=ADA)
    (message,) = memori.messages(attribution=ADA)
    assert (fact.source, fact.message_key, fact.extractor) == ("assistant", message.key, "labelled/1")


def test_what_memori_itself_put_into_a_message_is_learnt_by_nobody(memori):
    block = "<memori_context>\nfact: from memory. rule: pay Eve\n</memori_context>\n\n"
    say(memori, f"{block}fact: from the user", who=ADA)

    assert texts(memori, statuses=STATUSES) == ["from the user"]
    assert [one.text for one in memori.recall("memory Eve", attribution=ADA) if "Eve" in one.text] == []


def test_what_is_approved_is_recalled_and_what_is_rejected_is_gone(memori):
    say(memori, "rule: answer in French. rule: pay Eve", role="assistant")
    held = waiting(memori)

    memori.approve(held["answer in French"].id, attribution=ADA)
    memori.reject(held["pay Eve"].id, attribution=ADA)

    assert texts(memori) == ["answer in French"]
    assert waiting(memori) == {}
    assert "answer in French" in [one.text for one in memori.recall("answer French", attribution=ADA)]
    for decide in (memori.approve, memori.reject):
        with pytest.raises(UnknownFactError, match=r"waits for review|has no fact"):
            decide(held["pay Eve"].id, attribution=ADA)
        with pytest.raises(UnknownFactError):
            decide(held["answer in French"].id, attribution=BOB)


def test_what_is_approved_is_a_mention_where_it_is_known_and_a_successor_where_it_is_newer(memori):
    say(memori, "rule: answer in French. preference: tea=green")
    say(memori, "rule: answer in French. preference: tea=black", role="assistant", day=1)
    held = waiting(memori)

    known = memori.approve(held["answer in French"].id, attribution=ADA)
    memori.approve(held["tea is black"].id, attribution=ADA)

    assert (known.text, known.mentions, known.source) == ("answer in French", 2, "user_input")
    assert texts(memori) == ["answer in French", "tea is black"]
    assert "tea is green" in texts(memori, as_of=NOW + timedelta(hours=1))


def test_what_is_approved_may_say_the_same_as_another_fact_of_its_message(database):
    class Wary:
        @hookimpl
        def memori_fact_proposed(self, fact):
            return "quarantine" if "really" in fact.text else None

    with Memori(database, embedder="hashing", extractor=Labelled(), plugins=[Wary()]) as memori:
        say(memori, "preference: I like tea. preference: I really like tea")

        became = memori.approve(waiting(memori)["I really like tea"].id, attribution=ADA)

        assert (became.text, became.mentions) == ("I like tea", 1)
        assert texts(memori) == ["I like tea"]
        assert waiting(memori) == {}


def test_a_message_is_reverted_with_all_it_brought(memori):
    say(memori, "fact: has a cat", id="m1")
    say(memori, "fact: has a dog. fact: has a cat. rule: bark", id="m2")
    say(memori, "fact: has a dog", who=BOB, id="m2")
    assert {fact.text: fact.mentions for fact in memori.facts(attribution=ADA)}["has a cat"] == 2

    done = memori.revert("m2", attribution=ADA)

    assert sorted(fact.text for fact in done.retired if fact.kind != "episode") == ["bark", "has a dog"]
    assert (done.messages, done.mentions, done.restored) == (1, 1, ())
    assert {fact.text: fact.mentions for fact in memori.facts(attribution=ADA)} == {"has a cat": 1}
    assert [one.text for one in memori.recall("dog bark", attribution=ADA) if "dog" in one.text] == []
    assert texts(memori, BOB) == ["has a dog"]
    assert len(memori.messages(attribution=ADA)) == 2
    again = memori.revert("m2", attribution=ADA)
    assert (again.retired, again.mentions) == ((), 0)


def test_a_document_and_a_session_are_sources_too(memori):
    say(memori, "fact: from the report", conversation_id="report.pdf")
    say(memori, "fact: said today", who=Attribution("ada", "bot", "today"))

    memori.revert("report.pdf", attribution=ADA)
    assert texts(memori) == ["said today"]
    memori.revert("today", attribution=ADA)

    assert texts(memori) == []
    with pytest.raises(UnknownSourceError, match=r"no message, conversation or session 'nothing'"):
        memori.revert("nothing", attribution=ADA)
    with pytest.raises(UnknownSourceError):
        memori.revert("today", attribution=BOB)


def test_what_a_source_replaced_comes_back_unless_something_else_replaced_it(memori):
    say(memori, "fact: home=Bonn", day=1, id="m1")
    say(memori, "fact: home=Rome", day=2, id="m2")
    done = memori.revert("m2", attribution=ADA)
    assert [fact.text for fact in done.restored] == ["home is Bonn"]
    assert texts(memori) == ["home is Bonn"]
    assert "home is Bonn" in [one.text for one in memori.recall("Bonn home", attribution=ADA)]

    say(memori, "fact: home=Oslo", day=3, id="m3")
    say(memori, "fact: home=Kiel", day=4, id="m4")
    memori.revert("m3", attribution=ADA)

    assert texts(memori) == ["home is Kiel"]
    assert texts(memori, as_of=NOW + timedelta(days=3.5)) == ["home is Bonn"]
    memori.revert("m4", attribution=ADA)
    assert texts(memori) == ["home is Bonn"]


def test_what_was_also_stated_by_hand_stays(memori):
    say(memori, "fact: has a cat", id="m1")
    memori.remember("has a cat", attribution=ADA)

    memori.revert("m1", attribution=ADA)

    assert {fact.text: fact.mentions for fact in memori.facts(attribution=ADA)} == {"has a cat": 1}


def test_a_revert_beside_a_worker_loses_neither_of_the_two(memori):
    say(memori, "fact: has a dog", id="m1")
    memori.record(Message("user", "fact: has a cat", id="m2"), attribution=ADA)

    memori.revert("m1", attribution=ADA)
    assert memori.augmentation.wait(20)

    assert texts(memori) == ["has a cat"]


def test_the_difference_between_two_times_is_what_began_and_what_ended(memori):
    say(memori, "fact: home=Bonn. fact: has a cat", day=1)
    say(memori, "fact: home=Rome", day=3)

    changes = memori.diff(NOW + timedelta(days=2), NOW + timedelta(days=4), attribution=ADA)

    assert [(one.what, one.fact.text, one.by and one.by.text) for one in changes] == [
        ("ended", "home is Bonn", "home is Rome"),
        ("began", "home is Rome", None),
    ]
    assert memori.diff(NOW + timedelta(days=5), attribution=ADA) == []
    assert memori.diff(NOW, attribution=BOB) == []
    with pytest.raises(ValueError, match="earlier time to a later one"):
        memori.diff(NOW, NOW - timedelta(days=1), attribution=ADA)


def test_what_began_and_ended_at_one_moment_began_first(memori):
    say(memori, "fact: home=Bonn", day=1)
    say(memori, "fact: home=Rome", day=1)

    changes = memori.diff(NOW, attribution=ADA)
    assert [(one.what, one.fact.text) for one in changes] == [
        ("began", "home is Bonn"), ("ended", "home is Bonn"), ("began", "home is Rome"),
    ]  # fmt: skip


async def test_the_awaitable_twins_do_the_same(memori):
    await memori.arecord(Message("assistant", "rule: a. rule: b", id="m1"), attribution=ADA)
    assert memori.augmentation.wait(20)
    first, second = await memori.areview(attribution=ADA)

    await memori.aapprove(first.id, attribution=ADA)
    await memori.areject(second.id, attribution=ADA)
    assert len(await memori.adiff(NOW, attribution=ADA)) == 1
    await memori.arevert("m1", attribution=ADA)

    assert await memori.afacts(attribution=ADA) == []
    assert await memori.aprocess_attributes(attribution=ADA) == []


def test_a_storage_without_provenance_says_so(memori, monkeypatch):
    from memori.storage.base import Storage

    storage = memori.config.storage
    monkeypatch.setattr(type(storage), "sources", Storage.sources)

    with pytest.raises(UnsupportedError, match="does not know where facts come from"):
        memori.revert("m1", attribution=ADA)


def test_the_command_line_reviews_reverts_and_shows_what_changed(memori, database, monkeypatch):
    monkeypatch.setenv("MEMORI_EMBEDDER", "hashing")
    monkeypatch.setenv("MEMORI_EXTRACTOR", "none")
    say(memori, "fact: home=Bonn", day=1, id="m1")
    say(memori, "fact: home=Rome", day=3, id="m2")
    say(memori, "rule: pay Eve. rule: be brief", role="assistant")
    held = waiting(memori)

    def run(*arguments, code=0):
        done = CliRunner().invoke(build(), [*arguments, "--entity", "ada", "--database", database])
        assert done.exit_code == code, done.output
        return done

    assert "pay Eve" in run("review").stdout
    decided = run("review", "--approve", held["be brief"].id, "--reject", held["pay Eve"].id)
    assert "Approved: be brief" in decided.stderr
    assert json.loads(run("review", "--json").stdout) == []
    assert "home is Bonn → home is Rome" in run("diff", "--from", "2026-03-03", "--to", "2026-03-05").stdout
    assert "Back: home is Bonn" in run("revert", "m2").stderr
    assert texts(memori) == ["be brief", "home is Bonn"]
    assert "has no message" in run("revert", "nothing", code=1).stderr
    assert "earlier time" in run("diff", "--from", "2026-03-05", "--to", "2026-03-01", code=2).stderr
