"""A storage behind a function of the user's: what the function returns shows whose it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, cast

from ..errors import UnknownConnectionError
from .base import Storage


class ForeignConnectionError(UnknownConnectionError):
    """The function returned `made`, which another storage may know what to do with."""

    def __init__(self, made: Any, message: str) -> None:
        super().__init__(message)
        self.made = made


def deferred(storage: Storage, function: Callable[[], Any], elsewhere: Callable[[Any], type[Any] | None]) -> Storage:
    """`storage`, until its first operation finds that what the function returns belongs `elsewhere`."""
    return cast(Storage, _Deferred(storage, function, elsewhere))


class _Deferred:
    """Passes everything on to the one storage or the other."""

    def __init__(
        self, storage: Storage, function: Callable[[], Any], elsewhere: Callable[[Any], type[Any] | None]
    ) -> None:
        self._storage = storage
        self._function = function
        self._elsewhere = elsewhere
        self._choosing = threading.Lock()

    def after_fork(self) -> None:
        """Forget what was inherited."""
        self._choosing = threading.Lock()
        self._storage.after_fork()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            storage = self._storage
            try:
                return getattr(storage, name)(*args, **kwargs)
            except ForeignConnectionError as error:
                self._change(storage, error)
            return getattr(self._storage, name)(*args, **kwargs)

        return call

    def _change(self, storage: Storage, error: ForeignConnectionError) -> None:
        with self._choosing:
            if self._storage is not storage:
                return
            kind = self._elsewhere(error.made)
            if kind is None:
                raise error
            self._storage = kind(_returning_first(error.made, self._function), storage.options)


def _returning_first(made: Any, function: Callable[[], Any]) -> Callable[[], Any]:
    """The function, whose first result was made already."""
    waiting = [made]
    return update_wrapper(lambda: waiting.pop() if waiting else function(), function, updated=())
