"""The rows and words of an entity's index as bytes, and back, a bounded number at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.records import IndexRow
from .index.words import Postings

_AT_ONCE = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Found = Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def encoded(rows: Sequence[IndexRow]) -> Iterator[NDArray[np.uint8]]:
    """Rows as lines of JSON."""
    for start in range(0, len(rows), _AT_ONCE):
        yield _line(
            [
                [
                    row.fact_id, row.text, row.kind, row.status, row.speaker, row.session_id, row.position,
                    *(None if at is None else micros(at) for at in (row.said_at, row.valid_from, row.valid_to)),
                    row.importance, row.mentions, row.nodes,
                ]
                for row in rows[start : start + _AT_ONCE]
            ]
        )  # fmt: skip


def decoded(lines: NDArray[np.uint8]) -> Iterator[IndexRow]:
    """Rows from lines of JSON. Raises `ValueError`."""
    for line in bytes(lines).splitlines():
        for values in json.loads(line):
            (
                fact_id, text, kind, status, speaker, session, position,
                said_at, valid_from, valid_to, importance, mentions, nodes,
            ) = values  # fmt: skip
            yield IndexRow(
                fact_id, text, kind, status, speaker, session, position,
                _moment(said_at), _moment(valid_from), _moment(valid_to), None, importance, mentions, tuple(nodes),
            )  # fmt: skip


def encoded_terms(terms: Sequence[str], find: Callable[[Sequence[str]], Found]) -> dict[str, Iterable[NDArray[Any]]]:
    """Terms as lines of JSON, and their postings one after the other. They are found when "terms" is asked for."""
    documents: list[NDArray[np.int64]] = []
    frequencies: list[NDArray[np.float32]] = []

    def lines() -> Iterator[NDArray[np.uint8]]:
        names = []
        for term, numbers, often in find(terms):
            documents.append(numbers)
            frequencies.append(often)
            names.append((term, len(numbers)))
            if len(names) == _AT_ONCE:
                yield _line(names)
                names = []
        yield _line(names)

    return {"terms": lines(), "documents": documents, "frequencies": frequencies}


def decoded_terms(arrays: Any) -> dict[str, Postings]:
    """The postings of each term, uncopied."""
    documents, frequencies = arrays["documents"].view(np.int64), arrays["frequencies"].view(np.float32)
    postings, start = {}, 0
    for line in bytes(arrays["terms"]).splitlines():
        for term, count in json.loads(line):
            postings[term] = documents[start : start + count], frequencies[start : start + count]
            start += count
    if not start == len(documents) == len(frequencies):
        raise ValueError("terms and postings are not equally many")
    return postings


def _moment(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)


def _line(values: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(values).encode() + b"\n", dtype=np.uint8)
