"""`memori graph`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from memori import Attribution, Memori, Message
from memori.keys import new_key
from memori.model import Fact, Triple
from memori.storage.records import FactChanges, NewFact

from tests.core.cli.conftest import Run


@pytest.fixture(autouse=True)
def known(folder: Path) -> None:
    """Ada's triples in the database that commands open."""
    triples = (Triple("Ada", "lives in", "[b]Porto[/b]"), Triple("Ada", "knows", "Ben"), Triple("Ben", "keeps", "bees"))
    with Memori(extractor="none") as memori:
        memori.record([Message("user", "hello")], attribution=Attribution("ada"))
        one = NewFact(Fact(new_key(), "Ada", "fact"), "ada", new_key(), triples=triples)
        who = Attribution("ada", namespace="default")
        memori.config.storage.apply(who, FactChanges((one,)), expected=None, now=datetime.now(UTC))


def test_it_lists_triples(run: Run) -> None:
    done = run("graph", "--entity", "ada")

    assert done.exit_code == 0
    assert ["Ada", "lives", "in", "[b]Porto[/b]"] in [line.split() for line in done.stdout.splitlines()]
    assert "3 triples of 'ada'." in done.stderr


def test_around_a_node_only_what_is_near(run: Run) -> None:
    found = json.loads(run("graph", "--entity", "ada", "--around", "bees", "--json").stdout)

    assert [(one["subject"], one["object"]) for one in found] == [("Ben", "bees")]


def test_it_writes_a_file(run: Run, folder: Path) -> None:
    done = run("graph", "--entity", "ada", "--out", str(folder / "ada.mmd"))

    assert "(4 nodes, 3 triples)" in done.stderr
    assert (folder / "ada.mmd").read_text().startswith("flowchart LR")


def test_an_unknown_ending_is_refused_with_those_there_are(run: Run, folder: Path) -> None:
    done = run("graph", "--entity", "ada", "--out", str(folder / "ada.doc"))

    assert done.exit_code == 1
    assert ".svg" in done.stderr
