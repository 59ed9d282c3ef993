"""Amazon Bedrock, as the server speaks it: Converse, and Anthropic's messages in Amazon's event streams."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator

from .messages import messages
from .wire import JSON, Answer, Call, Wire, pieces


def event(data: str) -> bytes:
    """A message of an event stream, from a JSON object with one key: the event's type.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html has the layout.
    """
    ((kind, payload),) = json.loads(data).items()
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


def _content(answer: Answer) -> list[JSON]:
    texts: list[JSON] = [{"text": answer.text}] if answer.text else []
    return texts + [
        {"toolUse": {"toolUseId": made.id, "name": made.name, "input": json.loads(made.arguments)}}
        for made in answer.tool_calls
    ]


def _reason(answer: Answer) -> str:
    return "tool_use" if answer.tool_calls else "end_turn"


_SPENT = {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, "metrics": {"latencyMs": 1}}


def _body(call: Call, answer: Answer) -> JSON:
    message = {"role": "assistant", "content": _content(answer)}
    return {"output": {"message": message}, "stopReason": _reason(answer), **_SPENT}


def _events(call: Call, answer: Answer) -> Iterator[str]:
    yield json.dumps({"messageStart": {"role": "assistant"}})
    for index, block in enumerate(_content(answer)):
        deltas: list[JSON]
        if (used := block.get("toolUse")) is not None:
            start = {"toolUse": {"toolUseId": used["toolUseId"], "name": used["name"]}}
            yield json.dumps({"contentBlockStart": {"start": start, "contentBlockIndex": index}})
            deltas = [{"toolUse": {"input": piece}} for piece in pieces(json.dumps(used["input"]))]
        else:
            deltas = [{"text": piece} for piece in pieces(block["text"])]
        for delta in deltas:
            yield json.dumps({"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}})
        yield json.dumps({"contentBlockStop": {"contentBlockIndex": index}})
    yield json.dumps({"messageStop": {"stopReason": _reason(answer)}})
    yield json.dumps({"metadata": _SPENT})


def _chunks(call: Call, answer: Answer) -> Iterator[str]:
    for data in messages.events(call, answer):
        yield json.dumps({"chunk": {"bytes": base64.b64encode(data.encode()).decode()}})


_TYPE = "application/vnd.amazon.eventstream"

converse = Wire(_body, _events)
"""Bedrock's Converse."""

converse_stream = Wire(_body, _events, event, _TYPE)
"""Bedrock's ConverseStream."""

invoke_stream = Wire(messages.body, _chunks, event, _TYPE)
"""Bedrock's InvokeModelWithResponseStream for Anthropic's models."""
