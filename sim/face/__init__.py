"""What notebooks and commands call: a run, and what one does with it."""
