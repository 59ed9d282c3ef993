"""Google's Gemini API, as the server speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .wire import JSON, Answer, Call, Wire, pieces


def _calls(answer: Answer) -> list[JSON]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}
        for call in answer.tool_calls
    ]


def _response(parts: list[JSON], *, last: bool) -> JSON:
    candidate: JSON = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage: JSON = {"promptTokenCount": 3}
    if last:
        candidate["finishReason"] = "STOP"
        usage |= {"candidatesTokenCount": 5, "totalTokenCount": 8}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r", "usageMetadata": usage}


def _body(call: Call, answer: Answer) -> JSON:
    texts = [{"text": answer.text}] if answer.text else []
    return _response([*texts, *_calls(answer)], last=True)


def _events(call: Call, answer: Answer) -> Iterator[str]:
    for piece in pieces(answer.text):
        yield json.dumps(_response([{"text": piece}], last=False))
    yield json.dumps(_response(_calls(answer), last=True))


contents = Wire(_body, _events)
"""Google's Gemini API."""
