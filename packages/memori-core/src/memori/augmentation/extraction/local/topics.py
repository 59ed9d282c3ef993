"""What an instruction is about, so that a later one on the same topic replaces it."""

from __future__ import annotations

import re

from .wordlist import words

LANGUAGES = words(
    """
    english french german spanish italian portuguese dutch russian polish ukrainian turkish arabic hebrew hindi
    urdu bengali mandarin chinese cantonese japanese korean vietnamese thai swedish norwegian danish finnish
    greek czech hungarian romanian latin swahili tamil telugu punjabi persian farsi croatian serbian bulgarian
    slovak slovenian catalan basque irish welsh gaelic icelandic estonian latvian lithuanian albanian indonesian
    malay tagalog amharic yoruba igbo zulu afrikaans nepali georgian armenian
    """
)
_WORD = re.compile(r"[a-z][a-z'-]*")
_TOPICS = (
    (
        "the length of answers",
        words("short shorter brief briefly concise long longer detailed detail length sentences"),
    ),
    ("units", words("metric imperial celsius fahrenheit kilometres kilometers miles kilograms pounds grams ounces")),
    ("currency", words("euros dollars francs currency yen rupees")),
    ("emojis", words("emoji emojis emoticons")),
    ("bullet points", words("bullet bullets")),
    ("spelling", words("spelling")),
)
_ANSWERING = words("answer answers reply replies respond responses write speak talk language")


def rule_topic(instruction: str) -> str | None:
    """Return a topic of which one instruction holds at a time, or None: most are about nothing so general."""
    said = set(_WORD.findall(instruction.lower()))
    if said & LANGUAGES and said & _ANSWERING and "spelling" not in said:
        return "language of answers"
    return next((topic for topic, about in _TOPICS if said & about), None)
