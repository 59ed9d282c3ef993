"""How long `import memori` takes, against an interpreter that does nothing, and how many modules it loads."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(code: str) -> float:
    """The wall-clock time of one interpreter running `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def modules(code: str) -> int:
    """How many modules are loaded after `code`."""
    counting = f"{code}; import sys; print(len(sys.modules))"
    return int(subprocess.run([sys.executable, "-c", counting], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, the two in turn, and print medians."""
    idle, importing = [], []
    for _ in range(RUNS):
        idle.append(seconds("pass"))
        importing.append(seconds("import memori"))
    nothing, memori = statistics.median(idle), statistics.median(importing)
    print(f"python -c pass:            {1000 * nothing:.0f} ms, {modules('pass')} modules")
    print(f"python -c 'import memori': {1000 * memori:.0f} ms, {modules('import memori')} modules")
    print(f"ratio: {memori / nothing:.1f} (medians of {RUNS} runs)")


if __name__ == "__main__":
    main()
