"""What is said in the demo: Ada's words, the assistant's answers, and how the scripted model reads a context block."""

from __future__ import annotations

from datetime import timedelta

from .loopback import Answer, Call

USER = "Ada"
DAYS_APART = timedelta(days=9)
SPOKEN_EVERY = timedelta(minutes=2)

PROLOGUE = (
    "No key, no network: the model is a scripted server on this machine, reached through OpenAI's client. It knows "
    "nothing but what each request says."
)

FIRST_SESSION = (
    ("I moved to Lisbon last week.", "How nice! What brings you there?"),
    ("I work as a data engineer at a bakery chain now.", "That sounds like fresh bread every day."),
    ("I am allergic to walnuts, so I only smell the cakes.", "Thank you for telling me."),
    ("My daughter Mia loves to draw whales.", "What a lovely hobby."),
    ("I prefer short answers, by the way.", "All right."),
)
"""What Ada says in the first session, and what the model answers."""

SECOND_SESSION = ("Which city do I live in?", "Which nuts am I allergic to?")
"""What Ada asks days later."""

NOTHING_KNOWN = "I don't know. This request says nothing about it."


def block_in(call: Call) -> str:
    """The context block in a request as it arrived, or ""."""
    for message in call.messages:
        content = message.get("content")
        if isinstance(content, str) and "<memori_context>" in content:
            _, opening, rest = content.partition("<memori_context>")
            body, closing, _ = rest.partition("</memori_context>")
            return opening + body + closing
    return ""


def answer(call: Call) -> Answer:
    """The scripted model: it repeats the first memory it was shown, and knows nothing else."""
    memories = [line.removeprefix("- ") for line in block_in(call).splitlines() if line.startswith("- ")]
    return Answer(f"This is what I was shown: {memories[0]}" if memories else NOTHING_KNOWN)
