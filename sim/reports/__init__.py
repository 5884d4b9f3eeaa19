"""Pages about runs, one file a kind."""
