"""The board: finding it, opening it, running networks on it."""
