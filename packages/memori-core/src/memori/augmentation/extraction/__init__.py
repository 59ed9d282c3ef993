"""Propose facts from messages."""
