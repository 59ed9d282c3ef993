"""Bring memory over from another system's database: read it, say what is there, copy it once."""
