"""Memori inside LlamaIndex: a BaseMemory for agents and chat engines."""
