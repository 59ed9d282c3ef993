"""Give one object a method of its own, and take it away again, without its copies getting it."""

from __future__ import annotations

import threading
from typing import Any

from ..process import on_fork

_placing = threading.Lock()


def _after_fork() -> None:
    # The lock may have been held by a thread that the child does not have.
    global _placing
    _placing = threading.Lock()


on_fork(_after_fork)


def place(holder: Any, name: str, method: Any) -> None:
    """Make `holder.name` this method."""
    if not _is_model(holder):
        setattr(holder, name, method)
        return
    _divert(type(holder), name)
    vars(holder)[_key(name)] = _Own(id(holder), method)


def remove(holder: Any, name: str) -> None:
    """Make `holder.name` its class's again."""
    if _is_model(holder):
        vars(holder).pop(_key(name), None)
    else:
        delattr(holder, name)


def has_own(holder: Any, name: str) -> bool:
    """Whether `holder.name` is its own and not its class's."""
    attributes = getattr(holder, "__dict__", {})
    if not _is_model(holder):
        return name in attributes
    return isinstance(own := attributes.get(_key(name)), _Own) and own.home == id(holder)


def _is_model(holder: Any) -> bool:
    """Whether it is a pydantic model: those refuse unknown attributes, and copy what is in `__dict__`."""
    return not isinstance(holder, type) and hasattr(type(holder), "__pydantic_fields__")


def _key(name: str) -> str:
    return f"_memori_{name}"


class _Own:
    """A method of the one object at `home`. It goes along to copies, where it is nobody's, and into no pickle."""

    def __init__(self, home: int, method: Any) -> None:
        self.home = home
        self.method = method

    def __deepcopy__(self, memo: Any) -> _Own:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return str, ()


class _Diverted:
    """A method of a class, for those of its instances that have none of their own."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        self.function = function

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None and has_own(instance, self.name):
            return vars(instance)[_key(self.name)].method
        return self.function.__get__(instance, owner)


def _divert(kind: type, name: str) -> None:
    with _placing:
        present = _static(kind, name)
        if not isinstance(present, _Diverted):
            setattr(kind, name, _Diverted(name, present))


def _static(kind: type, name: str) -> Any:
    return next(vars(base)[name] for base in kind.__mro__ if name in vars(base))
