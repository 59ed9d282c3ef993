"""Providers on this machine: real SDK clients talk to a scripted server, over the provider's wire protocol.

Another provider is another `Wire`, passed to `serve(wires=...)` next to ours.
"""

from memori.cli.loopback import WIRES, Answer, Call, LoopbackServer, Script, Wire, chat_completions

from .clients import async_openai, openai

__all__ = [
    "WIRES",
    "Answer",
    "Call",
    "LoopbackServer",
    "Script",
    "Wire",
    "async_openai",
    "chat_completions",
    "openai",
]
