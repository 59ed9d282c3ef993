"""The graph's arm: memories about what the query names, and about what its best answer is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .entity_index import EntityIndex

FAN_OUT = 20
"""A node of more memories than this leads everywhere, and so nowhere."""


def about_named(index: EntityIndex, words: Sequence[str]) -> set[int]:
    """Numbers of the memories about a node that the query names. `words` are the query's normalised terms."""
    wanted = set(words)
    nodes = {node for word in wanted for node in index.nodes_with.get(word, ()) if wanted.issuperset(node)}
    return {number for node in nodes for number in _about(index, node)}


def linked_to(index: EntityIndex, nearest: Iterable[int]) -> dict[int, int]:
    """Numbers of the memories that share a node with the first of `nearest` that has one, and that number.

    One step from the best answer reaches "Anna works at Siemens" from "My sister is Anna"; more seeds only add noise.
    """
    seed = next((number for number in nearest if index.nodes_of.get(number)), None)
    if seed is None:
        return {}
    return {number: seed for node in index.nodes_of[seed] for number in _about(index, node) if number != seed}


def _about(index: EntityIndex, node: tuple[str, ...]) -> set[int]:
    about = index.about[node]
    return about if len(about) <= FAN_OUT else set()
