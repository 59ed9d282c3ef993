"""Memori inside LangChain: chat history and agent middleware."""
