"""Check the types of the examples in pages that promise typed ones, as strictly as the packages."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("packages/memori-pydantic-ai/README.md", "docs/pydantic-ai.md")
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Check the pages; return what mypy returns."""
    with tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(PAGES):
            code = "\n".join(FENCE.findall((ROOT / page).read_text("utf-8")))
            (Path(folder) / f"page_{number}.py").write_text(f"# {page}\n{code}", "utf-8")
        return subprocess.run([sys.executable, "-m", "mypy", folder], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
