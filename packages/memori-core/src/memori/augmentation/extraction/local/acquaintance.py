"""Find in earlier messages what the people around a speaker are called."""

from __future__ import annotations

import re

from ..base import Turn
from .people import RELATIONS
from .speaker import Speaker, speaking_name

_NOUN = "(?P<noun>" + "|".join(sorted(map(re.escape, RELATIONS), key=len, reverse=True)) + ")"
_NAME = r"(?P<name>(?!I\b|I'|The\b|And\b|But\b|My\b|He\b|She\b)[A-Z][\w'-]*[a-z](?: [A-Z][\w-]+)?)"
_INTRODUCED = (
    re.compile(rf"\b(?i:my|our) (?i:{_NOUN})(?:'s (?i:first )?name is"
        rf"|,? (?:is|was) (?:called|named)|,? (?:called|named)|,| is)? {_NAME}"
    ),
    re.compile(rf"\b(?i:a|an|one) (?:\w+ )?(?i:{_NOUN}),? (?i:called|named) {_NAME}"),
    re.compile(rf"\b{_NAME}(?:,| is| and I .{{0,20}})? (?i:my|our) (?i:{_NOUN})\b"),
)  # fmt: skip
_LONGEST = 2_000
"""How much of an earlier message is looked at, in characters."""


def names_said(turn: Turn, index: int) -> dict[str, str]:
    """What the people around the speaker of `turn.messages[index]` are called: "Ada's wife" is "Ana".

    Looks at the speaker's earlier messages. A relation with two names ("my sister Zoe", "my sister Kim") has none.
    """
    message = turn.messages[index].message
    found: dict[str, set[str]] = {}
    speaker = Speaker(speaking_name(message), message.role)
    for stored in (*turn.context, *turn.messages[:index]):
        earlier = stored.message
        if earlier.role != message.role or speaking_name(earlier) not in {speaker.name, None}:
            continue
        for pattern in _INTRODUCED:
            for match in pattern.finditer(earlier.content[:_LONGEST]):
                found.setdefault(f"{speaker.text}'s {match['noun'].lower()}", set()).add(match["name"])
    return {relation: names.pop() for relation, names in found.items() if len(names) == 1}
