"""Refuse to run where another distribution has overwritten this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ..errors import ConfigurationError

RIVALS = ("memori", "memorisdk")
"""Distributions that install a package of the same import name."""


def check() -> None:
    """Raise `ConfigurationError` with the commands that repair the environment."""
    for rival in RIVALS:
        try:
            installed = version(rival)
        except PackageNotFoundError:
            continue
        raise ConfigurationError(
            f"The distribution {rival!r} {installed} is installed beside memori-core. Both are imported as 'memori' "
            "and overwrite each other's files, so neither can be trusted. Keep one; for this one type: "
            f"pip uninstall -y {rival} && pip install --force-reinstall --no-deps memori-core"
        )
