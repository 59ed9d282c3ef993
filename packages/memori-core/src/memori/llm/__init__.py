"""One-line capture: put a registered LLM client's conversations in memory, and memory in its requests."""
