"""One Django migration for each of Memori's own."""
