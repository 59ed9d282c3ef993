"""What a shared index needs of a storage: candidates by id, and what words weigh among all of an entity's facts."""

from dataclasses import replace

import numpy as np
import pytest
from memori.conformance.samples import ADA, BOB, NOW, SPACE, new_fact
from memori.errors import UnsupportedError
from memori.model import Attribution, Message, RecallWeights
from memori.privacy.codec import PlainCodec
from memori.recall.candidates import index_of
from memori.recall.entity_index import EntityIndex
from memori.recall.index.faiss import FaissIndex
from memori.recall.scoring import Evidence, score
from memori.storage.base import Storage
from memori.storage.records import FactChanges, Retirement, StorageOptions, Turn
from memori.storage.sql import candidates
from memori.storage.sql.storage import SQLStorage

from tests.core.storage.backends import BACKENDS, empty_database

LINES = (
    "Where do you live now?", "I live in Lisbon, near the river.", "Do you like tea there?", "I like green tea a lot.",
    "Lisbon tea is green tea.", "My sister moved to Porto.", "She likes tea, too, and the river.",
)  # fmt: skip


class Reversed(PlainCodec):
    """What no database can look into."""

    def encode(self, text):
        return text[::-1] + "\u2020"

    def decode(self, stored):
        return stored[:-1][::-1]


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    with empty_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=[None, Reversed()], ids=["plain", "encoded"])
def storage(url, request):
    opened = SQLStorage(url, StorageOptions(codec=request.param))
    yield opened
    opened.close()


def fill(storage, who, lines=LINES):
    """Episodes of one session, with a unit vector each."""
    vectors = np.random.default_rng(7).normal(size=(len(lines), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    facts = tuple(
        new_fact(line, vector=vectors[at].tolist(), kind="episode", speaker=("Ada", "Cleo")[at % 2], position=at,
                 session_id=who.session_id)
        for at, line in enumerate(lines)
    )  # fmt: skip
    storage.append(who, Turn(tuple(Message("user", line) for line in lines), resent=0, now=NOW))
    storage.apply(who, FactChanges(facts, space=SPACE), expected=None, now=NOW)
    return [one.fact.id for one in facts]


def test_rows_are_those_of_a_delta_and_of_nobody_else(storage):
    mine, theirs = fill(storage, ADA), fill(storage, BOB, LINES[:2])
    every = {row.fact_id: row for row in storage.changes_since(ADA, SPACE, -1).rows}

    rows = storage.rows(ADA, SPACE, [mine[1], mine[4], theirs[0], "unknown"])

    assert {row.fact_id for row in rows} == {mine[1], mine[4]}
    for row in rows:
        assert replace(row, vectors=None) == replace(every[row.fact_id], vectors=None)
        assert np.array_equal(row.vectors, every[row.fact_id].vectors)


def test_neighbours_are_said_just_before_and_after_in_the_same_session(storage):
    mine = fill(storage, ADA)
    fill(storage, replace(ADA, session_id="another"), LINES[:3])

    rows = storage.rows(ADA, SPACE, [mine[0], mine[4]], neighbours=True)

    assert {row.fact_id for row in rows} == {mine[at] for at in (0, 1, 3, 4, 5)}


def test_what_is_forgotten_is_no_candidate_and_weighs_nothing(storage):
    mine = fill(storage, ADA)
    before = storage.statistics(ADA)
    storage.apply(ADA, FactChanges(retire=(Retirement(mine[3], "forgotten"),)), expected=None, now=NOW)

    assert mine[3] not in {row.fact_id for row in storage.rows(ADA, SPACE, [mine[3], mine[4]], neighbours=True)}
    assert storage.statistics(ADA, known=before).frequencies["tea"] == before.frequencies["tea"] - 1


def test_statistics_are_those_of_an_index_over_everything(storage):
    fill(storage, ADA)
    fill(storage, BOB, ("tea",) * 3)
    whole = EntityIndex(FaissIndex(SPACE.dimension))
    whole.apply(storage.changes_since(ADA, SPACE, -1))

    found = storage.statistics(ADA)

    assert found.documents == len(LINES)
    assert found.mean_length == pytest.approx(whole.words.lengths.mean())
    assert found.frequencies == {term: len(whole.words.postings(term)[0]) for term in whole.words.terms()}
    assert found.speakers == set(whole.said_by)


def test_of_many_facts_the_newest_are_counted_and_projected(storage, monkeypatch):
    monkeypatch.setattr(candidates, "SAMPLE", 40)
    for start in range(0, 200, 50):
        fill(storage, ADA, [f"tea {'sugar' if at % 4 == 0 else 'milk'}" for at in range(start, start + 50)])

    found = storage.statistics(ADA)

    assert (found.documents, found.mean_length) == (200, 2)
    assert found.frequencies["tea"] == 200
    assert found.frequencies["sugar"] == pytest.approx(50, abs=20)


def test_what_words_weigh_stands_until_a_fiftieth_of_the_facts_has_changed(storage):
    fill(storage, ADA, ["green tea"] * 120)
    known = storage.statistics(ADA)

    def say(count, speaker):
        facts = tuple(new_fact(f"black tea {n} of {speaker}", speaker=speaker) for n in range(count))
        storage.apply(ADA, FactChanges(facts, space=SPACE), expected=None, now=NOW)
        return storage.statistics(ADA, known=known)

    assert say(1, "Dora") == replace(known, speakers=known.speakers | {"dora"})
    assert say(1, "Eva") == replace(known, speakers=known.speakers | {"dora", "eva"})
    assert (counted := say(1, "Dora")) == storage.statistics(ADA)
    assert counted.frequencies["black"] == 3


def test_nothing_known_of_an_entity_outlives_its_erasure(storage):
    fill(storage, ADA, ["green tea"] * 120)
    known = storage.statistics(ADA)
    storage.erase(ADA)

    assert storage.statistics(ADA, known=known).documents == 0


def test_an_unknown_entity_has_no_rows_and_empty_statistics(storage):
    nobody = Attribution("nobody", namespace=ADA.namespace)

    assert storage.rows(nobody, SPACE, ["x"], neighbours=True) == []
    found = storage.statistics(nobody)
    assert (found.documents, found.mean_length, found.frequencies, found.speakers) == (0, 0.0, {}, set())


def test_candidates_score_exactly_as_they_do_among_everything(storage):
    mine = fill(storage, ADA)
    fill(storage, replace(ADA, session_id="long ago"), ("The river is green.", "Tea is dear to Cleo."))
    delta = storage.changes_since(ADA, SPACE, -1)
    whole = EntityIndex(FaissIndex(SPACE.dimension))
    whole.apply(delta)
    asked, query = ["tea", "river"], np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)
    best = max(whole.words.scores(asked).tolist())
    strongest = whole.rows[whole.words.scores(asked).tolist().index(best)].fact_id
    wanted = {mine[1], mine[4], strongest}
    few = index_of(
        storage.rows(ADA, SPACE, wanted, neighbours=True), asked, storage.statistics(ADA), SPACE, delta.state
    )

    def scored(index):
        numbers = [number for number, row in enumerate(index.rows) if row.fact_id in wanted]
        evidence = Evidence(query, index.words.scores(asked), index.words.coverage(asked), {"ada"}, set(), {})
        hits = score(index, numbers, evidence, weights=RecallWeights(), now=NOW)
        return [(index.rows[hit.number].fact_id, pytest.approx(hit.score, abs=1e-6)) for hit in hits]

    assert len(few) < len(whole)
    assert [(one, number.expected) for one, number in scored(few)] == scored(whole)


def test_a_storage_that_cannot_says_so(storage):
    with pytest.raises(UnsupportedError, match="shared vector index"):
        Storage.rows(storage, ADA, SPACE, [])
    with pytest.raises(UnsupportedError, match="shared vector index"):
        Storage.statistics(storage, ADA)
