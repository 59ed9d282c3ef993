"""Memori inside LangChain: a chat history, and memory for agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memori import errors

from .history import MemoriChatMessageHistory

if TYPE_CHECKING:
    from .middleware import MemoriMiddleware

__all__ = ["MemoriChatMessageHistory", "MemoriMiddleware"]


def __getattr__(name: str) -> Any:
    """Import the middleware when it is first asked for: it alone needs the `langchain` package."""
    if name != "MemoriMiddleware":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .middleware import MemoriMiddleware
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "langchain":
            raise
        raise errors.MissingDependencyError(
            "MemoriMiddleware needs the langchain package, which is not installed: "
            "pip install 'memori-langchain[agents]'. MemoriChatMessageHistory works without it."
        ) from error
    return MemoriMiddleware
