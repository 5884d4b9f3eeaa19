"""The commands that need no chip."""
