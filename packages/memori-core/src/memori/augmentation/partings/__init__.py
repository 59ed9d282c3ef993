"""Which earlier statements a new one puts an end to, by what both are about."""

from .search import partings

__all__ = ["partings"]
