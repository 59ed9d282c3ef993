"""Providers on this machine: real SDK clients talk to a scripted server, over the provider's wire protocol.

Another provider is another `Wire`, passed to `serve(wires=...)` next to ours.
"""

from memori.cli.loopback import WIRES as BUILTIN
from memori.cli.loopback import Answer, Call, LoopbackServer, Script, Wire, chat_completions

from .clients import anthropic, async_anthropic, async_google, async_openai, google, openai
from .contents import contents
from .messages import messages
from .responses import responses

WIRES = {
    **BUILTIN,
    "/responses": responses,
    "/messages": messages,
    ":rawPredict": messages,
    "/invoke": messages,
    ":generateContent": contents,
    ":streamGenerateContent": contents,
}

__all__ = [
    "WIRES",
    "Answer",
    "Call",
    "LoopbackServer",
    "Script",
    "Wire",
    "anthropic",
    "async_anthropic",
    "async_google",
    "async_openai",
    "chat_completions",
    "google",
    "openai",
]
