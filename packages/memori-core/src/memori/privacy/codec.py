"""The default codec: text is stored as it is."""

from __future__ import annotations

import hashlib


class PlainCodec:
    """Stores text unchanged and fingerprints it with SHA-256."""

    def encode(self, text: str) -> str:
        """Return the text."""
        return text

    def decode(self, stored: str) -> str:
        """Return the text."""
        return stored

    def fingerprint(self, folded: str) -> str:
        """Return 64 hexadecimal digits."""
        return hashlib.sha256(folded.encode()).hexdigest()
