"""Cut a sentence where one statement ends and another begins, so that each is parsed by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .wordlist import words

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

MAX_SPLICED = 600
"""Longest sentence that is cut, in characters; a longer one is read as it stands, so that parsing stays bounded."""
MAX_PIECES = 8
"""Most statements read of one sentence."""

# "Fun fact: I ...", "Just so you know, I ...", "Turns out I ...": words before a statement that say nothing.
_OPENER = re.compile(
    r"""^(?:(?:
        (?:so|and|but|oh|well|hey|hi|hello|yeah|yes|yep|no|nope|ok|okay|ah|hmm|wow|haha|plus|also|anyways?|actually
           |honestly|frankly|btw|fyi|tbh|lol|now|look|listen|update|edit|ps|p\.s\.)\s*[,:!–—-]+
      | (?:so|and|but|well|oh|plus)(?=\s+(?:i|i'm|i've|my|we|our)\b)
      | (?:just\s+)?so\ you\ know | just\ fyi | for\ (?:context|the\ record|reference|background|what\ it's\ worth)
      | (?:some\s+|for\s+some\s+)?(?:background|context)\s*: | by\ the\ way | to\ be\ (?:honest|fair|clear)
      | (?:(?:it\s+)?(?:just\s+)?turns\ out|it\ turned\ out)(?:\s+that)?
      | (?:just\s+)?(?:please\s+)?remember\ that | keep\ in\ mind\ that
      | (?:please\s+)?note\ that | you\ should\ know\ that
      | as\ (?:you\ know|i\ (?:said|mentioned|told\ you))(?:\s+before)?
      | i\ (?:should|must|also\s+should|forgot\ to|wanted\ to)\s+(?:also\s+)?(?:mention|say|add|tell\ you)(?:\s+that)?
      | (?:[a-z]+\s+){0,2}(?:news|fact|update|reminder|note|heads-up|question|correction|confession)\s*[:!–—-]+
      | guess\ what\s*[!?,.:]* | thing\ is | the\ (?:thing|truth|fact|problem)\ is(?:\s+that)?
    )[\s,:]*)+(?=\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDING = re.compile(r",?\s+(?:by the way|btw|fyi|though|just so you know|to be honest|tbh|lol|haha)(?=\W*$)", re.I)
_CORRECTION = re.compile(
    r"""(?:^|[,;.–—-])\s*(?:(?:oh\s+)?no,?\s+wait|wait,?\s+no|wait|sorry|i\ meant|i\ mean|scratch\ that|strike\ that
        |correction|or\ rather|no,?\ actually|actually,?\ no|actually,?\ scratch\ that|i\ misspoke)
        (?:[\s,:.–—-]*(?:sorry|i\ meant|i\ mean|actually|that's\ wrong))*\s*[,:.–—-]*\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_JOINT = re.compile(
    r"""(?:\s*[;:]\s+|\s+[–—-]+\s+|\s*[–—]\s*|,\s+|\s+)
        (?:(?:and|but|so|then|plus|yet|though|although|and\ then|and\ so|but\ then)\s+)?
        (?=(?P<next>i|i'm|i've|i'd|i'll|we|we're|we've|my|our|he|he's|she|she's|his|her|they|they're|it|it's
            |wish|thanks?|please|pls|any|can|could|what|how|is|are|do|does|should|would|why|where|when|which|who)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKING = frozenset({"is", "are", "do", "does", "should", "would", "why", "where", "when", "which", "who"})
"""What begins a question after a comma, at the end of a statement."""
_REASON = re.compile(
    r",?\s+(?:since|because|'?cause|cuz|as|given(?:\s+that)?|considering(?:\s+that)?|seeing\s+as)\s+"
    r"(?=(?:i|i'm|i've|my|we|we're|our)\b)",
    re.IGNORECASE,
)
_WHO = re.compile(r"\b(?P<whom>(?:my|our)\s+(?:[\w'-]+\s+){0,3}[\w'-]+),?\s+who(?=\s|'s)(?P<rest>[^?]+)", re.IGNORECASE)
_JOINING = re.compile(r"[,;:–—-]|\b(?:and|but|so|then|plus|yet|though|although)\b", re.IGNORECASE)
_SUBORDINATE = words(
    """
    if when whenever because since although though while after before as unless once until till even given whether
    that which who where what how why like than
    """
)
_REPORTS = words("say tell think guess believe know mean suppose hope ask bet swear feel wonder hear remember")
_FINITE = frozenset({"VBD", "VBP", "VBZ", "MD"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a sentence. `corrects`: it takes back what was said just before it."""

    text: str
    corrects: bool = False


def pieces(sentence: Span) -> list[Piece]:
    """Return the statements spliced into one sentence, in order, without words that say nothing.

    A cut needs a verb on both sides and a pronoun to begin the next statement, so that lists ("Ana and I live in
    Oslo") and subordinate clauses ("when I was young, I lived in Rome") stay whole.
    """
    if len(sentence.text) > MAX_SPLICED:
        return [Piece(sentence.text)]
    found: list[Piece] = []
    for number, text in enumerate(_corrected(sentence.text.strip())):
        # The parse still tells which words are verbs; the places come from the text.
        start = sentence.text.find(text)
        found.extend(Piece(part, corrects=number > 0) for part in _cut(sentence, text, max(start, 0)))
    return [Piece(text, piece.corrects) for piece in found[:MAX_PIECES] if (text := _bare(piece.text))]


def _bare(text: str) -> str:
    text = _ENDING.sub("", text.strip())
    rest = _OPENER.sub("", text)
    if rest != text and rest[:1].islower():
        rest = f"{rest[:1].upper()}{rest[1:]}"
    return rest


def _corrected(text: str) -> list[str]:
    """Split at "no wait", "I mean" and the like; the first is what was taken back, "" where that came before."""
    if '"' in text:
        return [text]
    parts = [part.strip() for part in _CORRECTION.split(text)]
    if len(parts) == 1 or not parts[-1]:
        return [text]
    return parts


def _cut(sentence: Span, text: str, start: int) -> list[str]:
    if '"' in text:
        return [text] if text else []
    parts, begin = [], 0
    aside: list[str] = []
    if "?" in text or sentence.root.tag_ == "VB":
        # A request says in passing why, and for whom.
        why = _REASON.split(text.rstrip("? "), maxsplit=1)
        whom = _WHO.search(text)
        aside = [whom["whom"][:1].upper() + whom["whom"][1:] + whom["rest"]] if whom else why[1:]
    for joint in _JOINT.finditer(text):
        if not _JOINING.search(joint[0]) or joint.start() < begin:
            continue
        if joint["next"].lower() in _ASKING and not ("," in joint[0] and text.endswith("?")):
            continue
        left = _tokens(sentence, start + begin, start + joint.start())
        if "?" in text[begin : joint.start()]:
            continue
        right = _tokens(sentence, start + joint.end(), start + len(text))
        if _is_whole(left) and _begins(right, joint["next"].lower()):
            parts.append(text[begin : joint.start()])
            begin = joint.end()
    return [*parts, text[begin:], *aside] if text else []


def _tokens(sentence: Span, start: int, end: int) -> list[Token]:
    offset = sentence.start_char
    return [token for token in sentence if start <= token.idx - offset < end and not token.is_punct]


def _is_whole(tokens: list[Token]) -> bool:
    """Whether what stands before the joint can end there."""
    if len(tokens) < 2 or tokens[0].lower_ in _SUBORDINATE or tokens[-1].tag_ in {"IN", "TO", "DT", "PRP$", "CC"}:
        return False
    verbs = [token for token in tokens if token.tag_ in _FINITE]
    if not verbs:
        return bool(tokens[0].tag_ == "VB")
    if verbs[-1].lemma_ in _REPORTS and verbs[-1] == tokens[-1]:
        return False
    # "What I love is", "the day that we met": the verb belongs to a clause within.
    first = verbs[0]
    return not any(token.lower_ in _SUBORDINATE for token in tokens if token.i < first.i)


def _begins(tokens: list[Token], word: str) -> bool:
    """Whether what stands after the joint has a verb of its own."""
    if word in {"wish", "thank", "thanks", "please", "pls", "any", "can", "could", "what", "how"} | _ASKING:
        return True
    for token in tokens:
        if token.tag_ in {"WDT", "WP", "WRB"}:
            return False
        if token.tag_ in _FINITE:
            return True
    return False
