"""The repository keeps its own promises: what is imported, documented, published and tracked."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import tomllib
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import memori
import pytest
from memori import hookspecs

ROOT = Path(__file__).parent.parent
PACKAGES = sorted((ROOT / "packages").iterdir())
NAME = attrgetter("name")
HOOKS = sorted(name for name, _ in inspect.getmembers(hookspecs) if name.startswith("memori_"))
HEAVY = {
    "anthropic",
    "faiss",
    "langchain_core",
    "llama_index",
    "numpy",
    "onnxruntime",
    "openai",
    "pydantic",
    "pydantic_ai",
    "pymongo",
    "rich",
    "sentence_transformers",
    "snowballstemmer",
    "spacy",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "typer",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def project(package: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def test_importing_memori_loads_nothing_heavy() -> None:
    code = "import memori, sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert set(json.loads(loaded)) & HEAVY == set()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    documented = re.findall(r"^#+ `(memori_\w+)", (ROOT / "docs/hooks.md").read_text("utf-8"), re.MULTILINE)

    assert hook in documented, f"docs/hooks.md has no heading for {hook}"


def test_no_hook_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"\bmemori_[a-z_]+\b", (ROOT / "docs/hooks.md").read_text("utf-8")))

    assert named <= {*HOOKS, "memori_langchain", "memori_pydantic_ai", "memori_llamaindex"}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_implemented_in_some_test(hook: str) -> None:
    implementation = re.compile(rf"\bdef {hook}\b")
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]

    assert any(implementation.search(path.read_text("utf-8")) for path in tests), f"no test implements {hook}"


@pytest.mark.parametrize("package", PACKAGES, ids=NAME)
def test_every_package_has_a_readme_and_types_and_says_so(package: Path) -> None:
    readme = (package / "README.md").read_text("utf-8")

    assert len(readme.splitlines()) > 5, "the page on the package index would be empty"
    assert len(list((package / "src").glob("*/py.typed"))) == 1
    assert project(package)["license"] == "Apache-2.0"


def test_all_packages_have_one_version_and_require_exactly_it() -> None:
    versions = {project(package)["version"] for package in PACKAGES}
    [version] = versions

    for package in PACKAGES:
        needed = project(package)["dependencies"]
        assert isinstance(needed, list)
        assert package.name == "memori-core" or f"memori-core=={version}" in needed


@pytest.mark.parametrize("package", [package for package in PACKAGES if package.name != "memori-core"], ids=NAME)
def test_integrations_use_only_what_memori_exports(package: Path) -> None:
    used = [
        (path.name, name)
        for path in (package / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom) and not node.level
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name.partition(".")[0] == "memori" and name != "memori"
    ]

    assert [(file, name) for file, name in used if name.split(".")[1] not in memori.__all__] == []


def test_tracked_files_name_no_place_on_a_machine_and_no_package_index() -> None:
    forbidden = re.compile(
        r"/(?:home|Users|root|work|opt)/[A-Za-z_]|[A-Z]:\\Users|\.\./shared" + r"|pypi\.org/simple|files\.pythonhosted"
    )
    exempt = {ROOT / "uv.lock", ROOT / ".ci/run", Path(__file__)}
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked()
        if path not in exempt
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]

    assert found == []


def test_no_tracked_file_is_too_large_to_review() -> None:
    large = [path.name for path in tracked() if path.stat().st_size > 512 * 1024 and path.name != "uv.lock"]

    assert large == []


def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("report", "status", "said"),
    [
        ("", 0, "NOT AUDITED"),
        ('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', 0, "NOT AUDITED"),
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', 0, "1 packages audited"),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}',
            1,
            "a 1: CVE-1, fixed in 2",
        ),
    ],
)
def test_an_audit_that_asked_nobody_does_not_pass_for_a_clean_one(report: str, status: int, said: str) -> None:
    given, text = audit().verdict(report)

    assert given == status
    assert said in text
