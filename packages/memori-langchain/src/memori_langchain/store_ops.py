"""Check a store's operations, and read what they say of namespaces."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchItem,
    SearchOp,
)
from memori import Item as MemoriItem


def check(op: Op) -> Op:
    """The operation, its namespace a tuple. Raises `InvalidNamespaceError`, `TypeError` or `ValueError`.

    A label with a dot is one label here: what may not hold it is the framework's to say.
    """
    match op:
        case GetOp() | PutOp():
            return op._replace(namespace=_labels(op.namespace))
        case SearchOp():
            if op.limit < 0 or op.offset < 0:
                raise ValueError(f"limit and offset may not be negative, got {op.limit} and {op.offset}.")
            return op._replace(namespace_prefix=_labels(op.namespace_prefix))
        case ListNamespacesOp():
            for condition in op.match_conditions or ():
                _labels(condition.path)
            return op
    raise TypeError(f"{type(op).__name__} is no operation of a store.")


def matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Whether a namespace begins, or ends, with the path; "*" stands for one label of any kind."""
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f'match_type must be "prefix" or "suffix", got {condition.match_type!r}.')
    if not path:
        return True
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[-len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def stored_item(item: MemoriItem) -> Item:
    """LangGraph's item."""
    return Item(
        value=item.value["value"],
        key=item.key,
        namespace=item.namespace,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


def found_item(item: MemoriItem, score: float | None) -> SearchItem:
    """LangGraph's item that was searched for."""
    return SearchItem(item.namespace, item.key, item.value["value"], item.created_at, item.updated_at, score)


def _labels(namespace: Any) -> tuple[str, ...]:
    if isinstance(namespace, str) or not isinstance(namespace, tuple | list):
        raise InvalidNamespaceError(f"a namespace must be a tuple of strings, got {namespace!r}.")
    for label in namespace:
        if not isinstance(label, str):
            raise InvalidNamespaceError(
                f"the labels of a namespace must be strings, got {label!r}, a {type(label).__name__}, in {namespace!r}."
            )
        if not label:
            raise InvalidNamespaceError(f"the labels of a namespace may not be empty: {namespace!r}.")
    return tuple(namespace)
