"""Training runs: configuration, recipe, loop, checkpoints."""
