"""Split a text that is longer than an embedder reads into passages that overlap, so that each part of it is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

MOST = 32
"""Passages of one text. What follows the last of them is found by its words."""
_PART = 4
"""A detail is lost in the vector of a whole window: a passage is a quarter of one, where that is enough."""
_OVERLAP = 8
"""A passage begins with so much of the one before: an eighth of its size."""
_LONGEST = 12
"""Characters of a token. More of a text than as many for each token of all passages is not looked at."""
# A word with the signs around it, or a sentence of a script without spaces.
_UNIT = re.compile(r"[^\s。！？]+[。！？]*|[。！？]+")
_ENDS = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*$")


def split(text: str, *, window: int, count: Callable[[str], int]) -> list[str]:
    """Passages of at most `window` tokens, in order, at most `MOST`: the text itself where it fits.

    Each is a part of the text, about a quarter of the window long, or longer where `MOST` of them would not reach its
    end. They end where a sentence or a paragraph does, if one does in their second half, and overlap by up to an
    eighth. `count` says how many tokens a piece has.
    """
    return [text[start:end] for start, end in spans(text, window=window, count=count)]


def spans(text: str, *, window: int, count: Callable[[str], int]) -> list[tuple[int, int]]:
    """Where each passage begins and ends."""
    whole = (0, len(text))
    # No token is shorter than a character, and of prose none is nearly as long as `_LONGEST`.
    if len(text) <= window or (len(text) <= _LONGEST * window and count(text) <= window):
        return [whole]
    units = list(_units(text, window, count))
    # Twice as many as needed, for they overlap and end early.
    size = min(window, max(window // _PART, -(-2 * sum(tokens for _, _, tokens in units) // MOST)))
    found: list[tuple[int, int]] = []
    begin = reached = 0
    while reached < len(units) and len(found) < MOST:
        end = _end(text, units, begin, size, reached)
        if end <= reached:
            begin = reached  # what follows doesn't fit beside what is said again
            continue
        found.append((units[begin][0], units[end - 1][1]))
        begin, reached = _overlapping(units, begin, end, size // _OVERLAP), end
    return found or [whole]


_Unit = tuple[int, int, int]
"""Where it begins and ends, and how many tokens it has."""


def _units(text: str, window: int, count: Callable[[str], int]) -> Iterator[_Unit]:
    taken = 0
    for match in _UNIT.finditer(text, 0, (MOST + 1) * window * _LONGEST):
        for unit in _fitting(text, match.start(), match.end(), window, count):
            yield unit
            taken += unit[2]
        # More than all passages can hold, whatever their overlap.
        if taken > (MOST + 1) * window:
            return


def _fitting(text: str, start: int, end: int, window: int, count: Callable[[str], int]) -> Iterator[_Unit]:
    """The piece, or its halves where it alone is longer than the window."""
    tokens = count(text[start:end])
    if tokens <= window or end - start == 1:
        yield start, end, tokens
        return
    middle = (start + end) // 2
    yield from _fitting(text, start, middle, window, count)
    yield from _fitting(text, middle, end, window, count)


def _end(text: str, units: list[_Unit], begin: int, size: int, reached: int) -> int:
    """The number of the unit after the passage's last: after a sentence, if one ends in its second half."""
    tokens, end, after_sentence = 0, begin, begin
    while end < len(units) and (end == begin or tokens + units[end][2] <= size):
        tokens += units[end][2]
        end += 1
        if end > reached and 2 * tokens > size and _ends_sentence(text, units, end - 1):
            after_sentence = end
    return end if end == len(units) or after_sentence == begin else after_sentence


def _ends_sentence(text: str, units: list[_Unit], number: int) -> bool:
    start, end, _ = units[number]
    gap = text[end : units[number + 1][0]] if number + 1 < len(units) else "\n"
    return "\n" in gap or _ENDS.search(text[start:end]) is not None


def _overlapping(units: list[_Unit], begin: int, end: int, tokens: int) -> int:
    """Where the next passage begins: so many tokens before this one's end, and after its beginning."""
    start = end
    while start - 1 > begin and units[start - 1][2] <= tokens:
        start -= 1
        tokens -= units[start][2]
    return start
