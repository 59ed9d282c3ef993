"""OpenAI's Responses API, as the server speaks it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from .wire import JSON, Answer, Call, Wire, named, pieces

_numbers = itertools.count(1)


def _output(answer: Answer) -> list[JSON]:
    output: list[JSON] = []
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        message = {"type": "message", "id": "msg_0", "status": "completed", "role": "assistant", "content": [part]}
        output.append(message)
    output += [
        {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for call in answer.tool_calls
    ]
    return output


def _response(call: Call, answer: Answer, status: str) -> JSON:
    whole = status == "completed"
    usage = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }
    return {
        "id": f"resp_{next(_numbers)}",
        "object": "response",
        "created_at": 0,
        "status": status,
        "model": call.body.get("model", "scripted"),
        "output": _output(answer) if whole else [],
        "usage": usage if whole else None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _body(call: Call, answer: Answer) -> JSON:
    return _response(call, answer, "completed")


def _events(call: Call, answer: Answer) -> Iterator[str]:
    numbers = itertools.count()
    begun = _response(call, answer, "in_progress")

    def event(kind: str, **data: Any) -> str:
        return json.dumps({"type": f"response.{kind}", "sequence_number": next(numbers), **data})

    yield event("created", response=begun)
    for index, item in enumerate(_output(answer)):
        place = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            text = {**place, "content_index": 0}
            empty = {"type": "output_text", "text": "", "annotations": []}
            yield event("output_item.added", output_index=index, item={**item, "content": [], "status": "in_progress"})
            yield event("content_part.added", **text, part=empty)
            for piece in pieces(answer.text):
                yield event("output_text.delta", **text, delta=piece, logprobs=[])
            yield event("output_text.done", **text, text=answer.text, logprobs=[])
            yield event("content_part.done", **text, part=item["content"][0])
        else:
            yield event(
                "output_item.added", output_index=index, item={**item, "arguments": "", "status": "in_progress"}
            )
            for piece in pieces(item["arguments"]):
                yield event("function_call_arguments.delta", **place, delta=piece)
            yield event("function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"])
        yield event("output_item.done", output_index=index, item=item)
    yield event("completed", response={**_response(call, answer, "completed"), "id": begun["id"]})


responses = Wire(_body, _events, frame=named)
"""OpenAI's Responses API."""
