"""Plugins: found, checked, named when broken, and left out on request."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from memori import Memori, Provider, hookimpl
from memori.errors import (
    BrokenPluginError,
    DuplicateProviderError,
    MissingDependencyError,
    UnknownConnectionError,
    UnknownHookError,
    UnknownProviderError,
)
from memori.plugins import SEAMS, Plugins

EXAMPLE = Path(__file__).parents[2] / "examples" / "memori-example-storage"


def plugin(name="mine", **hooks):
    return SimpleNamespace(__name__=name, **{hook: hookimpl(function) for hook, function in hooks.items()})


def entry_point(folder: Path, name: str, source: str) -> None:
    """Install a distribution with one entry point, the way a wheel lies on disk."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_module.py").write_text(source)
    info = folder / f"{name}_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[memori]\n{name} = {name}_module\n")


def test_our_own_providers_come_through_the_hooks():
    plugins = Plugins()

    ours = next(one for one in plugins.loaded() if one.name == "builtin")

    assert "storage:sqlalchemy" in ours.providers
    assert "embedder:minilm" in ours.providers
    assert {f"memori_{seam}" for seam in SEAMS} - set(ours.hooks) == {"memori_rerankers"}


def test_a_plugin_given_in_code_is_used(tmp_path):
    seen = []

    def memori_recorded(receipt, attribution):
        seen.append((receipt.stored, attribution.entity_id))

    with Memori(
        f"sqlite:///{tmp_path}/m.db",
        embedder="hashing",
        extractor="none",
        plugins=[plugin(memori_recorded=memori_recorded)],
    ) as memori:
        memori.attribution("ada").record([("user", "hello")])

    assert seen == [(1, "ada")]


def test_a_broken_plugin_is_named_with_its_cause_and_the_way_around(tmp_path, monkeypatch):
    entry_point(tmp_path / "site", "broken", "raise RuntimeError('no such engine')")
    monkeypatch.syspath_prepend(tmp_path / "site")

    with pytest.raises(
        BrokenPluginError, match=r"'broken' \(broken-dist 1.0\).*no such engine.*MEMORI_DISABLED_PLUGINS=broken"
    ):
        Plugins()

    monkeypatch.setenv("MEMORI_DISABLED_PLUGINS", "broken")
    assert "broken" not in [one.name for one in Plugins().loaded()]
    assert Plugins().blocked == {"broken"}


def test_two_providers_of_one_name_are_an_error_naming_both():
    mine = plugin(memori_embedders=lambda: [Provider("minilm", "elsewhere:Embedder")])

    with pytest.raises(
        DuplicateProviderError, match=r"'builtin' and 'mine' provide the embedder 'minilm'.*DISABLED_PLUGINS=mine"
    ):
        Plugins([mine])


def test_a_misspelt_hook_is_an_error_listing_the_hooks():
    with pytest.raises(UnknownHookError, match=r"'mine' implements 'memori_storage'.*memori_storages"):
        Plugins([plugin(memori_storage=lambda: ())])


def test_a_misspelt_argument_is_an_error_listing_the_arguments():
    with pytest.raises(UnknownHookError, match=r"memori_recorded takes reciept; the hook offers attribution, receipt"):
        Plugins([plugin(memori_recorded=lambda reciept: None)])


def test_a_hook_without_its_mark_is_an_error():
    with pytest.raises(UnknownHookError, match=r"decorate it with @memori\.hookimpl"):
        Plugins([SimpleNamespace(__name__="mine", memori_recorded=lambda receipt: None)])


def test_a_hook_that_returns_something_else_is_an_error():
    with pytest.raises(BrokenPluginError, match="not a Provider"):
        Plugins([plugin(memori_embedders=lambda: ["minilm"])])


def test_a_hook_that_raises_is_named():
    def memori_embedders():
        raise RuntimeError("boom")

    with pytest.raises(BrokenPluginError, match=r"'mine' fails in memori_embedders: RuntimeError: boom"):
        Plugins([plugin(memori_embedders=memori_embedders)])


def test_an_unknown_provider_lists_what_is_installed(tmp_path):
    with pytest.raises(UnknownProviderError, match=r"No embedder is named 'acme'. Installed: .*hashing, .*minilm"):
        Memori(f"sqlite:///{tmp_path}/m.db", embedder="acme/nomic")


def test_a_missing_package_says_what_to_install():
    provider = Provider("far", "not_installed_anywhere:Thing", install="pip install far")

    with pytest.raises(MissingDependencyError, match="pip install far"):
        Plugins().load(provider)


@pytest.mark.parametrize("connection", ["redis://localhost", object(), 42, "memory.db"])
def test_an_unknown_connection_lists_what_is_taken(connection):
    with pytest.raises(UnknownConnectionError, match="sqlalchemy"):
        Memori(connection)


@pytest.mark.parametrize("answer", ["quarantine", "veto", None])
def test_a_plugin_decides_about_proposed_facts(tmp_path, answer):
    def memori_fact_proposed(fact, attribution):
        return answer

    from memori.augmentation.extraction.base import Extractor
    from memori.model import Proposal

    class Echo(Extractor):
        version = "echo/1"

        def extract(self, turns):
            return [[Proposal(m.message.content, "fact", n) for n, m in enumerate(turn.messages)] for turn in turns]

    mine = plugin(memori_fact_proposed=memori_fact_proposed)
    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", extractor=Echo(), plugins=[mine]) as memori:
        memori.attribution("ada").record([("user", "likes tea")])
        assert memori.augmentation.wait(30)

        assert len(memori.facts()) == (answer is None)
        assert len(memori.facts(statuses=["quarantined"])) == (answer == "quarantine")


def test_behaviour_hooks_shape_recall(tmp_path):
    def memori_plan_query(query, attribution):
        return query.replace("beverage", "tea")

    def memori_score(query, recalled):
        return [0.5 if "green" in one.text else 1.0 for one in recalled]

    def memori_render_context(recalled, token_budget):
        return "<custom> " + ", ".join(one.text for one in recalled)

    def memori_before_record(messages, attribution):
        return [("user", m.content.replace("hunter2", "***")) for m in messages]

    recalls = []

    def memori_recalled(query, recalled, attribution):
        recalls.append(query)

    def memori_augmented(facts, attribution):
        recalls.append(len(facts))

    hooks = {name: value for name, value in locals().items() if name.startswith("memori_")}
    with Memori(
        f"sqlite:///{tmp_path}/m.db", embedder="hashing", extractor="none", plugins=[plugin(**hooks)]
    ) as memori:
        memori.attribution("ada")
        memori.remember("drinks green tea")
        memori.remember("drinks black tea")

        found = memori.recall("which beverage", min_relevance=0.0)
        context = memori.context("which beverage", min_relevance=0.0)
        memori.record([("user", "the password is hunter2")])
        memori.augmentation.wait(30)

        assert [one.text for one in found] == ["drinks black tea", "drinks green tea"]
        assert "&lt;custom&gt; drinks black tea" in context.text
        assert [m.message.content for m in memori.messages()] == ["the password is ***"]
        assert recalls[0] == "which beverage"
        assert recalls[-1] == 1


def test_a_failing_plugin_never_costs_the_user_their_memory(tmp_path):
    def boom(**_):
        raise RuntimeError("boom")

    hooks = {
        "memori_score": lambda query: boom(),
        "memori_plan_query": lambda query: boom(),
        "memori_render_context": lambda recalled: boom(),
        "memori_recalled": lambda query: boom(),
        "memori_recorded": lambda receipt: boom(),
        "memori_augmented": lambda facts: boom(),
    }
    with Memori(
        f"sqlite:///{tmp_path}/m.db", embedder="hashing", extractor="none", plugins=[plugin(**hooks)]
    ) as memori:
        memori.attribution("ada").record([("user", "I drink green tea")])

        assert memori.augmentation.wait(30)
        assert [one.text for one in memori.recall("green tea")] == ["I drink green tea"]
        assert "green tea" in memori.context("what about green tea").text


def test_the_example_plugin_installs_and_passes_the_published_suite(tmp_path):
    uv = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    site = tmp_path / "site"
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", site, EXAMPLE],
        check=True,
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}

    suite = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tmp_path,
         EXAMPLE / "tests"],
        env=environment, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    listed = subprocess.run(
        [sys.executable, "-m", "memori", "plugins"], env=environment, capture_output=True, text=True, cwd=tmp_path
    )

    assert suite.returncode == 0, suite.stdout
    assert " passed" in suite.stdout
    assert "example-storage" in listed.stdout
