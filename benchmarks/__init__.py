"""Measures of Memori, each a command: `python -m benchmarks.NAME`."""
