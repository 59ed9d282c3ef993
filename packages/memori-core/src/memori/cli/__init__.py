"""The command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command `memori`."""
    from ..errors import MemoriError
    from .app import build
    from .console import fail
    from .distributions import check

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a memory may hold what a terminal's encoding does not
    try:
        check()
    except MemoriError as error:
        fail(error)
        sys.exit(1)
    build()(prog_name="memori")
