"""Keep conversations, jobs and facts in the user's own database."""
