"""OpenAI's chat completions, as the server speaks them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from .wire import JSON, Answer, Call, Wire, pieces

_numbers = itertools.count(1)


def _completion(call: Call, kind: str, choice: JSON) -> JSON:
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": kind,
        "created": 0,
        "model": call.body.get("model", "scripted"),
        "choices": [{"index": 0, **choice}],
    }


def _openai_calls(answer: Answer) -> list[JSON]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.tool_calls
    ]


def _reason(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def _openai_body(call: Call, answer: Answer) -> JSON:
    message: JSON = {"role": "assistant", "content": answer.text or None}
    if answer.tool_calls:
        message["tool_calls"] = _openai_calls(answer)
    body = _completion(call, "chat.completion", {"message": message, "finish_reason": _reason(answer)})
    return {**body, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def _openai_events(call: Call, answer: Answer) -> Iterator[str]:
    def event(delta: JSON, reason: str | None = None) -> str:
        return json.dumps(_completion(call, "chat.completion.chunk", {"delta": delta, "finish_reason": reason}))

    yield event({"role": "assistant", "content": ""})
    for piece in pieces(answer.text):
        yield event({"content": piece})
    for index, made in enumerate(_openai_calls(answer)):
        function = made["function"]
        head = {"name": function["name"], "arguments": ""}
        yield event({"tool_calls": [{**made, "index": index, "function": head}]})
        for piece in pieces(function["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, _reason(answer))
    yield "[DONE]"


chat_completions = Wire(_openai_body, _openai_events)
"""OpenAI's chat completions."""
