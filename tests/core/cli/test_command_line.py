"""The command line as a whole: start, help, errors, plugins, the installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import memori
import pytest
from memori.cli import main

from tests.core.cli.conftest import Install, Run, said, write

GREETING = """
import typer
from memori import MemoriError, hookimpl

@hookimpl
def memori_cli(app: typer.Typer):
    @app.command()
    def hello(name: str):
        '''Greet somebody.'''
        if name == "nobody":
            raise MemoriError("There is nobody to greet.")
        typer.echo(f"Hello {name}")
"""
HEAVY = {"faiss", "numpy", "onnxruntime", "openai", "pydantic_settings", "spacy", "sqlalchemy", "tokenizers"}


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=given, timeout=120)


def test_it_is_installed_as_a_command_and_runs_as_a_module() -> None:
    [script] = entry_points(group="console_scripts", name="memori")

    shown = python("-m", "memori", "--version")

    assert script.load() is main
    assert shown.stdout == f"memori {memori.__version__}\n"


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    code = """
import sys
from memori.cli import main
sys.argv = ["memori", "--help"]
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
    shown = python("-c", code)

    assert shown.returncode == 0
    for command in ("demo", "import", "recall", "facts", "forget", "status", "retry", "worker", "jobs", "plugins"):
        assert f"\n  {command} " in shown.stdout
    assert HEAVY & set(shown.stderr.split()) == set()


def test_without_a_command_help_is_shown(run: Run) -> None:
    shown = run()

    assert shown.exit_code == 2
    assert "Usage: memori" in shown.output


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    done = run("remeber")

    assert done.exit_code == 2
    assert "No such command 'remeber'" in done.stderr


def test_an_error_has_a_traceback_only_with_debug(run: Run) -> None:
    quiet = run("facts", "--entity", " ", "--database", "sqlite://")
    debugged = python("-m", "memori", "--debug", "facts", "--entity", " ", "--database", "sqlite://")

    assert (quiet.exit_code, debugged.returncode) == (1, 1)
    assert quiet.stderr.startswith("Error: entity_id is blank")
    assert "Traceback" in debugged.stderr
    assert debugged.stderr.splitlines()[-1] == quiet.stderr.strip()


def test_bad_settings_are_a_clean_error(run: Run, folder: Path) -> None:
    (folder / "memori.json").write_text('{"min_relevance": 7}')

    done = run("status")

    assert done.exit_code == 1
    assert "min_relevance" in done.stderr
    assert "memori.json" in done.stderr


def test_the_database_comes_from_the_option_then_the_file_then_the_environment(run: Run, folder: Path) -> None:
    file = write(folder / "chat.jsonl", *said("I keep bees."))
    (folder / "memori.json").write_text('{"database_url": "sqlite:///file.db"}')

    run("import", file, "--entity", "ada", "--database", "sqlite:///option.db")
    assert [path.name for path in folder.glob("*.db")] == ["option.db"]

    run("import", file, "--entity", "ada")
    assert {path.name for path in folder.glob("*.db")} == {"option.db", "file.db"}

    (folder / "memori.json").unlink()
    run("import", file, "--entity", "ada")
    assert {path.name for path in folder.glob("*.db")} == {"option.db", "file.db", "memory.db"}


def test_status_counts_the_jobs(run: Run, folder: Path) -> None:
    run("import", write(folder / "chat.jsonl", *said("I keep bees.")), "--entity", "ada")

    everybody, nobody = run("status", "--json"), run("status", "--json", "--entity", "bob")

    assert json.loads(everybody.stdout)["done"] == 1
    assert json.loads(nobody.stdout)["done"] == 0
    rows = [line.split()[:2] for line in run("status").stdout.splitlines()]
    assert ["done", "1"] in rows
    assert ["dead", "0"] in rows


def test_plugins_lists_what_is_loaded_and_what_is_blocked(
    run: Run, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("greeting", GREETING)
    install("broken", "raise RuntimeError('no such engine')")
    monkeypatch.setenv("MEMORI_DISABLED_PLUGINS", "broken")

    shown, listed = run("plugins"), json.loads(run("plugins", "--json").stdout)

    assert "greeting-dist 1.0" in shown.stdout
    assert "embedder:minilm" in shown.stdout
    assert "2 plugins loaded. Blocked: broken." in shown.stdout
    assert {one["name"]: one["hooks"] for one in listed["loaded"]}["greeting"] == ["memori_cli"]
    assert listed["blocked"] == ["broken"]


def test_a_plugin_adds_commands(run: Run, install: Install) -> None:
    install("greeting", GREETING)

    assert run("hello", "Ada").stdout == "Hello Ada\n"
    assert "Greet somebody." in run("--help").stdout


def test_an_error_of_a_plugins_command_is_clean_too(run: Run, install: Install) -> None:
    install("greeting", GREETING)

    done = run("hello", "nobody")

    assert (done.exit_code, done.stderr) == (1, "Error: There is nobody to greet.\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "raise RuntimeError('no such engine')",
            "'broken' (broken-dist 1.0) cannot be imported: RuntimeError: no such",
        ),
        ("from memori import hookimpl\n@hookimpl\ndef memori_cly(app): ...", "'memori_cly', which is not a hook"),
        (
            "from memori import Provider, hookimpl\n@hookimpl\n"
            "def memori_embedders(): return [Provider('minilm', 'x:Y')]",
            "Both 'builtin' and 'broken' provide the embedder 'minilm'",
        ),
    ],
)
def test_a_broken_plugin_is_a_clean_message_wherever_plugins_are_needed(
    run: Run, install: Install, source: str, said: str
) -> None:
    install("broken", source)

    for command in (["plugins"], ["status", "--database", "sqlite://"], ["hello"]):
        done = run(*command)
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: ")
        assert said in done.stderr
    shown = run("--help")
    assert shown.exit_code == 0
    assert "Commands of plugins are missing" in shown.stdout


def test_a_plugin_that_fails_to_add_its_commands_is_named_and_the_others_go_on(run: Run, install: Install) -> None:
    install("broken", "from memori import hookimpl\n@hookimpl\ndef memori_cli(app): raise OSError('disk on fire')")

    assert run("plugins").exit_code == 0
    done = run("hello")
    assert done.exit_code == 1
    assert "'broken' fails in memori_cli: OSError: disk on fire" in done.stderr
    assert "MEMORI_DISABLED_PLUGINS=broken" in done.stderr


@pytest.mark.parametrize("rival", ["memori", "memorisdk"])
def test_a_distribution_of_the_same_import_name_is_an_error_with_the_way_out(folder: Path, rival: str) -> None:
    info = folder / "site" / f"{rival}-3.3.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {rival}\nVersion: 3.3.1\n")

    done = python("-m", "memori", "status", PYTHONPATH=str(folder / "site"))

    assert done.returncode == 1
    assert f"The distribution '{rival}' 3.3.1 is installed beside memori-core" in done.stderr
    assert f"pip uninstall -y {rival} && pip install --force-reinstall --no-deps memori-core" in done.stderr


def test_a_terminal_that_cannot_spell_a_memory_still_shows_it(run: Run, folder: Path) -> None:
    run("import", write(folder / "chat.jsonl", *said("Bees: 蜂 🐝")), "--entity", "ada")

    done = python("-m", "memori", "recall", "bees", "--entity", "ada", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (done.returncode, done.stderr) == (0, "")
    assert "user: Bees: ? ?" in done.stdout
