"""Processes that a stock Loihi 2 runs, its learning engine and rules, and networks of them."""
