"""`memori consolidate`."""

from __future__ import annotations

import json

import pytest
from memori import Attribution, Memori

from tests.core.cli.conftest import Run


@pytest.fixture(autouse=True)
def known(folder: object) -> None:
    """Something of Ada that stands out."""
    with Memori() as memori:
        memori.remember("Ada is allergic to peanuts.", kind="attribute", attribution=Attribution("ada"))


def test_it_says_what_it_did(run: Run) -> None:
    first, second = run("consolidate"), run("consolidate", "--entity", "ada", "--json")

    assert first.stdout == "1 entity: 1 fact into the short-term tier, 0 out of it, 0 expired.\n"
    assert json.loads(second.stdout) == {"entities": 1, "promoted": 0, "demoted": 0, "expired": 0}


def test_somebody_unknown_ends_it_with_what_to_check(run: Run) -> None:
    done = run("consolidate", "--entity", "Ada")

    assert done.exit_code == 1
    assert "case included" in done.stderr
