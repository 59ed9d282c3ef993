"""Models on this machine that speak the wire protocols of providers and answer what they are told to."""

from __future__ import annotations

from .chat_completions import chat_completions
from .contents import contents
from .messages import messages
from .responses import responses
from .server import WIRES, LoopbackServer
from .wire import JSON, Answer, Call, Script, Wire, pieces

__all__ = [
    "JSON",
    "WIRES",
    "Answer",
    "Call",
    "LoopbackServer",
    "Script",
    "Wire",
    "chat_completions",
    "contents",
    "messages",
    "pieces",
    "responses",
]
