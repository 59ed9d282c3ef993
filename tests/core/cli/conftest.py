"""The command line in this process, in an empty folder, without models to load."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memori.cli.app import build
from typer.testing import CliRunner, Result

Run = Callable[..., Result]
Install = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in {"EMBEDDER": "hashing", "EXTRACTOR": "none", "DATABASE_URL": "sqlite:///memory.db"}.items():
        monkeypatch.setenv(f"MEMORI_{name}", value)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Type a command; its arguments one by one."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), arguments)

    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with a plugin, the way a wheel lies on disk."""
    modules = []

    def install(name: str, source: str) -> None:
        site = tmp_path / "site"
        info = site / f"{name}_dist-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_module.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[memori]\n{name} = {name}_module\n")
        monkeypatch.syspath_prepend(site)
        modules.append(f"{name}_module")

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def write(path: Path, *lines: Any) -> str:
    """Write JSON lines and return the path as somebody types it."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path)


def said(*contents: str) -> list[dict[str, str]]:
    """Messages of a user, a day apart."""
    return [
        {"role": "user", "content": content, "created_at": f"2026-03-{day:02}T10:00:00+00:00"}
        for day, content in enumerate(contents, 1)
    ]
