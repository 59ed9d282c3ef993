"""Every Python example in the documentation runs, and prints what the page says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.loopback import WIRES, LoopbackServer

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "--- end of example {} ---"
PAGES = sorted(
    page
    for pattern in ("README.md", "packages/*/README.md", "docs/**/*.md", "benchmarks/README.md")
    for page in ROOT.glob(pattern)
)


@dataclass(frozen=True)
class Example:
    """A `python` block, and the `text` block right after it, if there is one: what it prints."""

    code: str
    line: int
    output: str | None


def examples(page: Path) -> list[Example]:
    text = page.read_text("utf-8")
    blocks = [(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in FENCE.finditer(text)]
    return [
        Example(code, line, after if language_after == "text" else None)
        for (language, code, line), (language_after, after, _) in pairwise([*blocks, ("", "", 0)])
        if language == "python"
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_examples_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    found = examples(page)
    script = tmp_path / "page.py"
    script.write_text(
        "\n".join(f"{example.code}\nprint({END.format(n)!r}, flush=True)" for n, example in enumerate(found)), "utf-8"
    )
    with LoopbackServer(wires=WIRES) as model:
        environment = {
            **os.environ,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "unused",
            "ANTHROPIC_BASE_URL": model.url.removesuffix("/v1"),
            "ANTHROPIC_API_KEY": "unused",
        }
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    printed = done.stdout
    for number, example in enumerate(found):
        output, _, printed = printed.partition(END.format(number) + "\n")
        if example.output is not None:
            assert output == example.output, f"line {example.line} of {page.name}"


def test_a_block_of_text_after_an_example_is_what_it_prints(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nprint(1)\n```\n\nprints\n\n```text\n1\n```\n\n```python\nx = 2\n```\n")

    assert examples(page) == [Example("print(1)\n", 3, "1\n"), Example("x = 2\n", 13, None)]
