"""One of each part that a message can have, as JSON."""

from typing import Any

from pydantic import ValidationError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

JSON = dict[str, Any]
AT = "2026-11-21T09:30:00Z"
PNG = {"data": "iVBORw0KGgo=", "media_type": "image/png", "kind": "binary"}
CALL = {"tool_call_id": "call-1", "provider_name": "maker", "provider_details": {"signature": "c2lnbmVk"}}
FOUND = {"discovered_tools": [{"name": "brew", "description": "Brews."}]}

REQUEST_PARTS: list[JSON] = [
    {"part_kind": "system-prompt", "content": "You brew.", "timestamp": AT, "dynamic_ref": "brewer"},
    {"part_kind": "user-prompt", "content": "Tee, grün \u0000 \U0001f375", "timestamp": AT},
    {
        "part_kind": "user-prompt",
        "timestamp": AT,
        "content": [
            "plain",
            {"kind": "text-content", "content": "tagged", "metadata": {"origin": "shop", "n": [1, None]}},
            {"kind": "image-url", "url": "https://example.com/tea.png", "vendor_metadata": {"detail": "high"}},
            {"kind": "audio-url", "url": "https://example.com/tea.mp3", "media_type": "audio/mpeg"},
            {"kind": "video-url", "url": "https://example.com/tea.mp4", "force_download": True},
            {"kind": "document-url", "url": "https://example.com/tea.pdf", "identifier": "leaf"},
            PNG,
            {"kind": "uploaded-file", "file_id": "file-1", "provider_name": "openai", "media_type": "image/png"},
            {"kind": "cache-point", "ttl": "1h"},
        ],
    },
    {
        "part_kind": "speech",
        "speaker": "user",
        "transcript": "Tea, please.",
        "audio": {**PNG, "media_type": "audio/wav"},
    },
    {
        "part_kind": "tool-return",
        "tool_name": "brew",
        "content": {"minutes": 3, "of": ["green", None, 1.5, True]},
        "tool_call_id": "call-1",
        "metadata": {"cups": 2},
        "timestamp": AT,
        "outcome": "success",
    },
    {
        "part_kind": "tool-return",
        "tool_name": "look",
        "content": ["seen", PNG],
        "tool_call_id": "call-2",
        "timestamp": AT,
    },
    {
        "part_kind": "tool-return",
        "tool_name": "pour",
        "content": "No.",
        "tool_call_id": "c",
        "outcome": "denied",
        "timestamp": AT,
    },
    {
        "part_kind": "tool-return",
        "tool_kind": "tool-search",
        "tool_name": "search_tools",
        "content": FOUND,
        "tool_call_id": "call-3",
        "timestamp": AT,
    },
    {
        "part_kind": "tool-return",
        "tool_kind": "capability-load",
        "tool_name": "load_capability",
        "content": {"instructions": "Brew well."},
        "tool_call_id": "call-4",
        "timestamp": AT,
    },
    {"part_kind": "retry-prompt", "content": "Say more.", "tool_call_id": "r", "timestamp": AT},
    {
        "part_kind": "retry-prompt",
        "content": [{"type": "missing", "loc": ["minutes"], "msg": "Field required", "input": {}}],
        "tool_name": "brew",
        "tool_call_id": "call-1",
        "timestamp": AT,
    },
    {"part_kind": "retry-feedback", "content": "Say more.", "retry": {"cause": "no_output"}, "timestamp": AT},
    {"part_kind": "tool-availability-delta", "tools_added": ["brew"], "tool_call_id": "call-3"},
    {"part_kind": "capability-load-delta", "loaded": ["brewing"], "tool_call_id": "call-4"},
    {"part_kind": "model-settings-delta", "settings": {"temperature": 0.5}},
    {"part_kind": "instruction-delta", "id": None, "content": "Be brief."},
    {"part_kind": "instruction-baseline", "instructions": [{"part_kind": "instruction", "content": "Be kind."}]},
    {"part_kind": "compaction", "content": "They spoke of tea.", "metadata": {"turns": 4}},
]
RESPONSE_PARTS: list[JSON] = [
    {"part_kind": "text", "content": "Three minutes.", "id": "msg-1", "provider_details": {"logprobs": [-0.1]}},
    {"part_kind": "thinking", "content": "Which tea?", "id": "rs-1", "signature": "c2lnbmVk", "provider_name": "maker"},
    {"part_kind": "tool-call", "tool_name": "brew", "args": {"tea": "grün"}, **CALL, "id": "fc-1"},
    {"part_kind": "tool-call", "tool_name": "brew", "args": '{"tea": broken', "tool_call_id": "call-2"},
    {
        "part_kind": "tool-call",
        "tool_kind": "tool-search",
        "tool_name": "search_tools",
        "args": {"queries": ["tea"]},
        **CALL,
    },
    {
        "part_kind": "tool-call",
        "tool_kind": "capability-load",
        "tool_name": "load_capability",
        "args": {"id": "brewing"},
        "tool_call_id": "call-4",
    },
    {"part_kind": "builtin-tool-call", "tool_name": "web_search", "args": {"query": "tea"}, **CALL},
    {
        "part_kind": "builtin-tool-call",
        "tool_kind": "tool-search",
        "tool_name": "tool_search",
        "args": {"queries": ["tea"]},
        **CALL,
    },
    {"part_kind": "builtin-tool-return", "tool_name": "web_search", "content": {"hits": [1]}, **CALL, "timestamp": AT},
    {
        "part_kind": "builtin-tool-return",
        "tool_kind": "tool-search",
        "tool_name": "tool_search",
        "content": FOUND,
        **CALL,
        "timestamp": AT,
    },
    {"part_kind": "compaction", "content": "They spoke of tea.", "id": "cmp-1", "provider_name": "anthropic"},
    {"part_kind": "file", "content": PNG, "id": "img-1", "provider_name": "maker"},
    {"part_kind": "speech", "speaker": "assistant", "transcript": "It is ready.", "interrupted_at_ms": 120},
]


def message(kind: str, *parts: JSON) -> ModelMessage:
    """A message with these parts, and all that messages have beside them."""
    more: JSON = {"run_id": "run-1", "conversation_id": "conversation-1", "metadata": {"page": 1}, "timestamp": AT}
    if kind == "request":
        more["instructions"] = "Be kind."
    else:
        more |= {
            "usage": {"input_tokens": 3, "output_tokens": 5, "details": {"reasoning": 2}},
            "model_name": "scripted",
            "provider_name": "maker",
            "provider_details": {"finish_reason": "stop"},
            "provider_response_id": "resp-1",
            "finish_reason": "stop",
        }
    (native,) = ModelMessagesTypeAdapter.validate_python([{"kind": kind, "parts": list(parts), **more}])
    return native


def known(kind: str, part: JSON) -> bool:
    """Whether this version of Pydantic AI has the part."""
    try:
        ModelMessagesTypeAdapter.validate_python([{"kind": kind, "parts": [part]}])
    except ValidationError:
        return False
    return True
