"""One file for each provider whose clients can be registered."""
