"""How a network runs on a conventional machine: backends, training, the float oracle, reports."""
