"""Memori inside Pydantic AI: a capability and a history processor."""
