"""Ids: chosen by Memori and never by a database, so that a retry can choose the same one again."""

from __future__ import annotations

import hashlib
import os
import time


def new_key() -> str:
    """Return a new id that sorts by time of creation (the layout of UUID version 7)."""
    return f"{time.time_ns() // 1_000_000:012x}7{os.urandom(10).hex()[:19]}"


def derived_key(*parts: str | int | None) -> str:
    """Return the id that always belongs to these parts. Lengths are hashed too, so no two lists collide by joining."""
    encoded = [b"\x00" if part is None else f"{type(part).__name__}:{part}".encode() for part in parts]
    hashed = hashlib.sha256(b"".join([len(part).to_bytes(8, "big") + part for part in encoded]))
    return hashed.hexdigest()[:32]
