"""`memori reindex`."""

from __future__ import annotations

from pathlib import Path

from memori import Attribution, Memori

from tests.core.cli.conftest import Run, said, write

ADA = Attribution("ada")


def test_reindex_says_what_it_did_and_is_quiet_where_there_is_no_terminal(run: Run, folder: Path) -> None:
    run("import", write(folder / "chat.jsonl", *said("I keep bees.", "The bees sleep.")), "--entity", "ada")

    done = run("reindex", "--embedder", "hashing/128", "--batch", "1")

    assert done.exit_code == 0
    assert done.stderr == ""
    assert done.stdout.startswith("2 facts of 1 entity embedded in ")
    assert done.stdout.endswith("Active space: hashing/words-trigrams-1/128.\n")
    again = run("reindex", "--embedder", "hashing/128", "--drop-old", "--entity", "ada")
    assert again.stdout.startswith("0 facts of 1 entity ")
    with Memori(embedder="hashing") as memori:
        storage, space = memori.config.storage, memori.embedder.space
        assert storage.count_unembedded(Attribution("ada", namespace="default"), space) == 2


def test_reindex_names_what_is_unknown(run: Run, folder: Path) -> None:
    run("import", write(folder / "chat.jsonl", *said("I keep bees.")), "--entity", "ada")

    unknown = run("reindex", "--entity", "Ada")
    nothing = run("reindex", "--embedder", "none-such")
    nowhere = run("reindex", "--database", "sqlite:///elsewhere.db")

    assert [one.exit_code for one in (unknown, nothing, nowhere)] == [1, 1, 1]
    assert "no entity" in unknown.stderr or "'Ada'" in unknown.stderr
    assert "none-such" in nothing.stderr
    assert "There is no database at elsewhere.db" in nowhere.stderr
