"""Recognise instructions to the assistant: "call me Bob", "always answer in French", "don't use emojis"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .speaker import Cast
from .statements import SUBJECTS
from .topics import rule_topic
from .wording import Wording, as_sentence

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

MAX_RULE = 300
_OPENING = re.compile(
    r"^(?:(?:hey|hi|ok|okay|so|and|also|but|oh|well|please|pls|just|remember to|make sure to|be sure to"
    r"|make sure (?:that )?you|one thing:?|(?:can|could|would|will) you(?: please)?|you can|you may|you should|you must"
    r"|feel free to)\b[\s,]*)+",
    re.I,
)
_CLOSING = re.compile(
    r"(?:[\s,]*\b(?:please|pls|thanks|thank you|ok|okay|from now on|going forward|in (?:the )?future|if possible"
    r"|if you can)\b)*[\s.!,?]*$",
    re.IGNORECASE,
)
_CALL_ME = re.compile(
    r"^(?i:call|address) (?i:me) (?:(?i:as|by) )?(?P<name>[A-Z][\w'-]*\.?(?: [A-Z][\w'-]*){0,3})"
    r"(?: (?i:instead|now|please|these days))?(?:,? (?:not|instead of|rather than) .{1,40})?$"
)
_STANDING = re.compile(
    r"\b(?:from now on|from here on|in (?:the )?future|going forward|in general|by default|at all times|every time"
    r"|each time|whenever|always|never)\b",
    re.IGNORECASE,
)
_STANDING_FIRST = re.compile(
    r"^(?:from now on|from here on|in (?:the )?future|going forward|in general|by default)[\s,]+", re.IGNORECASE
)
_WISH = re.compile(
    r"^(?:I want you to|I need you to|I(?:'d| would) (?:like|love|prefer) (?:it if )?you(?: to|'d| would| could)?"
    r"|I(?:'d| would) (?:appreciate it|prefer it|prefer|like it) if you(?:'d| would| could)?"
    r"|(?:it )?(?:would|'d) be (?:great|nice|good|better|helpful|best) if you(?:'d| would| could)?"
    r"|it(?:'d| would) be (?:great|nice|good|better|helpful|best) if you(?:'d| would| could)?"
    r"|you (?:should|must|need to|have to)|you)\s+",
    re.IGNORECASE,
)
_HOW_ANSWERS_ARE_LIKED = re.compile(
    r"^I(?:'d| would)? (?:really )?(?:(?:like|love|appreciate|hate|dislike|don't like)\b(?=.*\b(?:when|if) you\b)"
    r"|(?:prefer|want|need|(?<='d )like|(?<='d )appreciate|(?<=would )appreciate)\b).*"
    r"(?:\b(?:when|if) you (?:give|keep|use|write|answer|reply|explain|show|speak|talk|tell|send|call|put|add|start)\b"
    r"|\byour (?:answers|replies|responses|explanations)\b"
    r"|\b(?:short|shorter|brief|concise|detailed|longer|direct|simple|straight|plain|honest)"
    r" (?:answers?|repl(?:y|ies)|responses?|explanations?)\b)",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"^(?P<condition>(?:when(?:ever)?|every time|each time|any time|if) (?:I|you|we)\b[^,]{2,120}),\s+(?P<order>.+)$",
    re.I,
)
_ALWAYS = re.compile(r"^(?P<how>always|never|only)\s+(?P<order>[a-z]+\b.+)$", re.IGNORECASE)
_DO_NOT = re.compile(
    r"^(?P<not>do not|don't|stop|quit|avoid|skip|no more|no)(?: ever)?\s+(?P<order>[a-z]+\b.*)$", re.IGNORECASE
)
_LASTING = re.compile(
    r"\b(?:ever|again|when|whenever|unless|anymore|any|all the time|in your|with me"
    r"|(?:your|the|all) (?:answers?|replies|responses?|explanations?|messages|emails))\b",
    re.I,
)
_MANNER = re.compile(
    r"""^(?:
        (?:keep|make|give|write|format|start|end|begin|sign)\b.*\b(?:your|all|every|me)\s+(?:\w+\s+)?
            (?:answers?|repl(?:y|ies)|responses?|explanations?|messages?|emails?|recipes?|suggestions?)\b
      | (?:answer|reply|respond|speak|talk|write\ back)(?:\ (?:to\ me|with\ me|me))?(?:\ only|\ always)?
            \s+in\s+(?:[A-Z]|plain|simple|short|bullet|the)
      | (?:talk|speak|explain\ things|explain\ everything)(?:\ to\ me)?\s+(?:like|as\ if|as|simply|in)
      | use\b.*\b(?:metric|imperial|celsius|fahrenheit|spelling|units?|24-hour|12-hour|clock|emojis?|bullet|markdown
            |plain\ text|language|english|pronouns|tone|jargon|words|currency|euros|kilograms|kilometers|kilometres)\b
      | be\ (?:more\ |less\ |very\ )?(?:brief|concise|direct|formal|informal|honest
            |blunt|critical|patient|kind\ to\ me)\b
      | (?:refer\ to\ me|treat\ me)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_STYLE = re.compile(
    r"\b(?:emojis?|emoticons|bullet(?: points?|s)?|disclaimers?|jargon|small talk|exclamation (?:marks?|points?)"
    r"|apologi[sz]\w*"
    r"|preambles?|markdown|tables?|caps|nicknames?|hashtags?|sugar-?coating|filler|lectur\w+|repeat\w*|suggest\w*"
    r"|recommend\w*|call me|swear\w*|remind me)\b",
    re.IGNORECASE,
)
_ENCOURAGEMENT = re.compile(
    r"^(?:worry|forget|give up|hesitate|be |know|think|mind|stop believing|get me wrong|say|tell|miss|let|lose|need"
    r"|idea|problem|wonder|doubt|way|thanks|worries|one|offen[cs]e|rush|wait|matter)\b",
    re.I,
)
_SOMEBODY = re.compile(r"\b(?:he|she|him|her|his|hers|they|them|this|these|those)\b", re.IGNORECASE)
"""Whom or what an instruction means that was named elsewhere: of no use once it stands alone."""
_ASKED = re.compile(r"^(?:can|could|would|will) you\b|^(?:please|always|never|from)\b", re.IGNORECASE)
_CALLED_OUT = re.compile(r",\s+(?!Dr|Mr|Mrs|Ms)[A-Z]\w+\W*$")


@dataclass(frozen=True, slots=True)
class Rule:
    """An instruction as a statement; `predicate` where a later one on the same topic replaces it."""

    text: str
    predicate: str | None = None
    value: str | None = None


def rule_in(sentence: Span, cast: Cast, wording: Wording) -> Rule | None:
    """Return the standing instruction a sentence gives, or None.

    Only a person's words to an assistant are rules: between people, "never give up" is encouragement. A task for
    now ("write me a poem") is no rule.
    """
    if cast.speaker.role != "user" or cast.among_people or len(sentence.text) > MAX_RULE:
        return None
    text = sentence.text.strip()
    standing = _STANDING.search(text) is not None
    if ("?" in text and not (standing and _ASKED.match(text))) or _CALLED_OUT.search(text):
        return None
    said = _CLOSING.sub("", _STANDING_FIRST.sub("", _OPENING.sub("", text)))
    who = cast.speaker
    if (call := _CALL_ME.match(said)) is not None:
        return Rule(as_sentence(f"{who.text} wants to be called {call['name']}"), "is called", call["name"])
    if _HOW_ANSWERS_ARE_LIKED.match(said):
        whole = wording.text([token for token in sentence if not token.is_punct or token.i + 1 < sentence.end])
        return Rule(as_sentence(whole), rule_topic(said))
    condition = _CONDITION.match(said)
    if condition is not None:
        said = _OPENING.sub("", condition["order"])
    polite = re.search(r"\b(?:please|pls)\b", text, re.IGNORECASE) is not None
    if (order := _order(said, polite=polite, standing=standing or condition is not None)) is None:
        return None
    if order[0] == "to" and not _WISH.match(said) and _has_subject(sentence):
        return None
    tail = _worded(sentence, *order, wording)
    if tail is None or _SOMEBODY.search(tail):
        return None
    when = f" {_phrase(sentence, condition['condition'], wording)}" if condition is not None else ""
    topic = rule_topic(said) if condition is None else None
    return Rule(as_sentence(f"{who.text} asks the assistant {order[0]} {tail}{when}"), topic)


def _order(said: str, *, polite: bool, standing: bool) -> tuple[str, str] | None:
    """Split an instruction into how it is asked ("to always") and what."""
    wish = _WISH.match(said)
    if wish is not None:
        said = said[wish.end() :]
    if (always := _ALWAYS.match(said)) is not None:
        order = always["order"]
        if _ENCOURAGEMENT.match(order) and always["how"].lower() == "never":
            return None
        return f"to {always['how'].lower()}", order
    if (negative := _DO_NOT.match(said)) is not None:
        order, verb = negative["order"], negative["not"].lower()
        lasting = bool(polite or standing or verb in {"stop", "avoid"})
        lasting = lasting or bool(_LASTING.search(order) or _STYLE.search(order))
        if not lasting or _ENCOURAGEMENT.match(order):
            return None
        if verb in {"no", "no more"}:
            return ("to use no", order) if _STYLE.search(order) else None
        return (f"to {verb}" if verb in {"stop", "quit", "avoid", "skip"} else "not to"), order
    lasting = bool(standing or _MANNER.match(said) or (wish is not None and _LASTING.search(said)))
    return ("to", said) if lasting and re.match(r"[a-zA-Z]+\b", said) else None


def _has_subject(sentence: Span) -> bool:
    """Whether it states something ("at Christmas we always go skiing") rather than orders it."""
    return any(child.dep_ in SUBJECTS and child.lower_ != "you" for child in sentence.root.children)


def _worded(sentence: Span, how: str, order: str, wording: Wording) -> str | None:
    """The instruction's own words in the third person, if they begin with a verb: "you" is the assistant here."""
    tokens = _between(sentence, order)
    if not tokens or tokens[0].tag_ in {"PRP", "MD", "WP", "WRB", "WDT", "CC"}:
        return None
    if how == "to only" and tokens[0].tag_ not in {"VB", "VBP"}:
        return None
    if any(token.dep_ == "nsubj" and token.head == tokens[0] and token.i > tokens[0].i for token in tokens):
        return None
    text = wording.text(tokens)
    return f"{text[:1].lower()}{text[1:]}" if text else None


def _phrase(sentence: Span, text: str, wording: Wording) -> str:
    worded = wording.text(_between(sentence, text))
    return f"{worded[:1].lower()}{worded[1:]}"


def _between(sentence: Span, text: str) -> list[Token]:
    start = sentence.text.find(text)
    if start < 0:
        return []
    offset = sentence.start_char + start
    return [token for token in sentence if offset <= token.idx < offset + len(text)]
