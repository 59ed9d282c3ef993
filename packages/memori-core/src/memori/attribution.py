"""Who is speaking, in the current thread or task."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from .model import Attribution

_Everyone = Mapping[int, Attribution]
_current: ContextVar[_Everyone] = ContextVar("memori_attribution", default=MappingProxyType({}))
_numbers = itertools.count(1)


class CurrentAttribution:
    """One Memori instance's view of the context: what was set here is seen by this thread or task and its children.

    A notebook has one user: under IPython the identity holds for the kernel, because a ContextVar set in an `await`
    cell is lost by the next. Nowhere else is there a process-wide identity.
    """

    def __init__(self) -> None:
        self._number = next(_numbers)
        self._kernel: Attribution | None = None

    def get(self) -> Attribution | None:
        """The attribution of the current context, or None."""
        found = _current.get().get(self._number)
        return found if found is not None or not in_notebook() else self._kernel

    def set(self, attribution: Attribution | None) -> None:
        """Set or clear the attribution of the current context."""
        others = {number: value for number, value in _current.get().items() if number != self._number}
        if attribution is not None:
            others[self._number] = attribution
        _current.set(MappingProxyType(others))
        if in_notebook():
            self._kernel = attribution

    @contextmanager
    def scope(self, attribution: Attribution) -> Iterator[Attribution]:
        """Set the attribution for a block and restore the previous one.

        A generator may be closed in another context than the one that entered it: there the value is not ours, and
        is left alone.
        """
        previous = self.get()
        self.set(attribution)
        try:
            yield attribution
        finally:
            if self.get() is attribution:
                self.set(previous)


def in_notebook() -> bool:
    """Whether this process is an IPython kernel or shell. Imports nothing."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython, "get_ipython", lambda: None)() is not None
