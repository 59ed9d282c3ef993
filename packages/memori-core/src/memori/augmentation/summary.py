"""What a conversation is about, in its own sentences: no model is asked.

The sentences are chosen as SumBasic does it (Nenkova and Vanderwende, "The Impact of Frequency on Summarization",
2005): the one whose words are the most frequent first, and the words it has used count less from then on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..model import Message
from ..text import asks, terms

SENTENCES = 5
"""How many sentences a summary has at most."""
_LONGEST = 300
"""Characters of a sentence that may be chosen; longer ones are logs, tables or lists."""
_FEWEST_TERMS = 2
_ENDS = (".", "!", "…", "。", "！")
_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")


def summarised(before: str | None, messages: Iterable[Message]) -> str | None:
    """The summary of a conversation that had the summary `before` and went on with those messages.

    What people said counts, in the order in which it was said; greetings, questions and long runs do not. None when
    nothing is worth repeating.
    """
    said = [message.content for message in messages if message.role == "user" and message.source_class == "user_input"]
    sentences = list(dict.fromkeys(one for text in (before or "", *said) for one in _sentences(text)))
    chosen = _best([terms(one) for one in sentences])
    return " ".join(sentences[number] for number in sorted(chosen)) or None


def _sentences(text: str) -> list[str]:
    found = (" ".join(one.split()) for one in _END.split(text) if one)
    kept = [one for one in found if len(one) <= _LONGEST and not asks(one) and len(terms(one)) >= _FEWEST_TERMS]
    return [one if one.endswith(_ENDS) else f"{one}." for one in kept]


def _best(sentences: Sequence[Sequence[str]]) -> list[int]:
    """Numbers of the sentences to keep, the first chosen first."""
    counts = Counter(term for sentence in sentences for term in set(sentence))
    total = sum(counts.values())
    weight = {term: count / total for term, count in counts.items()}
    left = dict(enumerate(map(set, sentences)))
    chosen: list[int] = []
    while left and len(chosen) < SENTENCES:
        best = max(left, key=lambda number: (sum(weight[term] for term in left[number]) / len(left[number]), -number))
        for term in left.pop(best):
            weight[term] **= 2
        chosen.append(best)
    return chosen
