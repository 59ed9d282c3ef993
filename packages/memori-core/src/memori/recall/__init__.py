"""Find the memories that answer a query."""
