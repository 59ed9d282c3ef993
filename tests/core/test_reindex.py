"""Another embedder on the same database: nothing is lost, nothing is mixed, and all of it can be brought over."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from memori import Attribution, Memori
from memori.embedding.hashing import HashingEmbedder
from memori.errors import EmbeddingError, IdentityError, StorageError
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage

ADA, BOB = (Attribution(name, "bot", namespace="default") for name in ("ada", "bob"))
OLD, NEW = HashingEmbedder("64"), HashingEmbedder("128")
LINES = ("I keep bees in Rome", "How many hives?", "Four hives", "And honey?", "Twenty jars of honey", "Wonderful")


def talk(memori, who=ADA, lines=LINES, session="s1"):
    """A conversation, in three turns."""
    who = who.with_session(session)
    for start in range(0, len(lines), 2):
        turn = [("user", lines[start]), ("assistant", lines[start + 1])]
        memori.record(turn, attribution=who)
        assert memori.augmentation.wait(30)


def opened(database, embedder, **options):
    return Memori(database, embedder=embedder, extractor="none", **options)


def vectors(memori, who=ADA, embedder=NEW):
    """Text to vector, of those that have one in the embedder's space."""
    rows = memori.config.storage.changes_since(who, embedder.space, -1).rows
    texts = {fact.id: fact.text for fact in memori.facts(attribution=who, kinds=["episode", "fact"], limit=1000)}
    return {texts[row.fact_id]: row.vectors for row in rows if row.vectors is not None and row.fact_id in texts}


def texts(memori, query, who=ADA, **options):
    return [one.text for one in memori.recall(query, attribution=who, **options)]


@pytest.fixture
def known(database):
    """Ada and Bob as the old embedder knows them."""
    with opened(database, OLD) as memori:
        talk(memori)
        memori.remember("Ada is allergic to nuts", attribution=ADA)
        talk(memori, BOB, ("I sail", "Where to?"))
    return database


# before


def test_a_changed_embedder_loses_nothing_and_says_what_to_do(known, caplog):
    with opened(known, NEW) as memori:
        assert texts(memori, "jars of honey")[0] == "Twenty jars of honey"
        memori.remember("Ada has a sister in Lima", attribution=ADA)
        assert texts(memori, "a sister in Lima")[0] == "Ada has a sister in Lima"
        memori.recall("bees", attribution=BOB)

        assert memori.config.storage.state(ADA).space == OLD.space
        assert list(vectors(memori)) == ["Ada has a sister in Lima"]
    told = [record.getMessage() for record in caplog.records if record.name == "memori.recall"]
    assert len(told) == 1
    assert "memori reindex --embedder hashing/128" in told[0]
    assert OLD.space.key in told[0]


def test_vectors_of_two_embedders_of_one_dimension_are_not_compared(database):
    class Backwards(HashingEmbedder):
        @property
        def space(self):
            return type(super().space)("backwards", "", 64)

        def embed(self, texts):
            return super().embed([text[::-1] for text in texts])

    with opened(database, OLD) as memori:
        memori.remember("zyx wvu", attribution=ADA)
    with opened(database, Backwards("64")) as memori:
        assert memori.recall("uvw xyz", attribution=ADA) == []


# reindexing


def test_what_is_embedded_anew_is_what_would_have_been_learnt(known, tmp_path, caplog):
    with opened(f"sqlite:///{tmp_path / 'fresh.db'}", NEW) as fresh:
        talk(fresh)
        fresh.remember("Ada is allergic to nuts", attribution=ADA)
        learnt = vectors(fresh)

    with opened(known, NEW) as memori:
        done = memori.reindex(batch=3)

        made = vectors(memori)
        assert (done.entities, done.facts, done.space) == (2, 9, NEW.space.key)
        assert made.keys() == learnt.keys()
        assert all(np.array_equal(made[text], learnt[text]) for text in made)
        assert memori.config.storage.state(ADA).space == memori.config.storage.state(BOB).space == NEW.space
        assert texts(memori, "honey")[0] in ("And honey?", "Twenty jars of honey")
    assert [record for record in caplog.records if record.name == "memori.recall"] == []


def test_reindexing_again_does_nothing(known):
    with opened(known, NEW) as memori:
        memori.reindex()
        before = memori.config.storage.state(ADA)

        assert memori.reindex().facts == 0
        assert memori.config.storage.state(ADA) == before


def test_one_entity_is_brought_over_alone(known):
    with opened(known, NEW) as memori:
        assert memori.reindex(entity_id="bob").facts == 2
        assert memori.config.storage.state(ADA).space == OLD.space
        with pytest.raises(IdentityError, match="'Bob'"):
            memori.reindex(entity_id="Bob")


def test_progress_ends_at_the_number_of_facts(known):
    seen = []
    with opened(known, NEW) as memori:
        memori.reindex(batch=4, progress=lambda done, total: seen.append((done, total)))

    assert seen[0] == (0, 9)
    assert seen[-1] == (9, 9)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


async def test_it_can_be_awaited(known):
    with opened(known, NEW) as memori:
        assert (await memori.areindex()).facts == 9


SCRIPT = """
import sys, time
from memori import Attribution, Memori

with Memori(sys.argv[1], embedder="hashing/128", extractor="none") as memori:
    def progress(done, total):
        print(done, flush=True)
        if done >= 4:
            time.sleep(600)
    memori.reindex(batch=2, progress=progress)
"""


def test_a_killed_one_goes_on_where_it_was(known):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, known], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 4:
            break
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()

    with opened(known, NEW) as memori:
        storage = memori.config.storage
        assert sum(storage.count_unembedded(who, NEW.space) for who in (ADA, BOB)) == 5
        assert memori.reindex().facts == 5
        assert storage.state(ADA).space == storage.state(BOB).space == NEW.space
        assert len(vectors(memori)) == 7


def test_two_at_once_give_each_fact_one_vector(known):
    with opened(known, NEW) as memori, opened(known, NEW) as rival, ThreadPoolExecutor(2) as pool:
        start = threading.Barrier(2)

        def work(one):
            start.wait(30)
            return one.reindex(batch=1)

        done = list(pool.map(work, (memori, rival)))

        assert sum(one.facts for one in done) >= 9
        assert len(vectors(memori)) == 7
        assert all(found.shape == (1, 128) for found in vectors(memori).values())
        assert memori.config.storage.state(ADA).space == NEW.space


def test_what_the_old_embedder_learns_meanwhile_is_brought_over_before_the_flip(known):
    with opened(known, OLD) as worker, opened(known, NEW) as memori:
        storage = memori.config.storage

        def meanwhile(done, total):
            if done in (2, 4):
                assert storage.state(ADA).space == OLD.space
                talk(worker, lines=(f"I bought {done} goats", "Good"), session="s2")

        memori.reindex(entity_id="ada", batch=2, progress=meanwhile)

        assert storage.state(ADA).space == NEW.space
        assert {"I bought 2 goats", "I bought 4 goats"} <= vectors(memori).keys()
        assert storage.count_unembedded(ADA, NEW.space) == storage.count_unembedded(ADA, OLD.space) == 0


def test_what_the_old_embedder_learns_afterwards_is_found_by_its_words_until_the_next_time(known):
    with opened(known, OLD) as worker, opened(known, NEW) as memori:
        memori.reindex()
        talk(worker, lines=("I bought goats", "Good"), session="s2")

        assert memori.config.storage.state(ADA).space == NEW.space
        assert texts(memori, "goats")[0] == "I bought goats"
        assert texts(worker, "goats")[0] == "I bought goats"
        assert "I bought goats" not in vectors(memori)
        assert memori.reindex().facts == 2
        assert "I bought goats" in vectors(memori)


def test_old_vectors_are_dropped_and_running_processes_go_on_by_words(known):
    with opened(known, OLD) as worker, opened(known, NEW) as memori:
        assert texts(worker, "honey")

        memori.reindex(drop_old=True)

        assert vectors(memori, embedder=OLD) == {}
        assert len(vectors(memori)) == 7
        assert texts(worker, "jars of honey")[0] == "Twenty jars of honey"
        assert memori.reindex(drop_old=True).facts == 0


def test_what_was_stored_without_a_vector_gets_one(database):
    class Down(HashingEmbedder):
        def embed(self, texts):
            raise EmbeddingError("no model today")

    with opened(database, Down("128")) as memori:
        memori.remember("Ada is allergic to nuts", attribution=ADA)
    with opened(database, NEW) as memori:
        assert vectors(memori) == {}

        memori.reindex()

        assert list(vectors(memori)) == ["Ada is allergic to nuts"]


def test_a_failing_model_leaves_what_is_done_and_the_old_space_active(known):
    class Tired(HashingEmbedder):
        calls = 0

        def embed(self, texts):
            self.calls += 1
            if self.calls > 2:
                raise EmbeddingError("too many requests")
            return super().embed(texts)

    with opened(known, Tired("128")) as memori:
        with pytest.raises(EmbeddingError, match="too many requests"):
            memori.reindex(entity_id="ada", batch=2)
        assert memori.config.storage.state(ADA).space == OLD.space
    with opened(known, NEW) as memori:
        assert memori.reindex(entity_id="ada").facts == 3


def test_a_storage_that_does_not_keep_vectors_is_named(known):
    class Sieve(SQLStorage):
        def add_vectors(self, attribution, vectors, space):
            return len(vectors)

    with opened(Sieve(known, StorageOptions()), NEW) as memori, pytest.raises(StorageError, match="does not keep"):
        memori.reindex()


# forgetting what was said


def episode(memori, text, who=ADA):
    return next(fact for fact in memori.facts(attribution=who, kinds=["episode"], limit=100) if fact.text == text)


def test_a_forgotten_message_is_in_no_vector(known, tmp_path):
    with opened(f"sqlite:///{tmp_path / 'fresh.db'}", OLD) as fresh:
        talk(fresh, lines=("I keep bees in Rome", "How many hives?"))
        without = vectors(fresh, embedder=OLD)["How many hives?"]

    with opened(known, OLD) as memori:
        before = vectors(memori, embedder=OLD)
        memori.forget(episode(memori, "Four hives").id, attribution=ADA)
        after = vectors(memori, embedder=OLD)
        alone = OLD.embed(["And honey?", "I keep bees in Rome\nHow many hives?\nAnd honey?"])

        changed = {text for text in after if not np.array_equal(before[text], after[text])}
        assert changed == {"And honey?", "Twenty jars of honey"}
        assert np.allclose(after["And honey?"], alone.mean(axis=0), atol=1e-6)
        assert np.array_equal(after["How many hives?"], without)
        assert memori.config.storage.count_unembedded(ADA, OLD.space) == 0


def test_what_is_said_after_a_forgotten_message_is_embedded_without_it(database):
    with opened(database, OLD) as memori:
        talk(memori, lines=("The code is 4711", "Noted"))
        memori.forget(episode(memori, "The code is 4711").id, attribution=ADA)
        talk(memori, lines=("Good night", "Sleep well"))

        expected = OLD.embed(["Good night", "Noted\nGood night"]).mean(axis=0)
        assert np.allclose(vectors(memori, embedder=OLD)["Good night"], expected, atol=1e-6)


def test_a_message_forgotten_while_the_next_is_embedded_is_in_no_vector(database):
    class Forgetful(HashingEmbedder):
        def embed(self, texts):
            if any("Good night" in text for text in texts):
                other.forget(episode(other, "The code is 4711").id, attribution=ADA)
            return super().embed(texts)

    with opened(database, OLD) as memori:
        talk(memori, lines=("The code is 4711", "Noted"))
    # It records nothing, so it has no worker that would take the job from the forgetful one.
    with opened(database, OLD) as other:
        with opened(database, Forgetful("64")) as memori:
            talk(memori, lines=("Good night", "Sleep well"))

        assert "Good night" not in vectors(other, embedder=OLD)
        assert "Good night" in texts(other, "Good night")
        assert other.reindex().facts == 1
        expected = OLD.embed(["Good night", "Noted\nGood night"]).mean(axis=0)
        assert np.allclose(vectors(other, embedder=OLD)["Good night"], expected, atol=1e-6)


def test_forgetting_works_without_the_model(known, caplog):
    class Down(HashingEmbedder):
        def embed(self, texts):
            raise OSError("no network")

    with opened(known, Down("64")) as memori:
        memori.forget(episode(memori, "Four hives").id, attribution=ADA)

        assert "Four hives" not in texts(memori, "Four hives", limit=20)
        assert "And honey?" in texts(memori, "honey", limit=20)
        assert "And honey?" not in vectors(memori, embedder=OLD)
    assert "no network" in caplog.text
    with opened(known, OLD) as memori:
        assert memori.reindex().facts == 2
