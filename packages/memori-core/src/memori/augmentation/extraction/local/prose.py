"""Find the English prose in a message: no injected memory, code, tables, logs, quotes or other languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import filterfalse

from ....text import storable
from .wordlist import words

MAX_CHARACTERS = 20_000
"""How much of one message is read, after injected blocks are taken out; the rest is kept as an episode only."""
MAX_PARAGRAPH = 2_000
"""Longer paragraphs are cut at a space, so that one message never makes one huge parse."""

# Bounded repeats: the text is hostile, and none of these may look further than its own line.
_BLOCK_TAG = re.compile(r"<(/?)\s{0,8}memori_context\b[^<>]{0,200}>", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_BULLET = re.compile(r"^\s{0,12}(?:[-*+•–]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s")
_STAGE_DIRECTION = re.compile(r"\[[^\[\]\n]{0,300}\]")
_MARKDOWN_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_EMPHASIS = re.compile(r"\*\*|__|`|(?<!\w)[*_](?=\w)|(?<=[\w.!])[*_](?!\w)")
_MACHINE_LINE = re.compile(
    r"""\s{0,80}(?:
        [|+][-|+= ]                                   # a table
      | [{}\[\]()<>]                                  # data or markup
      | "[^"\n]{1,80}"\s{0,4}:                        # a JSON member
      | \[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d               # a time stamp
      | \[?\d\d:\d\d:\d\d
      | \[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b
      | Traceback\ \(|\w{1,60}(?:Error|Exception):|File\ "|at\ [\w.$]{3,200}\(|Caused\ by:
      | (?:def|class|import|from|const|let|var|function|public|private|return|SELECT|INSERT|UPDATE|DELETE|CREATE)\b
        [^.!?]{0,200}[;:(){}=*]
      | \$\ |>>>|\#include|\#!|//|/\*|<!--
      | >                                             # somebody else's words
    )""",
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s*")
_CODE_END = re.compile(r"[;{}\\]\s{0,8}$")
_CODE_SIGNS = re.compile(r"[{}<>=|\\;$~^\[\]]|::|->|=>|&&")
_TYPED_FAST = (
    (re.compile(r"\bi'?m\b", re.IGNORECASE), "I'm"),
    (re.compile(r"\bi'?ve\b", re.IGNORECASE), "I've"),
    (re.compile(r"\bi'(ll|d)\b"), r"I'\1"),
    (re.compile(r"\bi\b(?![.'&/-])"), "I"),
    (re.compile(r"\b(do|does|did|ca|wo|is|was|are|have|has|would|could|should)nt\b", re.IGNORECASE), r"\1n't"),
    (re.compile(r"\b(he|she|that|what|who|there)s\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"\b(they|you)re\b", re.IGNORECASE), r"\1're"),
    (re.compile(r"\b(they|we|you)ve\b", re.IGNORECASE), r"\1've"),
    (re.compile(r"\b(cannot)\b", re.IGNORECASE), "can't"),
    (re.compile(r"(?:(?<=^)|(?<=[.!?] ))been(?= (?:\w+ly )?\w+ing\b)", re.IGNORECASE), "I've been"),
    (re.compile(r"\b(my|our) (first name|last name|middle name|name|birthday)'s\b", re.IGNORECASE), r"\1 \2 is"),
)
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")

_ENGLISH = words(
    """
    i me my mine we us our you your he him his she her they them their it its a an the and or but so if of to in
    on at by for from with about into is am are was were be been being have has had do does did will would can
    could should must might may not no this that these those there here what when where who how why which than
    then just never always please as up out after before since last week
    month year years today yesterday tomorrow got get went going love live lives work works now
    don't i'm i've i'd i'll can't it's also very really more most some any because
    """
)
_OTHER = (
    words(
        """
    ich du er wir ihr ist bin sind war und oder nicht ein eine einen der die das den dem mit auf für von zu im
    je tu il nous vous est suis sont et ou ne pas un une le la les des du de dans avec pour sur mon ma mes j'ai
    yo tú él nosotros es soy son y o el los las una del en con por para mi que no me gusta muy io sono è e il lo
    gli uno di che per non mio mia ho eu sou são não os as um uma com meu minha ik je hij wij is ben zijn en het
    een van met voor niet mijn jag är och inte jeg ikke og
    """
    )
    - _ENGLISH
    - {"war", "die", "son", "per", "man"}
)
_LAST_LATIN = "\u024f"


def paragraphs(text: str) -> list[str]:
    """Return the stretches of English prose in a message, in order. Of a mixed one, the English sentences."""
    found: list[str] = []
    text = without_injected_blocks(storable(text))[:MAX_CHARACTERS]
    for paragraph in _joined(_prose_lines(text)):
        paragraph = _plain(paragraph)
        for piece in filterfalse(_is_drone, _cut(paragraph)):
            found.extend(filter(is_english, _SENTENCE_END.split(piece) if _is_mixed(piece) else [piece]))
    return found


def without_injected_blocks(text: str) -> str:
    """Remove what Memori itself put there; an unclosed block reaches to the end."""
    kept: list[str] = []
    depth = position = 0
    for tag in _BLOCK_TAG.finditer(text):
        if depth == 0:
            kept.append(text[position : tag.start()])
        depth = max(0, depth - 1) if tag[1] else depth + 1
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept)


def is_english(text: str) -> bool:
    """Whether English rules may read this: mostly Latin letters, and more English function words than others."""
    letters = [char for char in text if char.isalpha()]
    if not letters or sum(char > _LAST_LATIN for char in letters) > 0.2 * len(letters):
        return False
    found = [word.casefold() for word in _WORD.findall(text)]
    english, other = sum(word in _ENGLISH for word in found), sum(word in _OTHER for word in found)
    return english >= 1 and english > other and english >= 0.08 * len(found)


def _is_drone(text: str) -> bool:
    """Whether the same few words run on without a full stop: nobody says so, and parsing it takes long."""
    said = _WORD.findall(text)
    return len(said) > 60 and not _SENTENCE_END.search(text) and len(set(said)) < 0.2 * len(said)


def _is_mixed(text: str) -> bool:
    """Whether some of it may be in another language, so that it must be judged sentence by sentence."""
    foreign = any(char > _LAST_LATIN and char.isalpha() for char in text)
    return foreign or any(word.casefold() in _OTHER for word in _WORD.findall(text))


def _prose_lines(text: str) -> Iterator[str]:
    """Yield lines of prose; a blank line ends a paragraph."""
    fenced = None
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if fence and (fenced is None or fenced == fence[1]):
            fenced = None if fenced else fence[1]
            yield ""
        elif fenced is None:
            if _BULLET.match(line):
                yield ""
                line = _BULLET.sub("", line)
            elif line.startswith(("    ", "\t")):
                continue
            yield "" if _is_machine(line) else line.strip()


def _is_machine(line: str) -> bool:
    """Whether a line is a heading, a table row, a log line or code."""
    link_free = _MARKDOWN_LINK.sub(r"\1", line)
    link_free = _STAGE_DIRECTION.sub("", link_free)
    if _HEADING.match(line) or _MACHINE_LINE.match(link_free) or _CODE_END.search(line):
        return True
    if line.count("|") >= 2 or line.count("\t") >= 2:
        return True
    if line.count(",") >= 3 and ", " not in line:
        return True
    return len(_CODE_SIGNS.findall(link_free)) > max(2, len(line) // 25)


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Join hard-wrapped lines; keep a break after a short line or a finished sentence."""
    paragraph: list[str] = []
    for line in lines:
        if paragraph and (not line or len(paragraph[-1]) < 50 or paragraph[-1].endswith((".", "!", "?", ":"))):
            yield " ".join(paragraph)
            paragraph = []
        if line:
            paragraph.append(line)
    if paragraph:
        yield " ".join(paragraph)


def _plain(text: str) -> str:
    """Drop marks that only decorate: emphasis, emoji, stage directions, curly quotes; and write "im" out."""
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _STAGE_DIRECTION.sub(" ", text)
    text = _EMPHASIS.sub("", text)
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    text = "".join(" " if unicodedata.category(char) in {"So", "Sk", "Cc", "Cf", "Co", "Cn"} else char for char in text)
    for pattern, written_out in _TYPED_FAST:
        text = pattern.sub(written_out, text)
    return " ".join(text.split())


def _cut(text: str) -> Iterator[str]:
    while len(text) > MAX_PARAGRAPH:
        end = text.rfind(" ", 0, MAX_PARAGRAPH)
        end = end if end > 0 else MAX_PARAGRAPH
        yield text[:end]
        text = text[end:].lstrip()
    if text:
        yield text
