"""From conversations to facts, in the background."""
