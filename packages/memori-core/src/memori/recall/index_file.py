"""A file of named arrays with a checksum for each: written whole or not at all, read without being copied.

It begins with 64 bytes: a mark, the place and length of the contents, and their SHA-256. The arrays follow, each at a
multiple of 64 bytes, then the contents: JSON that says what the file is about and where each array is.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARK = b"MEMORIX1"
_HEAD = struct.Struct("<8sQQ32s8x")
_ALIGNED = 64


def write(
    path: Path, about: Mapping[str, Any], arrays: Mapping[str, Iterable[NDArray[Any]]]
) -> Generator[None, None, None]:
    """Write a new file for its owner alone, yielding between pieces. Raises `OSError`; the caller removes the file.

    It is not forced to the disk: what a crash tears, the checksums tell.
    """
    places: dict[str, tuple[int, int, str]] = {}
    # Nobody else's file or link is written through: there must be none of that name.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(bytes(_ALIGNED))
        for name, pieces in arrays.items():
            begin, digest = file.tell(), hashlib.sha256()
            for piece in pieces:
                content = np.ascontiguousarray(piece).data.cast("B") if piece.size else b""
                digest.update(content)
                file.write(content)
                yield
            places[name] = begin, file.tell() - begin, digest.hexdigest()
            file.write(bytes(-file.tell() % _ALIGNED))
        contents = json.dumps({**about, "arrays": places}).encode()
        begin = file.tell()
        file.write(contents)
        file.seek(0)
        file.write(_HEAD.pack(_MARK, begin, len(contents), hashlib.sha256(contents).digest()))


def about(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """What a file says it is about, and its bytes, mapped. Raises `ValueError` if damaged, `OSError` if unreadable."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no ordinary file")
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise ValueError("somebody else can write it")
        if status.st_size < _ALIGNED:
            raise ValueError("it is cut short")
        content: NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r")
    mark, begin, length, digest = _HEAD.unpack(bytes(content[:_ALIGNED]))
    if mark != _MARK:
        raise ValueError("it is of another format")
    written = bytes(content[begin : begin + length])
    if hashlib.sha256(written).digest() != digest:
        raise ValueError("its contents are damaged or cut short")
    found: dict[str, Any] = json.loads(written)
    return found, content


def arrays(found: Mapping[str, Any], content: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """The arrays as flat bytes in the mapped file. Raises `ValueError` for one that is damaged."""
    checked = {}
    for name, (begin, length, digest) in found["arrays"].items():
        part = content[begin : begin + length]
        if hashlib.sha256(part.data).hexdigest() != digest:
            raise ValueError(f"its {name} are damaged")
        checked[name] = np.asarray(part)
    return checked
