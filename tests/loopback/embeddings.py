"""Services that embed, by their wire protocols. The vectors are hashed words: near where texts are.

An answer whose text is "short" leaves the last vector out, "narrow" answers with the wrong dimension, and "wild" with
what is no vector.
"""

from collections.abc import Callable
from typing import Any

from memori.cli.loopback import JSON, Answer, Call, Wire
from memori.embedding.hashing import HashingEmbedder

DIMENSION = 256


def _wire(field: str, spell: Callable[[list[Any]], Any]) -> Wire:
    def body(call: Call, answer: Answer) -> JSON:
        dimension = 8 if answer.text == "narrow" else DIMENSION
        rows: list[Any] = HashingEmbedder(str(dimension)).embed(call.body[field]).tolist()
        if answer.text == "wild":
            rows = [None for _ in rows]
        spelt: JSON = spell(rows[:-1] if answer.text == "short" else rows)
        return spelt

    return Wire(body, lambda call, answer: iter(()))


def _openai(rows: list[Any]) -> JSON:
    data = [{"object": "embedding", "index": number, "embedding": row} for number, row in enumerate(rows)]
    # In any order: the index says whose a vector is.
    return {"object": "list", "data": data[::-1], "model": "any", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


WIRES = {
    "/v1/embeddings": _wire("input", _openai),
    "/api/embed": _wire("input", lambda rows: {"model": "any", "embeddings": rows}),
    "/v2/embed": _wire("texts", lambda rows: {"id": "1", "embeddings": {"float": rows}, "texts": []}),
    "/feature-extraction": _wire("inputs", lambda rows: rows),
}
