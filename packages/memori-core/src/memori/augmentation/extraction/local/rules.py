"""Recognise instructions to the assistant: "call me Bob", "always answer in French", "don't use emojis"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .speaker import Cast
from .wording import Wording, as_sentence

if TYPE_CHECKING:
    from spacy.tokens import Span

MAX_RULE = 300
_OPENING = re.compile(
    r"^(?:(?:hey|hi|ok|okay|so|and|also|but|oh|well|please|pls|just|remember to|make sure to|be sure to)\b[\s,]*)+",
    re.I,
)
_CLOSING = re.compile(r"(?:[\s,]*\b(?:please|pls|thanks|thank you|ok|okay)\b)?[\s.!,]*$", re.IGNORECASE)
_CALL_ME = re.compile(r"^(?i:you can |you may |just )?(?i:call me) (?P<name>[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,3})$")
_STANDING = re.compile(
    r"^(?:from now on|in (?:the )?future|going forward|in general|by default)[\s,]+(?P<order>.+)$", re.IGNORECASE
)
_ALWAYS = re.compile(
    r"^(?:(?:you|I want you to|I need you to|I'd like you to|I would like you to)(?: should| must| need to)? )?"
    r"(?P<how>always|never)\s+(?P<order>[a-z]+\b.+)$",
    re.IGNORECASE,
)
_DO_NOT = re.compile(r"^(?:do not|don't|stop|avoid)(?: ever)?\s+(?P<order>[a-z]+\b.+)$", re.IGNORECASE)
_LASTING = re.compile(
    r"\b(?:ever|again|when|whenever|unless|anymore|any|in your|your (?:answers|replies|responses))\b", re.I
)
_ENCOURAGEMENT = re.compile(
    r"^(?:worry|forget|give up|hesitate|be |know|think|mind|stop believing|get me wrong|say|tell|miss|let|lose)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An instruction as a statement; `slot` where a later one replaces it."""

    text: str
    predicate: str | None = None
    value: str | None = None


def rule_in(sentence: Span, cast: Cast, wording: Wording) -> Rule | None:
    """Return the standing instruction a sentence gives, or None.

    Only a person's words to an assistant are rules: between people, "never give up" is encouragement. A task for
    now ("write me a poem") is no rule.
    """
    if cast.speaker.role != "user" or cast.among_people or "?" in sentence.text:
        return None
    said = _CLOSING.sub("", _OPENING.sub("", sentence.text.strip()))
    polite = re.search(r"\b(?:please|pls)\b", sentence.text, re.IGNORECASE) is not None
    if len(said) > MAX_RULE:
        return None
    who = cast.speaker
    if (call := _CALL_ME.match(said)) is not None:
        return Rule(as_sentence(f"{who.text} wants to be called {call['name']}"), "is called", call["name"])
    if (order := _order(said, polite=polite)) is None:
        return None
    tail = _worded(sentence, said, order[1], wording)
    return None if tail is None else Rule(as_sentence(f"{who.text} asks the assistant {order[0]} {tail}"))


def _order(said: str, *, polite: bool) -> tuple[str, str] | None:
    """Split an instruction into how it is asked ("to always") and what."""
    standing = _STANDING.match(said)
    rest = standing["order"] if standing else said
    if (always := _ALWAYS.match(rest)) is not None:
        return f"to {always['how'].lower()}", always["order"]
    if (negative := _DO_NOT.match(rest)) is not None:
        order = negative["order"]
        lasting = polite or standing or _LASTING.search(order)
        if lasting and not _ENCOURAGEMENT.match(order):
            verb = rest.split()[0].lower()
            return (f"to {verb}" if verb in {"stop", "avoid"} else "not to"), order
        return None
    return ("to", f"{rest}") if standing and re.match(r"[a-z]+\b", rest) else None


def _worded(sentence: Span, said: str, order: str, wording: Wording) -> str | None:
    """The instruction's own words in the third person: "you" is the assistant here."""
    start = sentence.text.find(order)
    if start < 0:
        return None
    end = start + len(order)
    offset = sentence.start_char
    tokens = [t for t in sentence if t.idx - offset >= start and t.idx - offset < end]
    if not tokens or tokens[0].tag_ not in {"VB", "VBP", "VBG", "NN", "VBN", "JJ", "RB", "IN", "VBD"}:
        return None
    text = wording.text(tokens)
    return text if len(text.split()) >= 2 else None
