"""Providers on this machine: real SDK clients talk to a scripted server, over the provider's wire protocol.

Another provider is another `Wire`, passed to `LoopbackServer(wires=...)` next to ours.
"""

from memori.cli.loopback import WIRES, Answer, Call, LoopbackServer, Script, Wire, chat_completions

from .clients import anthropic, async_anthropic, async_google, async_openai, async_xai, bedrock, google, openai, xai

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
    "async_xai",
    "bedrock",
    "chat_completions",
    "google",
    "openai",
    "xai",
]
