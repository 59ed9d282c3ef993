"""Normalise text: for storing, for searching, and for telling whether two facts say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_SURROGATES = re.compile("[\ud800-\udfff\x00]")
_SPACE = re.compile(r"\s+")
# A word is letters, digits and marks, with the signs that tell names apart: C++, C#, .NET, AT&T, don't, 1.5.
_WORD = re.compile(r"\.?[^\W_]+(?:['’.,:/&@_-][^\W_]+)*(?:\+\+|\#)?", re.UNICODE)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0002ebef]+")
_STOP = frozenset(
    re.findall(
        r"\w+",
        """
        a am an and are as at be been being but by can could did do does for from had has have he
        her hers him his how i if in into is it its me my of on or our ours she so that the their
        theirs them then there these they this those to us was we were what when where which who
        whom whose why will with would you your yours
        """,
    )
)


def storable(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL and UTF-8 cannot hold, with U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def fold(text: str) -> str:
    """Fold what does not change meaning: Unicode form (NFKC), case and white space.

    Digits, separators and every script stay as they are, so "1.5" and "15" differ and so do two Japanese sentences.
    """
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip().rstrip(".!")


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    import snowballstemmer

    stemmed: str = snowballstemmer.stemmer("english").stemWord(word)
    return stemmed


def asks(text: str) -> bool:
    """Whether a text ends as a question."""
    return text.rstrip().endswith(("?", "？", "؟"))


def words(text: str) -> list[str]:
    """Split text into folded words in order; runs of Chinese, Japanese and Korean give overlapping pairs."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found: list[str] = []
    for match in _WORD.finditer(folded):
        word = match.group().replace("’", "'").removesuffix("'s")
        runs = _CJK.findall(word)
        if not runs:
            found.append(word)
            continue
        for run in runs:
            found.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        found.extend(rest for rest in _CJK.split(word) if rest)
    return found


def terms(text: str) -> list[str]:
    """The terms a text is searched by: its words without stop words, accents stripped, English ones stemmed."""
    return terms_of(words(text))


def terms_of(said: Iterable[str]) -> list[str]:
    """The terms of a text that was split into words already."""
    return [_stem(_unaccent(word)) if word.isascii() or word.isalpha() else word for word in said if word not in _STOP]


def _unaccent(word: str) -> str:
    if word.isascii() or _CJK.search(word):
        return word
    return unicodedata.normalize(
        "NFC", "".join(c for c in unicodedata.normalize("NFD", word) if ord(c) not in range(0x300, 0x370))
    )
