"""What text passes through before it is stored."""
