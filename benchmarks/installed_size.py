"""How much disk `pip install memori-langchain` takes in a fresh environment, from wheels built here."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return (
        path.stat().st_size
        if path.is_file()
        else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    )


def main() -> None:
    """Build, install, add up, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.installed_size", description=__doc__)
    parser.add_argument("package", nargs="?", default="memori-langchain")
    package = parser.parse_args().package
    uv = ["uv"] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    with tempfile.TemporaryDirectory() as folder:
        wheels, environment = Path(folder, "wheels"), Path(folder, "environment")
        subprocess.run([*uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(wheels)], check=True)
        subprocess.run([*uv, "venv", "--quiet", "--no-project", "-p", sys.executable, str(environment)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(environment)]
        subprocess.run([*install, "--find-links", str(wheels), package], check=True)
        [site] = environment.glob("lib/python*/site-packages")
        parts = Counter({entry.name: size(entry) for entry in site.iterdir()})
    print(f"{package}: {parts.total() / 1e6:.0f} MB in {len([p for p in parts if p.endswith('.dist-info')])} packages")
    for name, amount in parts.most_common(12):
        print(f"{amount / 1e6:8.1f} MB  {name}")


if __name__ == "__main__":
    main()
