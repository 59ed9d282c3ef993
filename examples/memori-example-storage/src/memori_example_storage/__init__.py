"""A complete third-party storage for Memori: one file, no database."""
