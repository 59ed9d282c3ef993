"""Anthropic's Messages API, as the server speaks it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from .wire import JSON, Answer, Call, Wire, named, pieces

_numbers = itertools.count(1)
THINKING = {"type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk"}


def _content(call: Call, answer: Answer) -> list[JSON]:
    content: list[JSON] = [THINKING] if call.body.get("thinking") else []
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    return content + [
        {"type": "tool_use", "id": made.id, "name": made.name, "input": json.loads(made.arguments)}
        for made in answer.tool_calls
    ]


def _message(call: Call, **more: Any) -> JSON:
    return {
        "id": f"msg_{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": call.body.get("model", "m"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
        **more,
    }


def _reason(answer: Answer) -> str:
    return "tool_use" if answer.tool_calls else "end_turn"


def _body(call: Call, answer: Answer) -> JSON:
    usage = {"input_tokens": 3, "output_tokens": 5}
    return _message(call, content=_content(call, answer), stop_reason=_reason(answer), usage=usage)


def _events(call: Call, answer: Answer) -> Iterator[str]:
    def event(kind: str, **data: Any) -> str:
        return json.dumps({"type": kind, **data})

    yield event("message_start", message=_message(call))
    for index, block in enumerate(_content(call, answer)):
        empty: JSON
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            empty = {"type": "text", "text": ""}
        elif block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            empty = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            deltas = [
                {"type": "input_json_delta", "partial_json": piece} for piece in pieces(json.dumps(block["input"]))
            ]
            empty = {**block, "input": {}}
        yield event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    stop = {"stop_reason": _reason(answer), "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": 5})
    yield event("message_stop")


messages = Wire(_body, _events, frame=named)
"""Anthropic's Messages API."""
